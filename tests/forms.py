"""Deployed forms of small models, made on the spot."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

_FILE = Path(__file__).parents[1] / "examples" / "deployed" / "convert.py"
_SPEC = importlib.util.spec_from_file_location("deployed_convert", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
CONVERT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(CONVERT)
Kind = Literal["float32", "float16", "dynamic", "int8"]


def litert(model: keras.Model, kind: Kind, calibration: np.ndarray, rows: int | None = None) -> bytes:
    """A LiteRT file, as the example makes it; ``rows``: the only number of rows that it takes."""
    if rows is not None:
        given = keras.layers.Input(batch_shape=(rows, *model.input_shape[1:]))
        model = keras.Model(given, model(given))
    made: bytes = CONVERT.to_litert(model, kind, calibration)
    return made


def onnx(model: keras.Model, path: Path) -> Path:
    """An ONNX file, as the example makes it."""
    CONVERT.to_onnx(model, path)
    return path


def damaged(model: keras.Model, at: int) -> keras.Model:
    """The model with the weights of its layer at this position among those with weights in 2 bits."""
    made = keras.models.clone_model(model)
    made.set_weights(model.get_weights())
    layer = [layer for layer in made.layers if layer.weights][at]
    kernel, *others = layer.get_weights()
    step = np.abs(kernel).max() / 1.5
    layer.set_weights([np.clip(np.round(kernel / step - 0.5) + 0.5, -1.5, 1.5) * step, *others])
    return made


def linear(weights: Any, bias: Any) -> keras.Model:
    """Scores ``x @ weights + bias`` of samples of one axis."""
    weights = np.asarray(weights, np.float32)
    model = keras.Sequential([keras.layers.Input((len(weights),)), keras.layers.Dense(weights.shape[1])])
    model.set_weights([weights, np.asarray(bias, np.float32)])
    return model
