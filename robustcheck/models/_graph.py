"""The layers of a functional Keras model and how they hang together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from robustcheck.errors import ModelRefused
from robustcheck.models._inputs import name_of


class LayerGraph:
    """The layers of a model with one input and one output.

    Attributes:
        source, sink: the symbolic input and output.
        layers: by name in the order of the model; inputs are none.

    Raises:
        ModelRefused: a model without a graph of layers, or with several inputs or outputs.
    """

    def __init__(self, model: Any) -> None:
        if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
            raise ModelRefused(
                f"{name_of(model)}: expected a built Sequential or functional Keras model, got one without a "
                "graph of layers"
            )
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ModelRefused(
                f"{name_of(model)}: expected a model with one input and one output, got {len(model.inputs)} "
                f"and {len(model.outputs)}"
            )
        self.source, self.sink = model.inputs[0], model.outputs[0]
        self.layers = {
            layer.name: layer
            for layer in model.layers
            if type(layer).__name__ != "InputLayer" and len(getattr(layer, "_inbound_nodes", ())) >= 1
        }

    def above(self, cut: Any) -> Iterator[Any]:
        """Layers on the way back from the output that stops at ``cut``; None where it comes to the input."""
        stack, known = [self.sink], {id(cut)}
        while stack:
            tensor = stack.pop()
            if id(tensor) in known:
                continue
            known.add(id(tensor))
            if tensor is self.source:
                yield None
                continue
            yield layer_of(tensor)
            stack += inputs_of(tensor)

    def trained_below(self, tensor: Any) -> bool:
        """Whether trained weights, or more than one way, lead from the input to a tensor."""
        while tensor is not self.source:
            if layer_of(tensor).trainable_weights:
                return True
            below = inputs_of(tensor)
            if len(below) != 1:
                return True
            tensor = below[0]
        return False


def layer_of(tensor: Any) -> Any:
    """The layer or operation that gives a symbolic tensor."""
    return tensor._keras_history.operation


def inputs_of(tensor: Any) -> list[Any]:
    """The tensors that a symbolic tensor is made of."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)
