"""``harden``: train with pools of adversarial examples."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from robustcheck.config import BoxLike, PoolOptions
from robustcheck.errors import ConfigError
from robustcheck.hardening._batches import Augment, Batches
from robustcheck.hardening._callback import PoolTraining
from robustcheck.hardening._checkpoint import Checkpoint
from robustcheck.hardening._pool import PoolState
from robustcheck.models import Classifier, wrap


@dataclass(frozen=True, kw_only=True)
class Hardened:
    """What a training run came to; the model itself was trained in place.

    Attributes:
        epochs: trained, those before a restart included.
        history: the logs of each epoch.
        pools: what the pools came to.
        extra_steps: optimiser steps on pools.
        seconds: of the whole run.
        making_seconds: of these, for making examples.
        step_seconds: of these, for steps on pools.
    """

    epochs: int
    history: list[dict[str, float]]
    pools: tuple[PoolState, ...]
    extra_steps: int
    seconds: float
    making_seconds: float
    step_seconds: float


def harden(
    model: Any,
    x: Any,
    y: Any,
    *,
    layers: str | Sequence[str] = "all",
    pool: PoolOptions | None = None,
    box: BoxLike = (0.0, 1.0),
    epochs: int = 10,
    batch_size: int = 128,
    validation: tuple[Any, Any] | None = None,
    augment: Augment | None = None,
    callbacks: Sequence[Any] = (),
    checkpoint: str | Path | None = None,
    verbose: str | int = 0,
) -> Hardened:
    """Train a model, or go on training it, beside pools of adversarial examples at its layers.

    Args:
        model: a built Sequential or functional Keras classifier with one input and one output. Compiled, it
            keeps its loss and optimiser; else it gets cross-entropy and Adam (rate 1e-3).
        x, y: training samples ``[N, *shape]`` in the units of the model, and labels as its loss takes them.
        layers: where pools are kept: "all", the input and what goes into each layer with a kernel; "input";
            or names of layers.
        pool: size, renewal, mixing, search and cap of the pools, and the seed of everything drawn here.
        box: the values of the model's input.
        epochs: passes over the training samples, in all; a run that goes on does what is left.
        batch_size: of the training samples.
        validation: samples and labels that ``fit`` reports on.
        augment: called with a batch and a generator; the batch that it gives is trained on. Pools are made
            of the samples as they are.
        callbacks: more of Keras' callbacks, such as ``TensorBoard`` and ``CSVLogger``.
        checkpoint: folder that the run is kept in after each epoch. A run that is started again with the
            same arguments goes on from there and ends as if it had not been interrupted, up to the order in
            which threads add.
        verbose: as for ``fit``.

    Returns:
        What the run came to.

    Raises:
        ModelRefused: a model that cannot be cut.
        ConfigError: layers that do not cut the graph, or a checkpoint of another run.
        DataRefused: labels that are none.
    """
    x, y = np.asarray(x), np.asarray(y)
    if epochs < 1 or batch_size < 1:
        raise ConfigError(
            f"harden: expected epochs and batch_size of 1 or more, got {epochs} and {batch_size}"
        )
    options = pool or PoolOptions()
    if not getattr(model, "compiled", False):
        compile_for(model, wrap(model, box=box))
    pools = PoolTraining(x, y, layers=layers, pool=options, box=box)
    pools.set_model(model)
    pools.on_train_begin()
    kept = Checkpoint(
        Path(checkpoint or "."), pools, _settings(model, x, y, options, pools, batch_size), every=1
    )
    done = kept.restore(model) if checkpoint is not None else 0
    if done < epochs:
        model.fit(
            Batches(x, y, batch_size, seed=options.seed, first_epoch=done, augment=augment),
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,
            validation_data=validation,
            callbacks=[pools, *callbacks, *([kept] if checkpoint is not None else [])],
            verbose=verbose,
        )
    return Hardened(
        epochs=epochs,
        history=kept.history if checkpoint is not None else _history(model),
        pools=pools.states,
        extra_steps=pools.extra_steps,
        seconds=kept.seconds,
        making_seconds=sum(one.seconds for one in pools.states),
        step_seconds=pools.training_seconds,
    )


def compile_for(model: Any, classifier: Classifier, rate: float = 1e-3) -> None:
    """Compile with cross-entropy for the head that the model has, and Adam; labels are class numbers."""
    from_logits = classifier.head in ("logits", "one logit")
    binary = model.output_shape[-1] == 1
    loss = keras.losses.BinaryCrossentropy if binary else keras.losses.SparseCategoricalCrossentropy
    model.compile(keras.optimizers.Adam(rate), loss(from_logits=from_logits), metrics=["accuracy"])


def _settings(
    model: Any, x: Any, y: Any, options: PoolOptions, pools: PoolTraining, batch_size: int
) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    digest = hashlib.sha256(np.ascontiguousarray(x).tobytes())
    digest.update(np.ascontiguousarray(y).tobytes())
    return {
        "data": digest.hexdigest(),
        "model": [list(one.shape) for one in model.weights],
        "optimizer": type(model.optimizer).__name__,
        "pool": dataclasses.asdict(options),
        "layers": [one.layer for one in pools.states],
        "batch_size": batch_size,
    }


def _history(model: Any) -> list[dict[str, float]]:
    logs = model.history.history
    return [dict(zip(logs, map(float, one), strict=True)) for one in zip(*logs.values(), strict=True)]
