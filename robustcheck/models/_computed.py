"""The gradient of what a model computes, where that is not the one that it declares.

Operations are done again (:mod:`robustcheck.models._recorded`), which leaves out every gradient of the
model's own, with these changes. What stops a gradient hands it on. What goes in steps keeps its value and
gets the slope of the identity (the straight-through estimator of Bengio, Leonard and Courville 2013,
arXiv:1308.3432) or, where it compares, that of a smooth step as wide as what is compared; backward pass
differentiable approximation is its name in Athalye, Carlini and Wagner 2018 (arXiv:1802.00420). Nothing here
is believed: slopes are held against differences of the scores, and examples against the model itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from robustcheck.models._recorded import Done, Function, Operation, Recorded, Rule, Tensor

_COMPARING = ("Greater", "GreaterEqual", "Less", "LessEqual")
_HANDING_ON = ("Identity", "EnsureShape", "Reshape", "Squeeze", "ExpandDims", "StopGradient")


def computed(function: Function, signature: tf.TensorSpec) -> Function:
    """The function with the gradient of what it computes; to be traced."""
    recorded = Recorded(function, signature)
    return lambda rows: recorded.again(rows, RULES)


def _with_slope_of(value: Tensor, smooth: Tensor) -> Tensor:
    """A value with the gradient of something else of its shape."""

    def chosen(smooth: Tensor) -> Any:
        return tf.identity(value), lambda dy: tf.cast(dy, smooth.dtype)

    return tf.custom_gradient(chosen)(smooth)


def _handed_on(operation: Operation, inputs: list[Tensor], _: Done) -> list[Tensor] | None:
    del operation
    return inputs


def _through(operation: Operation, inputs: list[Tensor], done: Done) -> list[Tensor]:
    """Rounding: its value, and the slope of what is rounded."""
    (value,) = done(operation, inputs)
    return [_with_slope_of(value, inputs[0])]


def _sign(operation: Operation, inputs: list[Tensor], done: Done) -> list[Tensor]:
    (value,) = done(operation, inputs)
    return [_with_slope_of(value, 2.0 * _smooth_step(inputs[0]) - 1.0)]


def _remainder(operation: Operation, inputs: list[Tensor], done: Done) -> list[Tensor]:
    """What rounding leaves over: its value, and no slope."""
    return [tf.stop_gradient(value) for value in done(operation, inputs)]


def _cast(operation: Operation, inputs: list[Tensor], done: Done) -> list[Tensor] | None:
    """Of what was compared, or was a whole number for a while."""
    wanted = operation.outputs[0].dtype
    given = operation.inputs[0]
    if not wanted.is_floating or given.dtype.is_floating:
        return None
    (value,) = done(operation, inputs)
    source = _source(given)
    if source.type in _COMPARING:
        return [_with_slope_of(value, tf.cast(_compared(source, done), wanted))]
    if source.type == "Cast" and source.inputs[0].dtype.is_floating:
        return [_with_slope_of(value, tf.cast(done.known(source.inputs[0]), wanted))]
    return None


def _select(operation: Operation, inputs: list[Tensor], done: Done) -> list[Tensor] | None:
    """A choice: a side that is no number is none, and what jumps gets a slope."""
    _, chosen, other = inputs
    for side, instead in ((1, other), (2, chosen)):
        if _is_no_number(operation.inputs[side]):
            return [tf.broadcast_to(instead, tf.shape(done(operation, inputs)[0]))]
    source = _source(operation.inputs[0])
    if source.type not in _COMPARING or not chosen.dtype.is_floating:
        return None
    (value,) = done(operation, inputs)
    weight = tf.cast(_compared(source, done), chosen.dtype)
    if operation.type == "Select" and weight.shape.rank != value.shape.rank:
        return None
    # added to the slope that the side chosen has
    return [value + tf.stop_gradient(chosen - other) * (weight - tf.stop_gradient(weight))]


def _one_hot(operation: Operation, inputs: list[Tensor], done: Done) -> list[Tensor] | None:
    """The place of the largest: its value, and the slope of a softmax."""
    source = _source(operation.inputs[0])
    if source.type != "ArgMax" or not operation.outputs[0].dtype.is_floating:
        return None
    scores = done.known(source.inputs[0])
    axis = tf.get_static_value(source.inputs[1])
    if axis is None or int(axis) not in (-1, scores.shape.rank - 1):
        return None
    (value,) = done(operation, inputs)
    smooth = tf.nn.softmax(scores / _scale(scores))
    return (
        [_with_slope_of(value, tf.cast(smooth, value.dtype))]
        if smooth.shape.rank == value.shape.rank
        else None
    )


def _source(tensor: Tensor) -> Operation:
    """The operation that made a tensor, past those that hand it on."""
    while tensor.op.type in _HANDING_ON or (
        tensor.op.type == "Cast" and tensor.op.inputs[0].dtype == tensor.dtype
    ):
        tensor = tensor.op.inputs[0]
    return tensor.op


def _compared(comparison: Operation, done: Done) -> Tensor:
    """A comparison as a smooth step."""
    left, right = (done.known(side) for side in comparison.inputs)
    step = _smooth_step(left - right)
    return step if comparison.type in ("Greater", "GreaterEqual") else 1.0 - step


def _smooth_step(difference: Tensor) -> Tensor:
    return tf.sigmoid(difference / _scale(difference))


def _scale(values: Tensor) -> Tensor:
    """How large the values of each row are."""
    axes = list(range(1, values.shape.rank or 1))
    size = tf.reduce_mean(tf.abs(values), axis=axes, keepdims=True) if axes else tf.abs(values)
    return tf.stop_gradient(0.5 * size + 1e-6)


def _is_no_number(tensor: Tensor) -> bool:
    value = tf.get_static_value(tensor)
    return value is not None and value.dtype.kind == "f" and not np.isfinite(value).any()


RULES: dict[str, Rule] = {
    **dict.fromkeys(("StopGradient", "PreventGradient"), _handed_on),
    **dict.fromkeys(("Round", "Rint", "Floor", "Ceil"), _through),
    **dict.fromkeys(("FloorMod", "Mod"), _remainder),
    **dict.fromkeys(("Select", "SelectV2"), _select),
    "Sign": _sign,
    "Cast": _cast,
    "OneHot": _one_hot,
}
