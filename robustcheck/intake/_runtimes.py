"""Model files that decide and have no gradient: LiteRT and ONNX, run by their own runtimes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ModelRefused, one_line
from robustcheck.intake._copy import ModelFile
from robustcheck.intake._look import Look
from robustcheck.intake._weights import StoredWeights
from robustcheck.startup import held_back

Array: TypeAlias = NDArray[Any]
# rows that a LiteRT interpreter is made for, where the file allows it; the rest goes one by one
_SIZES = (32, 1)
# a file of fewer bytes holds nothing, and no parameter takes more than these
_LEAST, _A_PARAMETER = 16, 8


@dataclass(frozen=True, kw_only=True, eq=False)
class RuntimeModel:
    """A model as its runtime calls it.

    Attributes:
        predict: values ``[B, *shape]`` float32, as the model takes them, to scores ``[B, K]`` float32.
            Quantised inputs and outputs are quantised and brought back by the scales of the file; batches of
            a file that takes one number of rows are filled up.
        shape: of a sample; None where the file leaves a size open, or all of it.
        whole: whether it takes whole numbers that no scale of the file belongs to: stored pixels.
        runtime: name and version of what runs it.
        types: of its inputs and outputs, in words.
    """

    predict: Callable[[Array], Array]
    shape: tuple[int | None, ...] | None
    whole: bool
    runtime: str
    types: str


def look_at_runtime(file: ModelFile, most_parameters: int) -> Look:
    """Look at a file's first bytes and its size, before a runtime parses it.

    Raises:
        ModelRefused: it is of another kind, or too large.
    """
    with file.path.open("rb") as stream:
        begins = stream.read(_LEAST)
    litert = file.path.suffix == ".tflite"
    # a FlatBuffer has its name after the place of its root; an ONNX file begins with its version, a varint
    fits = begins[4:8] == b"TFL3" if litert else begins[:1] == b"\x08"
    if len(begins) < _LEAST or not fits:
        kind = "LiteRT" if litert else "ONNX"
        raise ModelRefused(f"{file.source}: expected the first bytes of {kind}, got {begins[:8]!r}")
    if file.size > _A_PARAMETER * most_parameters:
        raise ModelRefused(
            f"{file.source}: expected a file for at most {most_parameters} parameters (--max-params), got "
            f"{file.size} bytes"
        )
    return Look(layers=0, weights=StoredWeights(size=file.size))


def load_runtime(file: ModelFile) -> RuntimeModel:
    """Load a ``.tflite`` or ``.onnx`` file.

    Raises:
        ModelRefused: the runtime is not installed, or the file is none that it can run, or has several
            inputs or outputs.
    """
    load = _LOADERS[file.path.suffix]
    try:
        # runtimes tell of themselves on stderr
        with held_back():
            return load(file)
    except ModelRefused:
        raise
    except Exception as error:
        raise ModelRefused(f"{file.source}: could not be loaded: {one_line(error)}") from error


def _imported(file: ModelFile, module: str, package: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ModelRefused(
            f"{file.source}: expected {package}, which is not installed: "
            f"pip install robustcheck-keras[{extra}]"
        ) from error


def _alone(file: ModelFile, what: str, there: list[Any]) -> Any:
    if len(there) != 1:
        raise ModelRefused(
            f"{file.source}: expected a model with one {what}, got {len(there)}: in Python, "
            "robustcheck.predictor(...) takes a function around a runtime that has more"
        )
    return there[0]


def _in_sizes(x: Array, sizes: tuple[int, ...], call: Callable[[Array], Array]) -> Array:
    """What a call gives for rows ``[B, ...]``, so many at a time; the last are filled up with copies."""
    parts, done = [], 0
    for size in sizes:
        while len(x) - done >= size or (size == sizes[-1] and done < len(x)):
            block = x[done : done + size]
            filled = np.concatenate([block, np.repeat(block[-1:], size - len(block), axis=0)])
            parts.append(call(filled)[: len(block)])
            done += len(block)
    return np.concatenate(parts)


class _LiteRT:
    """Interpreters of one file: one a thread and number of rows, since they are safe for one thread alone."""

    def __init__(self, content: bytes, make: Callable[..., Any], sizes: tuple[int, ...]) -> None:
        self._content, self._make, self._sizes = content, make, sizes
        self._here = threading.local()

    def __call__(self, x: Array) -> Array:
        return _in_sizes(x, self._sizes, self._invoked)

    def _invoked(self, x: Array) -> Array:
        interpreter, given, gives = self._interpreter(len(x))
        interpreter.set_tensor(given["index"], _quantised(x, given))
        interpreter.invoke()
        return _as_numbers(interpreter.get_tensor(gives["index"]), gives)

    def _interpreter(self, size: int) -> tuple[Any, Any, Any]:
        made: dict[int, tuple[Any, Any, Any]] = self._here.__dict__.setdefault("made", {})
        if size not in made:
            interpreter = self._make(model_content=self._content)
            given = interpreter.get_input_details()[0]
            if given["shape"][0] != size:
                interpreter.resize_tensor_input(given["index"], [size, *given["shape"][1:]])
            interpreter.allocate_tensors()
            made[size] = interpreter, given, interpreter.get_output_details()[0]
        return made[size]


def _quantised(x: Array, tensor: Any) -> Array:
    """Values as a tensor of the file holds them."""
    kind = np.dtype(tensor["dtype"])
    scale, zero = tensor["quantization"]
    if kind.kind == "f":
        return x.astype(kind)
    limits = np.iinfo(kind)
    levels = x.astype(np.float64) / scale + zero if scale else x
    return np.clip(np.rint(levels), limits.min, limits.max).astype(kind)


def _as_numbers(values: Array, tensor: Any) -> Array:
    scale, zero = tensor["quantization"]
    numbers = (values.astype(np.float64) - zero) * scale if values.dtype.kind != "f" and scale else values
    return np.asarray(numbers, np.float32).reshape(len(values), -1)


def _load_litert(file: ModelFile) -> RuntimeModel:
    runtime = _imported(file, "ai_edge_litert.interpreter", "ai-edge-litert", "litert")
    content = file.path.read_bytes()
    probe = runtime.Interpreter(model_content=content)
    given = _alone(file, "input", probe.get_input_details())
    gives = _alone(file, "output", probe.get_output_details())
    rows, *shape = (int(size) for size in given["shape"])
    signature = given.get("shape_signature", given["shape"])
    # without an open size the file is for as many rows as it says
    fixed = None if int(signature[0]) == -1 else rows
    sizes = _SIZES if fixed is None else (fixed,)
    model = _LiteRT(content, runtime.Interpreter, sizes)
    # what cannot be called ends here, in a process of its own where that is asked for
    model(np.zeros((sizes[-1], *shape), np.float32))
    kind = np.dtype(given["dtype"])
    return RuntimeModel(
        predict=model,
        shape=tuple(shape),
        whole=kind.kind in "iu" and not given["quantization"][0],
        runtime=f"LiteRT {version('ai-edge-litert')}",
        types=f"{kind} to {np.dtype(gives['dtype'])}",
    )


_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
}


def _load_onnx(file: ModelFile) -> RuntimeModel:
    runtime = _imported(file, "onnxruntime", "onnxruntime", "onnx")
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4
    # by the path of its private copy, beside which nothing lies: of bytes alone, weights that it says are in
    # other files would be read from the current folder
    session = runtime.InferenceSession(str(file.path), settings, providers=["CPUExecutionProvider"])
    given = _alone(file, "input", session.get_inputs())
    gives = _alone(file, "output", session.get_outputs())
    if given.type not in _ONNX_TYPES:
        raise ModelRefused(f"{file.source}: expected an input of numbers, got {given.type}")
    kind = np.dtype(_ONNX_TYPES[given.type])
    sizes = [size if isinstance(size, int) and size > 0 else None for size in given.shape or ()]

    batch, *shape = sizes or [None]

    def run(x: Array) -> Array:
        levels = _quantised(x, {"dtype": kind, "quantization": (0.0, 0)})
        scores = session.run([gives.name], {given.name: levels})[0]
        return np.asarray(scores, np.float32).reshape(len(x), -1)

    def predict(x: Array) -> Array:
        return run(x) if batch is None else _in_sizes(x, (batch,), run)

    if sizes and None not in shape:
        predict(np.zeros([1, *(size or 1 for size in shape)], np.float32))
    return RuntimeModel(
        predict=predict,
        shape=tuple(shape) if sizes else None,
        whole=kind.kind in "iu",
        runtime=f"ONNX Runtime {version('onnxruntime')}",
        types=f"{kind} to {gives.type.removeprefix('tensor(').removesuffix(')')}",
    )


_LOADERS: dict[str, Callable[[ModelFile], RuntimeModel]] = {".tflite": _load_litert, ".onnx": _load_onnx}
RUNTIME_SUFFIXES = tuple(_LOADERS)
