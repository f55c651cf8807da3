"""Load models."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robustcheck.config import FileOptions
from robustcheck.errors import ConfigError, ModelRefused, one_line
from robustcheck.intake._copy import ModelFile, private_copy
from robustcheck.intake._files import (
    current_folder_importable,
    import_function,
    is_address,
    is_function,
)
from robustcheck.intake._keras_files import is_saved_model, load_file, load_saved_model, refuse_saved_model
from robustcheck.intake._look import Look, look
from robustcheck.intake._preflight import needed, preflight, remember
from robustcheck.intake._runtimes import RUNTIME_SUFFIXES, load_runtime, look_at_runtime

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
# of files that hold a model, with or without a gradient
_SUFFIXES = (*MODEL_SUFFIXES, *RUNTIME_SUFFIXES)


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model with where it came from.

    ``sha256`` is None for one that is not from a file, ``path`` for one that was given live, ``name`` for
    one of these that was not named. ``trusted``: whether code of the file could run; ``link``: the name of
    the file that a link led to.
    """

    model: Any
    name: str | None
    path: str | None
    sha256: str | None
    trusted: bool = False
    link: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelSource:
    """A model as it is asked for: what it is, its name if it was given one, and how far it is believed."""

    spec: Any
    name: str | None
    files: FileOptions


def model_sources(
    model: Any, references: Mapping[str, Any] | Sequence[Any], files: FileOptions
) -> list[ModelSource]:
    """The subject, then the references; the digest that is expected is that of the subject.

    Raises:
        ModelRefused: a folder of references without model files.
    """
    subject, name = _named(model)
    return [ModelSource(spec=subject, name=name, files=files), *other_sources(references, files)]


def other_sources(given: Mapping[str, Any] | Sequence[Any], files: FileOptions) -> list[ModelSource]:
    """Models beside the subject: references, or deployed forms.

    Raises:
        ModelRefused: a folder of models without model files.
    """
    if isinstance(given, Mapping):
        others: list[tuple[Any, str | None]] = [(spec, name) for name, spec in given.items()]
    else:
        others = [_named(spec) for either in given for spec in _model_specs(either)]
    believed = replace(files, expect_sha256=None)
    return [ModelSource(spec=spec, name=name, files=believed) for spec, name in others]


def _named(spec: Any) -> tuple[Any, str | None]:
    """``name=MODEL`` as (MODEL, name); a path may hold an equals sign itself."""
    if not isinstance(spec, str):
        return spec, None
    name, equals, path = spec.partition("=")
    return (path, name) if equals and not os.path.exists(spec) and "/" not in name else (spec, None)


def _model_specs(spec: Any) -> list[Any]:
    """The model files of a folder in the order of their names; anything else is one model.

    Raises:
        ModelRefused: a folder without model files.
    """
    folder = Path(spec) if isinstance(spec, str | Path) else None
    if folder is None or not os.path.isdir(folder) or is_saved_model(folder):
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
    spec: Any, name: str | None = None, imports: Sequence[str] = (), files: FileOptions | None = None
) -> LoadedModel:
    """Load a ``.keras`` or ``.h5`` file, or call ``package.module:factory``; a live model is taken as it is.

    Files are loaded in Keras' safe mode: one that carries Python code (a Lambda layer) is refused.

    Args:
        spec: file, factory or model.
        name: what reports call it.
        imports: modules with the user's own classes and functions.
        files: how far a file is believed.

    Raises:
        ModelRefused: the file or function is missing or does not give a model.
    """
    own = import_layers(imports)
    if not isinstance(spec, str | Path):
        return LoadedModel(model=spec, name=name, path=None, sha256=None)
    spec, path, files = str(spec), Path(spec), files or FileOptions()
    if _is_file(path):
        loaded = _load_file(path, imports, own, files)
        return replace(loaded, name=name or path.stem, path=spec)
    _require_function(spec)
    factory = import_function(spec, ModelRefused)
    try:
        model = factory()
    except (Exception, SystemExit) as error:
        raise ModelRefused(f"{spec}: the factory failed: {one_line(error)}") from error
    # a classifier or predictor that the factory made itself decides; every model can be called
    if not callable(model) and not hasattr(model, "label"):
        raise ModelRefused(f"{spec}: expected a function that returns a model, got {type(model).__name__}")
    return LoadedModel(model=model, name=name or spec.rpartition(":")[2], path=spec, sha256=None)


