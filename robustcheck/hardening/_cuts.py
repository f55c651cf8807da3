"""Layers that cut a model in two: what follows depends on the input through their output alone.

For such a layer the part above is a classifier of its own, with the range of the layer's activations as its
box. A layer beside a skip connection is none: what follows sees more than its output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from robustcheck.config import Box, BoxLike
from robustcheck.errors import ConfigError, ModelRefused

INPUT = "input"

# the values that an activation can give
_RANGES: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
    "exponential": (0.0, math.inf),
    "elu": (-1.0, math.inf),
}
_ANY = (-math.inf, math.inf)
# layers whose output has the range of their input
_PASSING = (
    "Flatten", "Reshape", "Permute", "Cropping", "MaxPooling", "AveragePooling", "GlobalMaxPooling",
    "GlobalAveragePooling",
)  # fmt: skip
# layers that do nothing but in training: examples are made below them, so that training has them too
_ONLY_IN_TRAINING = ("Dropout", "SpatialDropout", "AlphaDropout", "GaussianDropout", "GaussianNoise")


@dataclass(frozen=True, eq=False)
class Cut:
    """A place to make adversarial examples at.

    Attributes:
        name: of the layer; "input" for the model's input.
        below: model from the inputs to the layer's output; None at the input.
        above: model from there to the outputs. Both share the weights of the model that was cut.
        box: the range of the activations.
    """

    name: str
    below: Any
    above: Any
    box: Box


def find_cuts(model: Any, layers: str | Sequence[str] = "all", box: BoxLike = (0.0, 1.0)) -> list[Cut]:
    """Where pools can be kept.

    Args:
        model: a built Sequential or functional Keras model with one input and one output.
        layers: "all", the input and what goes into each layer with a kernel; "input"; or names of layers,
            "input" among them.
        box: the values of the model's own input.

    Raises:
        ModelRefused: a model without a graph of layers, or with several inputs or outputs.
        ConfigError: names of layers that do not cut the graph; with the list of those that do.
    """
    batch = (getattr(model, "input_shape", None) or (None,))[0]
    if isinstance(batch, int):
        raise ModelRefused(
            f"harden: expected a model that takes any number of samples, got one for batches of {batch}"
        )
    graph = _Graph(model)
    if layers == "all":
        names = graph.between_kernels()
    else:
        names = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
        known = [INPUT, *graph.cutting()]
        strange = [name for name in names if name not in known]
        if strange or not names:
            raise ConfigError(
                f"layers: expected layers that cut the graph, with trainable layers above, {known}, got "
                f"{strange or 'none'}"
            )
    return [_cut(model, graph, name, box) for name in names]


def _cut(model: Any, graph: _Graph, name: str, box: BoxLike) -> Cut:
    if name == INPUT:
        return Cut(name, None, model, Box.of(box))
    tensor = graph.layers[name].output
    below = keras.Model(model.inputs[0], tensor, name=f"below_{name}")
    above = keras.Model(tensor, model.outputs[0], name=f"above_{name}")
    return Cut(name, below, above, Box.of(_range(graph, tensor, box)))


class _Graph:
    """The layers of a functional model, by name in the order of the model, and how they hang together."""

    def __init__(self, model: Any) -> None:
        if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
            raise ModelRefused(
                "harden: expected a built Sequential or functional Keras model, got one without a graph of "
                "layers"
            )
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ModelRefused(
                f"harden: expected a model with one input and one output, got {len(model.inputs)} and "
                f"{len(model.outputs)}"
            )
        self.source, self.sink = model.inputs[0], model.outputs[0]
        self.layers = {
            layer.name: layer
            for layer in model.layers
            if type(layer).__name__ != "InputLayer" and len(getattr(layer, "_inbound_nodes", ())) >= 1
        }

    def cutting(self) -> Iterator[str]:
        """Names of the layers that cut the graph and have trainable weights above."""
        for name, layer in self.layers.items():
            if self._cuts(layer):
                yield name

    def _cuts(self, layer: Any) -> bool:
        try:
            tensor = layer.output
        except AttributeError:  # a layer that is used more than once has no one output
            return False
        if isinstance(tensor, (list, tuple, dict)) or tensor is self.sink:
            return False
        seen = list(self._above(tensor))
        trainable = any(one.trainable_weights for one in seen if one is not None)
        return trainable and None not in seen

    def _above(self, cut: Any) -> Iterator[Any]:
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
            yield tensor._keras_history.operation
            stack += inputs_of(tensor)

    def between_kernels(self) -> list[str]:
        """The input, and what goes into each further layer with a kernel, if it cuts the graph."""
        cutting = set(self.cutting())
        names = [INPUT]
        for layer in self.layers.values():
            if getattr(layer, "kernel", None) is None or not layer.trainable:
                continue
            tensor = layer.input if not isinstance(layer.input, (list, tuple, dict)) else None
            while tensor is not None and tensor is not self.source:
                below = tensor._keras_history.operation
                if not type(below).__name__.startswith(_ONLY_IN_TRAINING):
                    break
                tensor = inputs_of(tensor)[0]
            if tensor is None or self._same_as_input(tensor):
                continue
            name = tensor._keras_history.operation.name
            if name in cutting and name not in names:
                names.append(name)
        return names

    def _same_as_input(self, tensor: Any) -> bool:
        """Whether there are no trained weights between the input and a tensor."""
        while tensor is not self.source:
            if tensor._keras_history.operation.trainable_weights:
                return False
            below = inputs_of(tensor)
            if len(below) != 1:
                return False
            tensor = below[0]
        return True


def inputs_of(tensor: Any) -> list[Any]:
    """The tensors that a symbolic tensor is made of."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def _range(graph: _Graph, tensor: Any, box: BoxLike) -> tuple[Any, Any]:
    """The values that a tensor of the graph can have."""
    if tensor is graph.source:
        sides = Box.of(box)
        # values of the input's own box, feature by feature, mean nothing in another shape
        return float(sides.lower.min()), float(sides.upper.max())
    layer = tensor._keras_history.operation
    kind = type(layer).__name__
    if kind == "ReLU":
        plain = not layer.negative_slope and not layer.threshold
        return (0.0, float(layer.max_value or math.inf)) if plain else _ANY
    if kind.startswith((*_PASSING, *_ONLY_IN_TRAINING)):
        return _range(graph, inputs_of(tensor)[0], box)
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return _RANGES.get(name or kind.lower(), _ANY)
