"""Logits out of a model that may end in probabilities.

A search on saturated probabilities finds nothing and calls the model robust. So the activation of the last
layer is left out while the logits are traced; that this was the right layer is checked by applying the
activation to what came out. Only where that cannot be done are logits made from the probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.errors import ConfigError, ModelRefused

Tensor = Any
Raw = Callable[[Tensor], Tensor]
HeadKind = Literal["logits", "softmax", "sigmoid", "binary_logit"]

# probabilities are float32: a smaller lead than this can vanish in them
_PROBABILITY_ROUNDING = 1e-6


@dataclass(frozen=True)
class Head:
    """What a model ends in, and how to get ``[B, K]`` logits and labels from it."""

    kind: HeadKind
    how: str
    logits: Raw
    label: Raw
    classes: int
    rounding: float


def find_head(
    output: Raw,
    compiled: Callable[[Raw], Raw],
    candidates: list[Any],
    probe: Tensor,
    asked: HeadKind | Literal["auto"],
) -> Head:
    """Find the head of a model.

    Args:
        output: rows ``[B, D]`` to the model's chosen output ``[B, units]``, float32.
        compiled: how to make a graph of such a function.
        candidates: layers that may hold the last activation, most likely first.
        probe: rows ``[P, D]`` to look at the output with.
        asked: the kind that the user says it is, or ``"auto"``.

    Raises:
        ModelRefused: the output is of no kind known, or not the kind asked for.
    """
    raw = compiled(output)
    out = raw(probe).numpy()

    def without(kind: str) -> Raw | None:
        return _before_activation(output, compiled, candidates, kind, out, probe)

    kind = _kind_of(out, bool(candidates), without) if asked == "auto" else _checked(asked, out.shape[-1])
    units = out.shape[-1]
    if kind == "logits":
        return Head(kind, "logits", raw, _argmax(raw), units, 0.0)
    if kind == "binary_logit":
        return Head(kind, "one logit", _two_logits(raw), _above(raw, 0.0), 2, 0.0)
    before = without(kind)
    if kind == "softmax":
        how = "softmax, logits recovered" if before else "softmax, log of probabilities"
        logits = before or (lambda rows: tf.math.log(tf.maximum(raw(rows), 1e-37)))
        return Head(kind, how, logits, _argmax(raw), units, _PROBABILITY_ROUNDING)
    how = "sigmoid, logit recovered" if before else "sigmoid, log of probabilities"
    return Head(kind, how, _two_logits(before or _log_odds(raw)), _above(raw, 0.5), 2, _PROBABILITY_ROUNDING)


def _checked(asked: HeadKind, units: int) -> HeadKind:
    if asked not in get_args(HeadKind):
        raise ConfigError(f"head: expected 'auto' or one of {list(get_args(HeadKind))}, got {asked!r}")
    one = asked in ("sigmoid", "binary_logit")
    if one != (units == 1):
        expected = "one output" if one else "one output a class"
        raise ModelRefused(f"head={asked!r}: expected {expected}, got {units} outputs")
    return asked


def _kind_of(out: NDArray[np.float32], has_layers: bool, without: Callable[[str], Raw | None]) -> HeadKind:
    inside = bool(np.all((out >= 0) & (out <= 1)))
    units = out.shape[-1]
    if units == 1:
        if inside:
            return "sigmoid"
        raise ModelRefused(
            "the model has one output without a sigmoid: expected one logit or probability a class; if it "
            'is the logit of a two-class model, pass head="binary_logit"'
        )
    if inside and np.allclose(out.sum(axis=-1), 1.0, atol=2e-3):
        return "softmax"
    if inside and (not has_layers or without("sigmoid") is not None):
        raise ModelRefused(
            f"the model's {units} outputs look like independent sigmoids (values in [0, 1] that do not add "
            "up to 1): expected one class a sample, got a multi-label head; if they are logits, pass "
            'head="logits"'
        )
    return "logits"


def _before_activation(
    output: Raw,
    compiled: Callable[[Raw], Raw],
    candidates: list[Any],
    kind: str,
    out: NDArray[np.float32],
    probe: Tensor,
) -> Raw | None:
    """The output without its softmax or sigmoid, if a layer applies it, else None."""
    activate = tf.nn.softmax if kind == "softmax" else tf.nn.sigmoid
    for layer in candidates:
        if not _applies(layer, kind):
            continue

        def linear(rows: Tensor, layer: Any = layer) -> Tensor:
            with _without_activation(layer):
                return output(rows)

        bare = compiled(linear)
        again = activate(bare(probe)).numpy()
        if again.shape == out.shape and np.allclose(again, out, atol=2e-3):
            return bare
    return None


def _applies(layer: Any, kind: str) -> bool:
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", "") == kind or type(layer).__name__.lower() == kind


@contextmanager
def _without_activation(layer: Any) -> Iterator[None]:
    """Leave out a layer's activation, or a whole activation layer, while the model is being traced."""
    name = "activation" if getattr(layer, "activation", None) is not None else "call"
    kept_on_instance = name in vars(layer)
    kept = getattr(layer, name)
    setattr(layer, name, _identity)
    try:
        yield
    finally:
        if kept_on_instance:
            setattr(layer, name, kept)
        else:
            delattr(layer, name)


def _identity(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x


def _two_logits(one: Raw) -> Raw:
    def logits(rows: Tensor) -> Tensor:
        z = one(rows)
        return tf.concat([tf.zeros_like(z), z], axis=-1)

    return logits


def _log_odds(raw: Raw) -> Raw:
    def logit(rows: Tensor) -> Tensor:
        p = raw(rows)
        return tf.math.log(tf.maximum(p, 1e-37)) - tf.math.log(tf.maximum(1.0 - p, 1e-37))

    return logit


def _argmax(raw: Raw) -> Raw:
    return lambda rows: tf.argmax(raw(rows), axis=-1, output_type=tf.int32)


def _above(raw: Raw, threshold: float) -> Raw:
    return lambda rows: tf.cast(raw(rows)[:, 0] > threshold, tf.int32)
