"""What the traced graph of a model ends in, and what of that does not change which class is the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from robustcheck.models._recorded import CALLS

Tensor = Any

# what the last operation of a graph says of the output
_ENDS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "BiasAdd": "linear", "MatMul": "linear"}
# operations that hand on what they are given; the second may change its shape
_HANDING_ON = ("Identity", "Cast", "EnsureShape", "CheckNumerics", "StopGradient", "PreventGradient")
_SHAPING = ("Reshape", "Squeeze", "ExpandDims", "StridedSlice")
# operations that a softmax or sigmoid written by hand, or one in a function of its own, may end in
_HIDING = (
    *CALLS, "RealDiv", "Reciprocal", "Exp", "Mul", "Pow", "Minimum", "Maximum", "ClipByValue", "Relu6",
    "OneHot",
)  # fmt: skip
_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float64": 2.0**-52}
# Operations after which the largest class is still one of the largest. Of these a search cannot see through
# the first two kinds, which are flat where they saturate: rising functions of each value, and what takes the
# smaller or larger of it and something that is the same for all classes.
_RISING = (
    "Softmax", "LogSoftmax", "Exp", "Expm1", "Log", "Log1p", "Sigmoid", "Tanh", "Softplus", "Softsign",
    "Sqrt", "Atan", "Asinh", "Erf", "Elu", "Selu", "Relu", "Relu6", "ClipByValue", "Round", "Rint", "Floor",
    "Ceil", "Sign",
)  # fmt: skip
_BOUNDING = ("Minimum", "Maximum")
_COMPARING = ("Equal", "Greater", "GreaterEqual")
# something that is the same for all classes on either side, or to the right
_EITHER_SIDE = (*_BOUNDING, "Mul", "Add", "AddV2")
_RIGHT_SIDE = (*_COMPARING, "Sub", "RealDiv", "DivNoNan")


@dataclass(frozen=True)
class End:
    """What the graph shows of the output.

    ``kind``: what it ends in, "hidden" where that may be anything, None where it is something else;
    ``epsilon``: relative rounding of its type; ``left_out``: operations at the end without which the same
    class is the largest, the last first.
    """

    kind: Literal["softmax", "sigmoid", "tanh", "linear", "hidden"] | None
    epsilon: float
    left_out: tuple[str, ...] = ()


def end_of(out: Tensor) -> End:
    """What a symbolic output ``[B, units]`` comes from."""
    last = last_operation(out).type
    kind: Any = _ENDS.get(last, "hidden" if last in _HIDING else None)
    return End(kind, _EPSILON.get(out.dtype.name, 2.0**-23), scores_before(out)[1])


def is_called(out: Tensor) -> bool:
    """Whether an output comes out of a function that the graph calls, which hides what it ends in."""
    return last_operation(out).type in CALLS


def last_operation(out: Tensor) -> Any:
    """The operation that made a symbolic tensor ``[B, units]``, past those that hand it on."""
    return _handed_on(out, out.shape).op


def scores_before(out: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """The first tensor ``[B, K]`` whose largest class is that of an output, and what comes after it.

    The way back goes through what leaves the order of the classes as it was, and ends before the first
    operation that flattens it: a scale that nothing flattens is kept, since it harms no search.
    """
    scores, passed = out, list[str]()
    left_out: tuple[str, ...] = ()
    tensor = _handed_on(out, out.shape)
    while (given := _ordered(tensor)) is not None:
        kind = tensor.op.type
        passed.append(kind)
        tensor = _handed_on(given, out.shape)
        if kind in (*_RISING, *_BOUNDING, *_COMPARING, "OneHot"):
            scores, left_out = tensor, tuple(passed)
    return scores, left_out


def _handed_on(tensor: Tensor, out: Any) -> Tensor:
    """A tensor before what hands it on, as outputs of the shape ``out``."""
    while tensor.op.type in (*_HANDING_ON, *_SHAPING):
        given = tensor.op.inputs[0]
        known = given.dtype.is_floating or given.dtype == tf.bool
        if not (known and _is_the_same(tensor.op.type, given.shape, out)):
            break
        tensor = given
    if tensor.op.type == "IdentityN":  # what a function with a gradient of its own gives
        return _handed_on(tensor.op.inputs[tensor.value_index], out)
    return tensor


def _is_the_same(operation: str, given: Any, out: Any) -> bool:
    """Whether an operation is given the outputs ``[B, units]`` of each sample, none mixed or lost."""
    if given.rank is None or operation in _HANDING_ON:
        return given.rank is not None
    if out[-1] == 1:
        return all(size == 1 for size in given[1:])
    return operation != "StridedSlice" and given.rank > 0 and given[-1] == out[-1]


def _ordered(tensor: Tensor) -> Tensor | None:
    """What a tensor ``[B, K]`` was made of whose largest class is the same; None where that is not known."""
    operation, classes = tensor.op, tensor.shape[-1]
    inputs = list(operation.inputs)
    if operation.type in _RISING:
        return inputs[0]
    if operation.type in (*_EITHER_SIDE, *_RIGHT_SIDE):
        sides = (0, 1) if operation.type in _EITHER_SIDE else (0,)
        for side in sides:
            if inputs[side].shape[-1:] == [classes] and _same_for_all(inputs[1 - side]):
                return inputs[side]
    if operation.type == "OneHot" and inputs[0].op.type == "ArgMax":
        return inputs[0].op.inputs[0]
    return None


def _same_for_all(side: Tensor) -> bool:
    """Whether a tensor has one value for all classes of a sample."""
    if side.shape.rank is not None and (side.shape.rank == 0 or side.shape[-1] == 1):
        return True
    value = tf.get_static_value(side)
    return value is not None and bool(np.all(value == np.reshape(value, -1)[0]))
