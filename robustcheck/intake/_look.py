"""What a model file says of itself, looked at before TensorFlow starts and Keras makes anything of it."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustcheck.errors import ModelRefused, one_line
from robustcheck.intake._copy import ModelFile
from robustcheck.intake._weights import StoredWeights, weights_in
from robustcheck.stored import open_archive

# bytes of a configuration, and how deep it may be; that of a net of 1,000 layers has 1 MB and 20
_MOST_CONFIG, _DEEPEST = 16 * 2**20, 200
_MOST_LAYERS = 10_000
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
# what holds Python code, or loads it from somewhere
_CODE = {
    "Lambda": "Python code",
    "__lambda__": "Python code",
    "TFSMLayer": "the graph of another file",
    "TorchModuleWrapper": "a pickle",
    "JaxLayer": "code of JAX",
    "FlaxLayer": "code of Flax",
}
# of Keras, what is called and not made; each was a way around its safe mode (CVE-2025-8747, CVE-2025-9906)
_NOT_OBJECTS = (
    "keras.utils",
    "keras.config",
    "keras.saving",
    "keras.datasets",
    "keras.callbacks",
    "keras.distribution",
)
# packages besides its own that Keras imports because a file names them
_IMPORTED = ("keras_hub", "keras_cv", "keras_nlp")
# settings that are the size of a side of some array of weights
_SIDES = ("units", "filters", "output_dim", "input_dim")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a model file says of itself: how many layers it has, and bytes and number of its weights."""

    layers: int
    weights: StoredWeights


def look(
    file: ModelFile, *, most_parameters: int, imports: Sequence[str] = (), trusted: bool = False
) -> Look:
    """Look at a model file without making anything of it.

    Args:
        file: the copy that will be loaded.
        most_parameters: that it may have.
        imports: modules with the user's own classes.
        trusted: whether code in it may be run.

    Raises:
        ModelRefused: with the layer and the reason.
    """
    config, weights = _of_archive(file) if file.path.suffix == ".keras" else _of_hdf5(file)
    layers = 0
    for at in _objects(config, file):
        # initializers and the like have no name
        layers += isinstance(at.get("config"), dict) and "name" in at["config"]
        if not trusted:
            _require_harmless(file, at, imports)
        _require_stored(file, at, weights)
    if layers > _MOST_LAYERS:
        raise ModelRefused(f"{file.source}: expected at most {_MOST_LAYERS} layers, got {layers}")
    if weights.parameters > most_parameters:
        raise ModelRefused(
            f"{file.source}: expected at most {most_parameters} parameters (--max-params), got "
            f"{weights.parameters}"
        )
    return Look(layers=layers, weights=weights)


def _of_archive(file: ModelFile) -> tuple[Any, StoredWeights]:
    """Configuration and weights of a ``.keras`` archive."""
    with open_archive(file.path, "a .keras archive", ModelRefused, named=file.source) as (archive, _):
        names = archive.namelist()
        if _CONFIG not in names:
            raise ModelRefused(f"{file.source}: expected {_CONFIG} in the archive, got {names[:5]}")
        size = archive.getinfo(_CONFIG).file_size
        if size > _MOST_CONFIG:
            raise ModelRefused(
                f"{file.source}: {_CONFIG}: expected at most {_MOST_CONFIG >> 20} MiB, got {size >> 20} MiB"
            )
        config = _parsed(file, archive.read(_CONFIG))
        weights = [name for name in names if name.startswith("model") and name.endswith(".weights.h5")]
        if not weights:
            raise ModelRefused(f"{file.source}: expected {_WEIGHTS} in the archive, got {names[:5]}")
        found = StoredWeights()
        for name in weights:
            with tempfile.TemporaryDirectory(prefix="robustcheck-", dir=file.path.parent) as scratch:
                unpacked = Path(scratch) / "weights.h5"
                with archive.open(name) as member, unpacked.open("wb") as copy:
                    shutil.copyfileobj(member, copy)
                found = found.with_those_of(weights_in(unpacked, file.source)[0])
    return config, found


