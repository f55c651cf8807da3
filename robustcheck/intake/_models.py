"""Load models."""

from __future__ import annotations

import importlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustcheck.errors import ConfigError, ModelRefused, one_line
from robustcheck.intake._files import (
    current_folder_importable,
    import_function,
    is_function,
    sha256,
)
from robustcheck.intake._keras2 import is_keras2, write_cleaned
from robustcheck.stored import require_archive

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
# classes that Keras 2 had and Keras 3 has no more, or under another name
_OF_KERAS2 = ("Functional", "TFOpLambda", "SlicingOpLambda", "ThresholdedReLU")


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model with where it came from.

    ``sha256`` is None for one that is not from a file, ``path`` for one that was given live, ``name`` for
    one of these that was not named.
    """

    model: Any
    name: str | None
    path: str | None
    sha256: str | None


def model_specs(spec: Any) -> list[Any]:
    """The model files of a folder in the order of their names; anything else is one model.

    Raises:
        ModelRefused: a folder without model files.
    """
    folder = Path(spec) if isinstance(spec, str | Path) else None
    if folder is None or not folder.is_dir() or _is_saved_model(folder):
        return [spec]
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in MODEL_SUFFIXES)
    if not files:
        raise ModelRefused(
            f"{spec}: expected a folder with model files ({', '.join(MODEL_SUFFIXES)}), got none"
        )
    return [str(path) for path in files]


def import_layers(modules: Sequence[str]) -> dict[str, Any]:
    """The classes and functions of a user's modules by name, for models that are saved with them.

    Classes with a Keras decorator are registered by the import itself.

    Raises:
        ConfigError: a module that cannot be imported.
    """
    found: dict[str, Any] = {}
    for name in modules:
        if name.endswith(".py") or not all(word.isidentifier() for word in name.split(".")):
            raise ConfigError(f"--import: expected package.module, without .py or a path, got {name!r}")
        current_folder_importable()
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise ConfigError(f"--import: {name} could not be imported: {one_line(error)}") from error
        own = {key: one for key, one in vars(module).items() if getattr(one, "__module__", None) == name}
        found |= {key: one for key, one in own.items() if callable(one)}
    return found


def load_model(
    spec: Any, name: str | None = None, custom_objects: Mapping[str, Any] | None = None
) -> LoadedModel:
    """Load a ``.keras`` or ``.h5`` file, or call ``package.module:factory``; a live model is taken as it is.

    Files are loaded in Keras' safe mode: one that carries Python code (a Lambda layer) is refused.

    Args:
        spec: file, factory or model.
        name: what reports call it.
        custom_objects: the user's own classes and functions by name.

    Raises:
        ModelRefused: the file or function is missing or does not give a model.
    """
    if not isinstance(spec, str | Path):
        return LoadedModel(model=spec, name=name, path=None, sha256=None)
    spec, path = str(spec), Path(spec)
    if path.suffix.lower() in MODEL_SUFFIXES or path.exists():
        model = _model_file(path, dict(custom_objects or {}))
        return LoadedModel(model=model, name=name or path.stem, path=spec, sha256=sha256(path))
    if not is_function(spec):
        raise ModelRefused(
            f"{spec}: expected a .keras or .h5 file or package.module:factory, got a path that does not exist"
        )
    factory = import_function(spec, ModelRefused)
    try:
        model = factory()
    except (Exception, SystemExit) as error:
        raise ModelRefused(f"{spec}: the factory failed: {one_line(error)}") from error
    # a classifier that the factory wrapped itself has logits; every model can be called
    if not callable(model) and not hasattr(model, "logits"):
        raise ModelRefused(f"{spec}: expected a function that returns a model, got {type(model).__name__}")
    return LoadedModel(model=model, name=name or spec.rpartition(":")[2], path=spec, sha256=None)


def _is_saved_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def _model_file(path: Path, custom_objects: dict[str, Any]) -> Any:
    import keras

    if path.is_dir() and _is_saved_model(path):
        layer = f'keras.layers.TFSMLayer({json.dumps(str(path))}, call_endpoint="serving_default")'
        raise ModelRefused(_way(f"{path}: a SavedModel folder, which holds code", "keras", layer))
    if not path.is_file():
        raise ModelRefused(f"{path}: expected a model file, got {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix.lower() not in MODEL_SUFFIXES:
        raise ModelRefused(f"{path}: expected a file ending in .keras or .h5")
    if path.suffix.lower() == ".keras":
        require_archive(path, "a .keras archive", ModelRefused)

    def load(file: Path) -> Any:
        return keras.saving.load_model(file, custom_objects=custom_objects, compile=False, safe_mode=True)

    try:
        return load(path)
    except Exception as error:
        if not is_keras2(path):
            raise ModelRefused(f"{path}: {_reason(error)}") from error
        return _from_keras2(path, load, error)


def _from_keras2(path: Path, load: Any, error: Exception) -> Any:
    """The file without arguments that mean nothing any more; else the refusal that says how it can be had."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            cleaned = write_cleaned(path, Path(scratch))
            if cleaned is not None:
                return load(cleaned)
        except Exception as second:
            error = second
    missing = _missing_class(error)
    own = missing is not None and missing not in _OF_KERAS2
    if own or (missing is None and "ambda" in str(error)):
        raise ModelRefused(f"{path}: {_reason(error)}") from error
    call = f"tf_keras.models.load_model({json.dumps(str(path))}, compile=False)"
    raise ModelRefused(
        _way(f"{path}: written by Keras 2, and Keras 3 cannot load it ({_essence(error)})", "tf_keras", call)
    ) from error


def _way(problem: str, module: str, expression: str) -> str:
    """A refusal with three lines that load the model."""
    return (
        f"{problem}; {module}, which comes with robustcheck, can load it if you trust it: put these lines "
        "into a file loader.py here, and give loader:build_model instead of the path\n"
        f"    import {module}\n"
        "    def build_model():\n"
        f"        return {expression}"
    )


def _missing_class(error: Exception) -> str | None:
    """The class or function that Keras does not know."""
    text = str(error)
    found = re.search(r"Could not locate (?:class|function) '([^']+)'", text) or re.search(
        r"Unknown (?:layer|object|[a-z]+(?: function)?): '([^']+)'", text
    )
    return found.group(1) if found else None


def _reason(error: Exception) -> str:
    """Why Keras could not load a file, and what to do; told by its whole text, which is long."""
    text, missing = str(error), _missing_class(error)
    if "ambda" in text and missing is None:
        return (
            "it holds Python code (a Lambda layer), which is never run from a file: give "
            "package.module:factory, a function that returns the model"
        )
    if missing is not None:
        return (
            f"it needs {missing!r}, which is not Keras' own: --import package.module names the module that "
            "defines it (in Python: import that module first, its class registered with "
            "keras.saving.register_keras_serializable), or give package.module:factory, a function that "
            "returns the model"
        )
    return f"Keras could not load the model: {_essence(error)}"


def _essence(error: Exception) -> str:
    """The last of an error's causes: what stands before it is the configuration of a layer."""
    return one_line(error, str(error).rpartition("Exception encountered: ")[2])
