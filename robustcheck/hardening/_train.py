"""``harden``: train with pools of adversarial examples."""

from __future__ import annotations

import dataclasses
import hashlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from robustcheck.config import BoxLike, HeadKind, PoolOptions
from robustcheck.errors import ConfigError, DataRefused, RobustcheckWarning
from robustcheck.hardening._batches import Augment, Batches
from robustcheck.hardening._callback import PoolTraining, labels_for
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
    head: HeadKind | Literal["auto"] = "auto",
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
        x, y: training samples ``[N, *shape]`` in the units of the model, and labels: class numbers or one-hot
            rows, whichever the loss takes.
        layers: where pools are kept: "all", the input and what goes into each layer with a kernel; "input";
            or names of layers.
        pool: size, renewal, mixing, search and cap of the pools, and the seed of everything drawn here.
        box: the values of the model's input.
        head: what the model ends in, as :func:`robustcheck.wrap` takes it.
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
    if y is None or hasattr(x, "element_spec"):
        raise DataRefused("harden: expected samples and labels as two arrays, x and y")
    x, y = np.asarray(x), np.asarray(y)
    if epochs < 1 or batch_size < 1:
        raise ConfigError(
            f"harden: expected epochs and batch_size of 1 or more, got {epochs} and {batch_size}"
        )
    options = pool or PoolOptions()
    if not getattr(model, "compiled", False):
        compile_for(model, wrap(model, box=box, head=head))
    y = labels_for(model, y)
    if validation is not None:
        validation = validation[0], labels_for(model, np.asarray(validation[1]))
    pools = PoolTraining(x, y, layers=layers, pool=options, box=box, head=head)
    pools.set_model(model)
    settings = _settings(model, x, y, options, pools, batch_size)
    kept = None if checkpoint is None else Checkpoint(Path(checkpoint), pools, settings)
    done = 0 if kept is None else kept.restore(model)
    begun, before = time.perf_counter(), 0.0 if kept is None else kept.seconds
    history = [] if kept is None else list(kept.history)
    if done < epochs:
        fitted = model.fit(
            Batches(x, y, batch_size, seed=options.seed, first_epoch=done, augment=augment),
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,
            validation_data=validation,
            callbacks=[pools, *callbacks, *([] if kept is None else [kept])],
            verbose=verbose,
        )
        history += _by_epoch(fitted.history)
    _warn_of_nothing(pools)
    return Hardened(
        epochs=max(epochs, done),
        history=history,
        pools=pools.states,
        extra_steps=pools.extra_steps,
        seconds=before + time.perf_counter() - begun,
        making_seconds=sum(state.seconds for state in pools.states),
        step_seconds=pools.training_seconds,
    )


def _warn_of_nothing(pools: PoolTraining) -> None:
    """Say so where training was plain all along."""
    empty = [state.layer for state in pools.states if not state.held]
    if not empty:
        return
    tried = sum(state.tried for state in pools.states if state.layer in empty)
    why = "no example was found within the cap" if tried else "training ended before its turn"
    warnings.warn(f"no pool was kept at {', '.join(empty)}: {why}", RobustcheckWarning, stacklevel=3)


def compile_for(model: Any, classifier: Classifier, rate: float = 1e-3) -> None:
    """Compile with cross-entropy for the head that the model has, and Adam; labels are class numbers."""
    losses = {
        "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "softmax": keras.losses.SparseCategoricalCrossentropy(),
        "sigmoid": keras.losses.BinaryCrossentropy(),
        "binary_logit": keras.losses.BinaryCrossentropy(from_logits=True),
        "tanh": keras.losses.Hinge(),
    }
    threshold = {"sigmoid": 0.5, "binary_logit": 0.0, "tanh": 0.0}.get(classifier.ends_in.kind)
    accuracy = (
        "accuracy" if threshold is None else keras.metrics.BinaryAccuracy("accuracy", threshold=threshold)
    )
    model.compile(keras.optimizers.Adam(rate), losses[classifier.ends_in.kind], metrics=[accuracy])


def _settings(
    model: Any, x: Any, y: Any, options: PoolOptions, pools: PoolTraining, batch_size: int
) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    return {
        "data": _digest([x, y]),
        "start": _digest(model.get_weights()),
        "optimizer": type(model.optimizer).__name__,
        "pool": dataclasses.asdict(options),
        "layers": [state.layer for state in pools.states],
        "batch_size": batch_size,
    }


def _digest(arrays: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _by_epoch(logs: dict[str, list[float]]) -> list[dict[str, float]]:
    return [dict(zip(logs, map(float, epoch), strict=True)) for epoch in zip(*logs.values(), strict=True)]
