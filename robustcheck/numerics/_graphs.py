"""Functions as graphs."""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from functools import cached_property
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no type information


class Traced:
    """A function as a graph, traced when it is first used, with what the function refers to.

    It stays a graph while ``tf.config.run_functions_eagerly(True)`` is in force.
    """

    def __init__(self, function: Callable[..., Any], signature: tuple[Any, ...], **settings: Any) -> None:
        # a concrete function alone does not keep its variables, so this one is kept beside it
        self._function = tf.function(function, input_signature=signature, autograph=False, **settings)
        # one graph a model is what is meant, so that TensorFlow need not warn of many from one place
        self._function._omit_frequent_tracing_warning = True

    @cached_property
    def _graph(self) -> Any:
        return self._function.get_concrete_function()

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives."""
        return self._graph(*arguments)

    @property
    def operations(self) -> list[tuple[str, str]]:
        """Type and name of each operation that the output needs, without those of functions that it calls."""
        return [(operation.type, operation.name) for operation in operations_behind(self._graph.graph)]

    @property
    def values_a_row(self) -> int:
        """How many values its operations give for a row, without those of functions that it calls."""
        shapes = (
            output.shape for operation in self._graph.graph.get_operations() for output in operation.outputs
        )
        open_rows = (shape.as_list() for shape in shapes if shape.rank and shape[0] is None)
        return sum(math.prod(size or 1 for size in shape[1:]) for shape in open_rows)

    @property
    def output(self) -> Tensor:
        """The symbolic output: its type and shape."""
        return self._graph.outputs[0]


def operations_behind(graph: Any, known: Container[Any] = ()) -> list[Any]:
    """Operations that the outputs of a graph need, in an order in which each comes after those that it needs.

    ``known``: references of tensors that are there already, and need nothing.
    """
    needed: set[str] = set()
    waiting = [tensor for tensor in graph.outputs if tensor.ref() not in known]
    while waiting:
        operation = waiting.pop().op
        if operation.name not in needed:
            needed.add(operation.name)
            waiting += [tensor for tensor in operation.inputs if tensor.ref() not in known]
    return [operation for operation in graph.get_operations() if operation.name in needed]


def traced(*signature: tf.TensorSpec) -> Callable[[Callable[..., Any]], Traced]:
    """Decorator: trace a function once, for every number of rows that the signature leaves open."""
    return lambda function: Traced(function, signature)


def with_gradient(function: Callable[[Tensor], Tensor], rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """``function(rows)`` ``[B]`` and its gradient for each row ``[B, D]``, None where none reaches them.

    To be traced: a tape over a finished graph makes TensorFlow split it in two, which costs memory, and with
    some convolutions and odd numbers of rows its CPU kernels then corrupt it (TensorFlow 2.21).
    """
    with tf.GradientTape() as tape:
        tape.watch(rows)
        value = function(rows)
    return value, tape.gradient(value, rows)
