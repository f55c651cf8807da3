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
from robustcheck.models import LayerGraph, inputs_of, layer_of

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
    graph = LayerGraph(model)
    if layers == "all":
        names = _between_kernels(graph)
    else:
        names = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
        known = [INPUT, *_cutting(graph)]
        strange = [name for name in names if name not in known]
        if strange or not names:
            raise ConfigError(
                f"layers: expected layers that cut the graph, with trainable layers above, {known}, got "
                f"{strange or 'none'}"
            )
    return [_cut(model, graph, name, box) for name in names]


def _cut(model: Any, graph: LayerGraph, name: str, box: BoxLike) -> Cut:
    if name == INPUT:
        return Cut(name, None, model, Box.of(box))
    tensor = graph.layers[name].output
    below = keras.Model(model.inputs[0], tensor, name=f"below_{name}")
    above = keras.Model(tensor, model.outputs[0], name=f"above_{name}")
    return Cut(name, below, above, Box.of(_range(graph, tensor, box)))


def _cutting(graph: LayerGraph) -> Iterator[str]:
    """Names of the layers that cut the graph and have trainable weights above."""
    for name, layer in graph.layers.items():
        if _cuts(graph, layer):
            yield name


def _cuts(graph: LayerGraph, layer: Any) -> bool:
    try:
        tensor = layer.output
    except AttributeError:  # a layer that is used more than once has no one output
        return False
    if isinstance(tensor, (list, tuple, dict)) or tensor is graph.sink:
        return False
    seen = list(graph.above(tensor))
    trainable = any(layer.trainable_weights for layer in seen if layer is not None)
    return trainable and None not in seen


def _between_kernels(graph: LayerGraph) -> list[str]:
    """The input, and what goes into each further layer with a kernel, if it cuts the graph."""
    there = set(_cutting(graph))
    names = [INPUT]
    for layer in graph.layers.values():
        if getattr(layer, "kernel", None) is None or not layer.trainable:
            continue
        tensor = layer.input if not isinstance(layer.input, (list, tuple, dict)) else None
        while tensor is not None and tensor is not graph.source:
            if not type(layer_of(tensor)).__name__.startswith(_ONLY_IN_TRAINING):
                break
            tensor = inputs_of(tensor)[0]
        if tensor is None or not graph.trained_below(tensor):
            continue
        name = layer_of(tensor).name
        if name in there and name not in names:
            names.append(name)
    return names


def _range(graph: LayerGraph, tensor: Any, box: BoxLike) -> tuple[Any, Any]:
    """The values that a tensor of the graph can have."""
    if tensor is graph.source:
        sides = Box.of(box)
        # values of the input's own box, feature by feature, mean nothing in another shape
        return float(sides.lower.min()), float(sides.upper.max())
    layer = layer_of(tensor)
    kind = type(layer).__name__
    if kind == "ReLU":
        plain = not layer.negative_slope and not layer.threshold
        return (0.0, float(layer.max_value or math.inf)) if plain else _ANY
    if kind.startswith((*_PASSING, *_ONLY_IN_TRAINING)):
        return _range(graph, inputs_of(tensor)[0], box)
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return _RANGES.get(name or kind.lower(), _ANY)
