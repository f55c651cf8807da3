"""Deployed forms of small models, made on the spot."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

Kind = Literal["float32", "float16", "dynamic", "int8"]


def litert(model: keras.Model, kind: Kind, calibration: np.ndarray, rows: int | None = None) -> bytes:
    """A LiteRT file; ``rows``: the only number of rows that it takes."""
    if rows is not None:
        given = keras.layers.Input(batch_shape=(rows, *model.input_shape[1:]))
        model = keras.Model(given, model(given))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: ([row[None]] for row in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        made: bytes = converter.convert()
    return made


def onnx(model: keras.Model, path: Path) -> Path:
    """An ONNX file, as Keras writes it."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model(np.zeros((1, *model.input_shape[1:]), np.float32))  # it exports what was called
        model.export(path, format="onnx", verbose=False)
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
