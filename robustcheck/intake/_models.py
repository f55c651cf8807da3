"""Load models."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
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
from robustcheck.intake._keras_files import is_saved_model, load_archive, load_hdf5, refuse_saved_model

# what loads a model file, by its suffix: path and the user's own classes to a model
_LOADERS: Mapping[str, Callable[[Path, dict[str, Any]], Any]] = {
    ".keras": load_archive,
    ".h5": load_hdf5,
    ".hdf5": load_hdf5,
}
MODEL_SUFFIXES = tuple(_LOADERS)


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
    if folder is None or not folder.is_dir() or is_saved_model(folder):
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
        own = {
            key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == name
        }
        found |= {key: value for key, value in own.items() if callable(value)}
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


def _model_file(path: Path, custom_objects: dict[str, Any]) -> Any:
    """A model by the loader of its suffix."""
    if path.is_dir() and is_saved_model(path):
        refuse_saved_model(path)
    if not path.is_file():
        raise ModelRefused(f"{path}: expected a model file, got {'a folder' if path.is_dir() else 'nothing'}")
    load = _LOADERS.get(path.suffix.lower())
    if load is None:
        raise ModelRefused(f"{path}: expected a file ending in {' or '.join(_LOADERS)}")
    return load(path, custom_objects)
