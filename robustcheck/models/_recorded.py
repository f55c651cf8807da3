"""A function as the operations it is made of, which can be done again in another way.

What a model declares as its gradient need not be that of what it computes: a gradient can be stopped,
exchanged by one of the model's own, or lost where values are rounded. All of that hangs on single operations
of the traced graph. So the graph is recorded and its operations are made once more, one after the other, some
of them differently; functions that it calls are done in place. Variables stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import tensorflow as tf

from robustcheck.numerics import operations_behind

Tensor = Any
Operation = Any
Function = Callable[[Tensor], Tensor]
# operations that call a function of the graph
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# which operations lie beside it, by their old names
_NOT_AGAIN = ("_class",)
# names the gradient that is declared for an operation
_DECLARED = "_gradient_op_type"


class Done(Protocol):
    """What a rule may ask: the operation as it is, and what stands for tensors that were made before."""

    def __call__(self, operation: Operation, inputs: list[Tensor]) -> list[Tensor]: ...

    def known(self, tensor: Tensor) -> Tensor: ...


# what to make of an operation with these inputs instead; None = the operation itself
Rule = Callable[[Operation, list[Tensor], Done], "list[Tensor] | None"]


class Recorded:
    """A traced function ``[B, D] -> [B, units]``."""

    def __init__(self, function: Function, signature: tf.TensorSpec) -> None:
        # kept, since a graph alone does not keep its variables
        self._function = tf.function(function, input_signature=[signature], autograph=False)
        self._function._omit_frequent_tracing_warning = True
        self._graph = self._function.get_concrete_function().graph

    def again(self, rows: Tensor, instead: Mapping[str, Rule] | None = None) -> Tensor:
        """The function once more, to be traced.

        ``instead``: rules by type of operation; with them come no gradients that the function declares.
        """
        given = {self._graph.inputs[0].ref(): rows}
        given |= {inner.ref(): outer for outer, inner in self._graph.captures}
        return _Again(self._graph, given, instead).outputs()[0]


class _Again:
    """Makes the operations of a graph, and of those that it calls, in the one that is being traced."""

    def __init__(self, graph: Any, given: dict[Any, Tensor], instead: Mapping[str, Rule] | None) -> None:
        self._graph = graph
        self._known = given
        self._instead = instead

    def outputs(self) -> list[Tensor]:
        """Of the graph."""
        for operation in operations_behind(self._graph, self._known):
            inputs = [self.known(tensor) for tensor in operation.inputs]
            rule = None if self._instead is None else self._instead.get(operation.type)
            made = rule(operation, inputs, self) if rule else None
            if made is None:
                made = self(operation, inputs)
            for old, new in zip(operation.outputs, made, strict=True):
                self._known[old.ref()] = new
        return [self.known(tensor) for tensor in self._graph.outputs]

    def known(self, tensor: Tensor) -> Tensor:
        """What stands for a tensor of the graph that was made before."""
        return self._known[tensor.ref()]

    def __call__(self, operation: Operation, inputs: list[Tensor]) -> list[Tensor]:
        """An operation as it is."""
        kind = operation.type
        if kind in CALLS:
            return self._called(operation.get_attr("f"), inputs)
        if kind in ("While", "StatelessWhile"):
            return self._loop(operation, inputs)
        if kind in ("If", "StatelessIf"):
            names = operation.get_attr("then_branch"), operation.get_attr("else_branch")
            then, other = (partial(self._called, name, inputs[1:]) for name in names)
            return _several(tf.cond(inputs[0], then, other))
        if kind in ("Case", "StatelessCase"):
            branches = [partial(self._called, name, inputs[1:]) for name in operation.get_attr("branches")]
            return _several(tf.switch_case(inputs[0], branches))
        never = _NOT_AGAIN if self._instead is None else (*_NOT_AGAIN, _DECLARED)
        attributes = {name: value for name, value in operation.node_def.attr.items() if name not in never}
        again = tf.compat.v1.get_default_graph().create_op(
            kind, inputs, [tensor.dtype for tensor in operation.outputs], attrs=attributes, name="again"
        )
        return list(again.outputs)

    def _called(self, function: Any, inputs: list[Tensor]) -> list[Tensor]:
        """A function that an operation names, done in place."""
        graph = self._graph._get_function(function.name).graph
        given = {inner.ref(): outer for inner, outer in zip(graph.inputs, inputs, strict=True)}
        return _Again(graph, given, self._instead).outputs()

    def _loop(self, operation: Operation, inputs: list[Tensor]) -> list[Tensor]:
        going_on, body = operation.get_attr("cond"), operation.get_attr("body")
        shapes = [
            tensor.shape if given.shape.rank is not None else given.shape
            for tensor, given in zip(operation.outputs, inputs, strict=True)
        ]
        made = tf.while_loop(
            lambda *state: self._called(going_on, list(state))[0],
            lambda *state: self._called(body, list(state)),
            inputs,
            shape_invariants=shapes,
        )
        return _several(made)


def _several(made: Any) -> list[Tensor]:
    return list(made) if isinstance(made, (list, tuple)) else [made]


def in_place(function: Function, signature: tf.TensorSpec) -> Function:
    """A function without those that it calls: what they do is done in it; to be traced."""
    recorded = Recorded(function, signature)
    return lambda rows: recorded.again(rows)