def look_at_model(source: ModelSource, imports: Sequence[str] = ()) -> None:
    """Look at what a model is asked for by, without TensorFlow, and load nothing.

    Raises:
        ModelRefused: a file that will not be loaded, or what names neither a file nor a function.
    """
    spec, files = source.spec, source.files
    if not isinstance(spec, str | Path):
        return
    path = Path(spec)
    if not _is_file(path):
        _require_function(str(spec))
    elif os.path.isdir(path) and is_saved_model(path):
        _require_trust(path, files)
    else:
        with _opened(path, files) as file:
            _look(file, imports, files)


def _is_file(path: Path) -> bool:
    """Whether a file is meant, which may not be there."""
    # os.path says no, where Path raises, of what no file can be called
    return path.suffix.lower() in _SUFFIXES or os.path.exists(path)


def _require_function(spec: str) -> None:
    if is_address(spec):
        raise ModelRefused(f"{spec}: expected a file, got an address: nothing is fetched, download it first")
    if not is_function(spec):
        raise ModelRefused(
            f"{spec}: expected a .keras or .h5 file or package.module:factory, got a path that does not exist"
        )


def _require_trust(path: Path, files: FileOptions) -> None:
    if not files.trust_model:
        refuse_saved_model(path)


@contextlib.contextmanager
def _opened(path: Path, files: FileOptions) -> Iterator[ModelFile]:
    """A model file by its suffix, opened once, if it is the one that is expected."""
    if os.path.exists(path) and path.suffix.lower() not in _SUFFIXES:
        raise ModelRefused(f"{path}: expected a file ending in {' or '.join(_SUFFIXES)}")
    with private_copy(path) as file:
        expected = files.expect_sha256
        if expected is not None and file.sha256 != expected.lower():
            raise ModelRefused(
                f"{path}: expected a file with the SHA-256 {expected.lower()[:12]}..., got "
                f"{file.sha256[:12]}..."
            )
        yield file


def _look(file: ModelFile, imports: Sequence[str], files: FileOptions) -> Look:
    if file.path.suffix in RUNTIME_SUFFIXES:
        return look_at_runtime(file, files.max_params)
    return look(file, most_parameters=files.max_params, imports=imports, trusted=files.trust_model)


def _try(file: ModelFile, imports: Sequence[str], files: FileOptions) -> None:
    """Look at a file, and load it in a process of its own where that is asked for."""
    seen = _look(file, imports, files)
    if needed(file, files.preflight) and preflight(file, seen, imports=imports, trusted=files.trust_model):
        remember(file)


def try_model(source: ModelSource, imports: Sequence[str]) -> None:
    """Load a model file in a process of its own, where that is asked for, and not in this one.

    Raises:
        ModelRefused: it ran out of memory or time there, or crashed.
    """
    path = Path(source.spec) if isinstance(source.spec, str | Path) else None
    if path is not None and path.suffix.lower() in _SUFFIXES:
        with _opened(path, source.files) as file:
            _try(file, imports, source.files)


def _load_file(path: Path, imports: Sequence[str], own: dict[str, Any], files: FileOptions) -> LoadedModel:
    """A model file, looked at, tried and loaded."""
    link = path.resolve().name if path.is_symlink() else None
    if os.path.isdir(path) and is_saved_model(path):
        _require_trust(path, files)
        model, digest = load_saved_model(path)
        return LoadedModel(model=model, name=None, path=None, sha256=digest, trusted=True, link=link)
    with _opened(path, files) as file:
        _try(file, imports, files)
        runs = file.path.suffix in RUNTIME_SUFFIXES
        model = load_runtime(file) if runs else load_file(file, own, trusted=files.trust_model)
        trusted = files.trust_model and not runs
        return LoadedModel(model=model, name=None, path=None, sha256=file.sha256, trusted=trusted, link=link)