def _of_hdf5(file: ModelFile) -> tuple[Any, StoredWeights]:
    """Configuration and weights of an HDF5 file."""
    weights, text = weights_in(file.path, file.source)
    if text is None:
        raise ModelRefused(f"{file.source}: expected a model with its configuration, got weights alone")
    return _parsed(file, text), weights


def _parsed(file: ModelFile, text: bytes) -> Any:
    if len(text) > _MOST_CONFIG:
        raise ModelRefused(f"{file.source}: expected a configuration of at most {_MOST_CONFIG >> 20} MiB")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{file.source}: {_CONFIG}: expected JSON: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise ModelRefused(f"{file.source}: {_CONFIG}: expected an object, got {type(config).__name__}")
    return config


def _objects(config: Any, file: ModelFile) -> Iterator[Mapping[str, Any]]:
    """All objects that Keras would make, the outer ones first."""
    # what it was compiled with is not made
    level = [{name: value for name, value in config.items() if name != "compile_config"}]
    for _ in range(_DEEPEST):
        for value in level:
            if isinstance(value, dict) and "class_name" in value:
                yield value
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ModelRefused(f"{file.source}: {_CONFIG}: expected objects in objects {_DEEPEST} deep at most")


def _named(at: Mapping[str, Any]) -> str:
    """An object by its name and class, for a message."""
    config = at.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    kind = str(at.get("class_name"))[:100]
    return kind if name is None else f"layer {str(name)[:100]!r} ({kind})"


def _require_harmless(file: ModelFile, at: Mapping[str, Any], imports: Sequence[str]) -> None:
    """Refuse an object that brings code, calls what is no layer, or reads another file."""
    kind, module = str(at.get("class_name")), str(at.get("module") or "")
    if kind in _CODE:
        raise ModelRefused(
            f"{file.source}: {_named(at)}: it holds {_CODE[kind]}, which is never run from a file: give "
            "package.module:factory, a function that returns the model, or trust the file (--trust-model)"
        )
    top = module.partition(".")[0]
    own = top in {name.partition(".")[0] for name in imports}
    if top in _IMPORTED and not own:
        raise ModelRefused(
            f"{file.source}: {_named(at)}: it is of {module}, which Keras would import from wherever it "
            f"lies: name it with --import {top}, or give package.module:factory"
        )
    if "." in kind and top in ("keras", ""):
        raise ModelRefused(f"{file.source}: expected the name of a class, got {kind[:100]!r}")
    called = module.replace("keras.src", "keras").startswith(_NOT_OBJECTS)
    if called or (
        top in sys.stdlib_module_names
        and not own
        and (top, kind) not in (("builtins", "function"), ("builtins", "slice"))
    ):
        raise ModelRefused(
            f"{file.source}: it names {module}.{kind}, which is no part of a model: it would be called"
        )
    config = at.get("config")
    if isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
        # CVE-2025-12058
        raise ModelRefused(
            f"{file.source}: {_named(at)}: its vocabulary is another file, {config['vocabulary'][:100]!r}, "
            "which a model may not read"
        )


def _require_stored(file: ModelFile, at: Mapping[str, Any], weights: StoredWeights) -> None:
    """Refuse a layer whose weights cannot be those that are stored: it would be made before that is seen."""
    config, module = at.get("config"), str(at.get("module") or "keras")
    if not isinstance(config, dict) or module.partition(".")[0] != "keras":
        return
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if isinstance(shape, list) and any(isinstance(size, int) and size < 1 for size in shape):
        raise ModelRefused(
            f"{file.source}: {_named(at)}: expected an input with sizes of 1 or more, got {shape}"
        )
    for setting in _SIDES:
        size = config.get(setting)
        if isinstance(size, int) and size > weights.longest:
            raise ModelRefused(
                f"{file.source}: {_named(at)}: expected weights with its {setting}, {size}, got none of more "
                f"than {weights.longest} a side: so many parameters are not in the file"
            )
