"""Deployed forms of a Keras model as files: LiteRT in four precisions, and ONNX."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

# LiteRT forms, in the order of the tables
KINDS = ("float32", "float16", "dynamic", "int8")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Converters tell of their work on stdout, and warn of what is meant."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def to_litert(model: keras.Model, kind: str, calibration: np.ndarray) -> bytes:
    """The model as LiteRT.

    Args:
        model: with one input.
        kind: ``"float32"``; ``"float16"``, weights in half precision; ``"dynamic"``, weights in 8 bits; or
            ``"int8"``, weights, activations, inputs and outputs in 8 bits.
        calibration: samples that show the range of activations, ``[N, *shape]``.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: ([row[None]] for row in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with _quietly():
        made: bytes = converter.convert()
    return made


def to_onnx(model: keras.Model, path: Path) -> None:
    """The model as ONNX, as Keras writes it; takes tf2onnx."""
    with _quietly():
        model(np.zeros((1, *model.input_shape[1:]), np.float32))  # what was never called is not exported
        model.export(path, format="onnx", verbose=False)


def all_forms(model: keras.Model, calibration: np.ndarray, folder: Path) -> dict[str, Path]:
    """Every form as a file in a folder, by name."""
    forms = {}
    for kind in KINDS:
        forms[f"litert-{kind}"] = folder / f"{model.name}-{kind}.tflite"
        forms[f"litert-{kind}"].write_bytes(to_litert(model, kind, calibration))
    forms["onnx"] = folder / f"{model.name}.onnx"
    to_onnx(model, forms["onnx"])
    return forms
