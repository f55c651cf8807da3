"""What the traced graph of a model ends in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Tensor = Any

# what the last operation of a graph says of the output
_ENDS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "BiasAdd": "linear", "MatMul": "linear"}
# operations that hand on what they are given; the second may change its shape
_HANDING_ON = ("Identity", "Cast", "EnsureShape", "CheckNumerics")
_SHAPING = ("Reshape", "Squeeze", "ExpandDims", "StridedSlice")
# operations that a softmax or sigmoid written by hand, or one in a function of its own, may end in
_HIDING = (
    "PartitionedCall", "StatefulPartitionedCall", "RealDiv", "Reciprocal", "Exp", "Mul", "Pow", "Minimum",
    "Maximum", "ClipByValue", "Relu6",
)  # fmt: skip
_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float64": 2.0**-52}


@dataclass(frozen=True)
class End:
    """What the graph shows of the output.

    ``kind``: what it ends in, "hidden" where that may be anything, None where it is something else;
    ``epsilon``: relative rounding of its type.
    """

    kind: Literal["softmax", "sigmoid", "tanh", "linear", "hidden"] | None
    epsilon: float


def end_of(out: Tensor) -> End:
    """What a symbolic output ``[B, units]`` comes from."""
    last = last_operation(out).type
    kind: Any = _ENDS.get(last, "hidden" if last in _HIDING else None)
    return End(kind, _EPSILON.get(out.dtype.name, 2.0**-23))


def last_operation(out: Tensor) -> Any:
    """The operation that made a symbolic tensor ``[B, units]``, past those that hand it on."""
    tensor = out
    while tensor.op.type in (*_HANDING_ON, *_SHAPING):
        given = tensor.op.inputs[0]
        if not (given.dtype.is_floating and _is_the_same(tensor.op.type, given.shape, out.shape)):
            break
        tensor = given
    return tensor.op


def _is_the_same(operation: str, given: Any, out: Any) -> bool:
    """Whether an operation is given the outputs ``[B, units]`` of each sample, none mixed or lost."""
    if given.rank is None or operation in _HANDING_ON:
        return given.rank is not None
    if out[-1] == 1:
        return all(size == 1 for size in given[1:])
    return operation != "StridedSlice" and given.rank > 0 and given[-1] == out[-1]
