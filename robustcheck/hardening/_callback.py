"""Extra optimiser steps on pools of examples, at the end of a training batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.arrays import I64
from robustcheck.config import BoxLike, HeadKind, PoolOptions
from robustcheck.errors import ConfigError, DataRefused
from robustcheck.hardening._cuts import find_cuts
from robustcheck.hardening._pool import Pool, PoolState
from robustcheck.numerics import traced
from robustcheck.text import brief


class PoolTraining(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Train the layers above each cut on a pool of examples made there, beside the training set.

    At the end of a batch one pool, in turn, gives a batch of examples; the layers above its cut take one step
    of the model's optimiser on the model's loss. From time to time the pool gets new examples of random
    training samples in place of random old ones (Szegedy et al. 2013, section 4.2: one pool a layer,
    continuously renewed, alternating). The step does not count as one of the optimiser's, so that a schedule
    of the learning rate means what it says.

    Args:
        x, y: training samples ``[N, *shape]`` and their labels as ``fit`` takes them, class numbers or
            one-hot; what the pools are made of.
        layers: as :func:`find_cuts` takes them.
        pool: how the pools are kept.
        box: the values of the model's input.
        head: what the model ends in, as :func:`robustcheck.wrap` takes it.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        layers: str | Sequence[str] = "all",
        pool: PoolOptions | None = None,
        box: BoxLike = (0.0, 1.0),
        head: HeadKind | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        self._x, self._y = np.asarray(x), np.asarray(y)
        if len(self._x) != len(self._y) or not len(self._x):
            raise DataRefused(f"harden: expected a label a sample, got {len(self._x)} and {len(self._y)}")
        whole_numbers(self._y)
        self._layers, self._box, self._head = layers, box, head
        self.options = pool or PoolOptions()
        self.pools: list[Pool] = []
        self.step = 0
        self.extra_steps = 0
        self.training_seconds = 0.0

    def set_model(self, model: Any) -> None:
        """Cut the model, unless that was done."""
        super().set_model(model)
        if self.pools:
            return
        if getattr(model, "optimizer", None) is None:
            raise ConfigError("harden: expected a compiled model, so that there are a loss and an optimiser")
        self._label = class_numbers(self._y, max(int(model.output_shape[-1]), 2))
        self._y = labels_for(model, self._y)
        self._build_optimizer()
        cuts = find_cuts(model, self._layers, self._box)
        self.pools = [Pool(cut, self.options, self._head) for cut in cuts]
        self._steps = [_make_step(model, pool, self._y) for pool in self.pools]

    def _build_optimizer(self) -> None:
        """Make the optimiser's variables for the whole model, so that a part of them can be stepped."""
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """One pool's turn."""
        step, self.step = self.step, self.step + 1
        options = self.options
        if step < options.warmup or step % options.every:
            return
        turn = (step - options.warmup) // options.every
        pool = self.pools[turn % len(self.pools)]
        # everything random of a step is of the seed and the step, so a run that goes on draws the same
        draw = np.random.default_rng((options.seed, step))
        if (turn // len(self.pools)) % options.interval == 0:
            pool.refresh(self._x, self._label, draw)
        if not pool.held:
            return
        begun = time.perf_counter()
        examples, source = pool.batch(options.batch_size, draw)
        self._steps[turn % len(self.pools)](tf.constant(examples), tf.constant(self._y[source]))
        self.extra_steps += 1
        self.training_seconds += time.perf_counter() - begun

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Put the pools into the logs, for Keras' own loggers."""
        if logs is not None:
            for state in self.states:
                logs[f"pool_{state.layer}_held"] = state.held
                logs[f"pool_{state.layer}_distortion"] = state.distortion or 0.0

    @property
    def states(self) -> tuple[PoolState, ...]:
        """What the pools came to so far."""
        return tuple(pool.state for pool in self.pools)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that it takes to go on, as arrays."""
        found = {
            f"pool/{i}/{name}": array
            for i, pool in enumerate(self.pools)
            for name, array in pool.arrays().items()
        }
        return found | {
            "steps": np.array([self.step, self.extra_steps], np.int64),
            "training_seconds": np.array(self.training_seconds),
        }

    def restore(self, stored: dict[str, NDArray[Any]]) -> None:
        """Go on from what :meth:`arrays` gave; the model must be set."""
        self.step, self.extra_steps = (int(count) for count in stored["steps"])
        self.training_seconds = float(stored["training_seconds"])
        for i, pool in enumerate(self.pools):
            start = f"pool/{i}/"
            pool.restore(
                {name.removeprefix(start): array for name, array in stored.items() if name.startswith(start)}
            )


def whole_numbers(y: NDArray[Any]) -> NDArray[Any]:
    """Labels as ``fit`` takes them as a whole number each, ``[N]``.

    Raises:
        DataRefused: they are neither whole numbers nor one-hot rows.
    """
    if y.dtype.kind not in "fiub" or y.ndim not in (1, 2):
        raise DataRefused(f"harden: expected labels as numbers, got {brief(y)}")
    if y.ndim == 2 and y.shape[1] > 1:
        return np.asarray(y.argmax(axis=1), np.int64)
    flat = y.reshape(-1)
    if not np.array_equal(flat, np.floor(flat)):
        raise DataRefused(f"harden: expected class numbers or one-hot labels, got fractions in {brief(y)}")
    return flat


def class_numbers(y: NDArray[Any], classes: int) -> I64:
    """The same as class numbers ``[N]``; -1 and 1 of two classes are 0 and 1.

    Raises:
        DataRefused: they are none of so many classes.
    """
    flat = whole_numbers(y)
    if classes == 2 and -1 in flat and np.isin(flat, (-1, 1)).all():
        flat = flat > 0
    if len(flat) and (flat.min() < 0 or flat.max() >= classes):
        raise DataRefused(
            f"harden: expected labels of classes 0 to {classes - 1}, got {flat.min():g} to {flat.max():g}"
        )
    return np.asarray(flat, np.int64)


def labels_for(model: Any, y: NDArray[Any]) -> NDArray[Any]:
    """Labels in the form that the loss of a compiled model takes: class numbers, or one-hot rows.

    Losses that are called sparse take numbers, and so does every loss of one output; the others compare a
    value for each class. Labels that have the form already, and soft labels, stay as they are.
    """
    loss, units = model.loss, model.output_shape[-1]
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    numbers = class_numbers(y, max(int(units), 2))
    if units == 1 or "sparse" in str(name):
        return numbers if y.ndim == 2 and y.shape[1] > 1 else y
    if y.ndim == 2 and y.shape[1] > 1:
        return y
    one_hot: NDArray[Any] = np.eye(units, dtype=np.float32)[numbers]
    return one_hot


def _make_step(model: Any, pool: Pool, y: NDArray[Any]) -> Any:
    """One step of the optimiser for the layers above a cut, traced for labels like ``y``."""
    above = pool.cut.above
    # moving statistics are of the training set: batch normalisation must not learn those of a pool
    statistics = above.non_trainable_weights

    def step(examples: Any, label: Any) -> Any:
        variables = above.trainable_variables
        kept = [tf.identity(statistic) for statistic in statistics]
        with tf.GradientTape() as tape:
            loss = model.compute_loss(y=label, y_pred=above(examples, training=True))
            scaled = model.optimizer.scale_loss(pool.options.weight * loss)
        gradients = tape.gradient(scaled, variables)
        iterations = model.optimizer.iterations
        before = tf.identity(iterations)
        model.optimizer.apply(gradients, variables)
        iterations.assign(before)
        for variable, value in zip(statistics, kept, strict=True):
            variable.assign(value)
        return loss

    shape = [None, *pool.classifier.input_shape]
    return traced(tf.TensorSpec(shape), tf.TensorSpec([None, *y.shape[1:]], y.dtype))(step)
