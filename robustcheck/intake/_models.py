"""Load models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustcheck.errors import ModelRefused, one_line
from robustcheck.intake._files import import_function, require_archive, sha256

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")


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
    if folder is None or not folder.is_dir():
        return [spec]
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in MODEL_SUFFIXES)
    if not files:
        raise ModelRefused(
            f"{spec}: expected a folder with model files ({', '.join(MODEL_SUFFIXES)}), got none"
        )
    return [str(path) for path in files]


def load_model(spec: Any, name: str | None = None) -> LoadedModel:
    """Load a ``.keras`` or ``.h5`` file, or call ``package.module:factory``; a live model is taken as it is.

    Files are loaded in Keras' safe mode: one that carries Python code (a Lambda layer) is refused.

    Raises:
        ModelRefused: the file or function is missing or does not give a model.
    """
    if not isinstance(spec, str | Path):
        return LoadedModel(model=spec, name=name, path=None, sha256=None)
    spec, path = str(spec), Path(spec)
    if path.suffix.lower() in MODEL_SUFFIXES or path.exists():
        return LoadedModel(model=_model_file(path), name=name or path.stem, path=spec, sha256=sha256(path))
    if ":" not in spec:
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


def _model_file(path: Path) -> Any:
    import keras

    if not path.is_file():
        raise ModelRefused(f"{path}: expected a model file, got {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix.lower() not in MODEL_SUFFIXES:
        raise ModelRefused(f"{path}: expected a file ending in .keras or .h5")
    if path.suffix.lower() == ".keras":
        require_archive(path, ModelRefused, "a .keras archive")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        text = one_line(error)
        hint = ""
        if "ambda" in text:
            hint = "; it holds Python code, which is never run from a file: give package.module:factory"
        elif "locate class" in text or "custom" in text.lower():
            hint = "; it holds custom classes: give package.module:factory, a function that returns the model"
        raise ModelRefused(f"{path}: Keras could not load the model: {text}{hint}") from error
