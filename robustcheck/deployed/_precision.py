"""Forms of the audited model made on the spot: the same layers in another type."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from robustcheck.errors import ModelRefused, one_line
from robustcheck.text import option


def in_precision(model: Any, precision: str, name: str) -> Any:
    """A Keras model with its layers in ``"float16"`` or ``"bfloat16"``, or quantised to ``"int8"`` by Keras.

    The model itself stays as it is.

    Raises:
        ModelRefused: Keras cannot make the model again from its configuration, or not in this type.
    """
    if not isinstance(model, keras.Model):
        raise ModelRefused(
            f"{option('precision', precision)}: expected a Keras model, got {type(model).__name__} as {name}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = keras.models.clone_model(model, clone_function=_in(precision))
            made.set_weights(model.get_weights())
            if precision == "int8":
                made.quantize("int8")
        return made
    except Exception as error:
        raise ModelRefused(
            f"{option('precision', precision)}: {name} could not be made again so: {one_line(error)}"
        ) from error


def _in(precision: str) -> Any:
    """Makes a layer again in a type; quantisation comes after the weights."""

    def made(layer: Any) -> Any:
        config = layer.get_config()
        if precision != "int8":
            config["dtype"] = precision
        return type(layer).from_config(config)

    return made
