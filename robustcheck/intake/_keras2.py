"""Model files that Keras 2 wrote, which tf_keras still reads and writes.

Keras 3 reads many of them. Others state arguments that it dropped, with the value that they always had; these
are left out in a copy. What remains is not guessed at: tf_keras is the way.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

# arguments that mean nothing in Keras 3 when they have this value, by the beginning of the layer's name
_NOTHING: dict[str, dict[str, tuple[Any, ...]]] = {
    "": {"time_major": (False,), "input_length": (None,), "rng_type": ("stateful",)},
    "Depthwise": {"groups": (1,)},
    "Separable": {
        "groups": (1,),
        # of a kernel that is in two parts, each with its own
        "kernel_initializer": (...,),
        "kernel_regularizer": (None,),
        "kernel_constraint": (None,),
    },
    "Conv1DTranspose": {"groups": (1,)},
    "Conv2DTranspose": {"groups": (1,)},
    "Conv3DTranspose": {"groups": (1,)},
    "SpatialDropout": {"trainable": (...,), "noise_shape": (None,)},
    "MultiHeadAttention": {
        "query_shape": (...,),
        "key_shape": (...,),
        "value_shape": (...,),
        "softmax_robust_masking": (False,),
    },
    "Embedding": {"batch_input_shape": (...,)},
}


def is_keras2(path: Path) -> bool:
    """Whether a file says that Keras 2 wrote it."""
    return _version(path).startswith("2.")


def _version(path: Path) -> str:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        import h5py

        with h5py.File(path, "r") as file:
            return _text(file.attrs.get("keras_version", ""))
    except Exception:  # damaged files are refused by Keras itself, in its words
        return ""


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def write_cleaned(path: Path, folder: Path) -> Path | None:
    """A copy in ``folder`` without arguments that mean nothing; None where there are none."""
    copy = folder / f"cleaned{path.suffix.lower()}"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            if not _clean(config):
                return None
            with zipfile.ZipFile(copy, "w") as written:
                for member in archive.infolist():
                    content = archive.read(member)
                    own = member.filename == "config.json"
                    written.writestr(member.filename, json.dumps(config) if own else content)
        return copy
    import h5py

    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        config = json.loads(_text(file.attrs["model_config"]))
        if not _clean(config):
            return None
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)
    return copy


def _clean(config: Any) -> bool:
    """Leave out what means nothing, in place, in this layer and all within; whether there was any."""
    changed = False
    if isinstance(config, list):
        for item in config:
            changed |= _clean(item)
    elif isinstance(config, dict):
        inner = config.get("config")
        if isinstance(config.get("class_name"), str) and isinstance(inner, dict):
            changed |= _clean_layer(config["class_name"], inner)
        for item in config.values():
            changed |= _clean(item)
    return changed


def _clean_layer(name: str, settings: dict[str, Any]) -> bool:
    changed = False
    for beginning, arguments in _NOTHING.items():
        if not name.startswith(beginning):
            continue
        for argument, values in arguments.items():
            if argument in settings and (... in values or settings[argument] in values):
                del settings[argument]
                changed = True
    axis = settings.get("axis")
    if name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        settings["axis"], changed = axis[0], True
    return changed
