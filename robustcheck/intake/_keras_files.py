"""Model files of Keras, and why one cannot be loaded."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from robustcheck.errors import ModelRefused, one_line
from robustcheck.intake._copy import ModelFile
from robustcheck.intake._files import sha256_of
from robustcheck.intake._keras2 import is_keras2, write_cleaned

# classes that Keras 2 had and Keras 3 has no more, or under another name
_OF_KERAS2 = ("Functional", "TFOpLambda", "SlicingOpLambda", "ThresholdedReLU")


def is_saved_model(folder: Path) -> bool:
    """Whether a folder is a SavedModel."""
    return any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def refuse_saved_model(path: Path) -> NoReturn:
    """A SavedModel holds code, which only its owner can decide to run."""
    layer = f'keras.layers.TFSMLayer({json.dumps(str(path))}, call_endpoint="serving_default")'
    raise ModelRefused(*_way(f"{path}: a SavedModel folder, which holds code", "keras", layer))


def load_saved_model(folder: Path) -> tuple[Any, str]:
    """A SavedModel folder that is trusted as a layer, and the digest of its files."""
    import keras

    digest = sha256_of(folder, sorted(path for path in folder.rglob("*") if path.is_file()))
    faults = []
    for endpoint in ("serve", "serving_default"):
        try:
            return keras.layers.TFSMLayer(str(folder), call_endpoint=endpoint), digest
        except Exception as error:
            faults.append(one_line(error))
    raise ModelRefused(f"{folder}: expected a SavedModel with an endpoint to serve: {faults[-1]}")


def load_file(file: ModelFile, custom_objects: dict[str, Any], *, trusted: bool = False) -> Any:
    """A file that Keras loads, in its safe mode; one of Keras 2 without what means nothing any more.

    Args:
        file: which was looked at.
        custom_objects: the user's own classes and functions by name.
        trusted: whether the code that it brings is run.

    Raises:
        ModelRefused: with the reason in a line, and what to do.
    """
    import keras

    def load(path: Path) -> Any:
        return keras.saving.load_model(
            path, custom_objects=custom_objects, compile=False, safe_mode=not trusted
        )

    try:
        return load(file.path)
    except Exception as error:
        if not is_keras2(file.path):
            raise ModelRefused(f"{file.source}: {_reason(error)}") from error
        return _from_keras2(file, load, error)


def _from_keras2(file: ModelFile, load: Any, error: Exception) -> Any:
    """The file without arguments that mean nothing any more; else the refusal that says how it can be had."""
    path = file.source
    with tempfile.TemporaryDirectory() as scratch:
        try:
            cleaned = write_cleaned(file.path, Path(scratch))
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
        *_way(f"{path}: written by Keras 2, and Keras 3 cannot load it ({_essence(error)})", "tf_keras", call)
    ) from error


def _way(problem: str, module: str, expression: str) -> tuple[str, ...]:
    """A refusal with three lines that load the model."""
    return (
        f"{problem}; {module}, which comes with robustcheck, can load it if you trust it: put these lines "
        "into a file loader.py here, and give loader:build_model instead of the path",
        f"    import {module}",
        "    def build_model():",
        f"        return {expression}",
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
