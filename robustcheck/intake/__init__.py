"""Look at, hash and load files that may be hostile: models and data.

Nothing is unpickled, and archives are measured before they are unpacked. Errors of the libraries that do the
loading come back as a refusal that names the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustcheck.intake._arrays import (
    as_pair,
    load_arrays,
    load_from_function,
    load_npz,
    read_arrays,
    read_class_names,
)
from robustcheck.intake._files import sha256
from robustcheck.intake._images import load_image_folder
from robustcheck.intake._loaded import LoadedData
from robustcheck.intake._models import MODEL_SUFFIXES, LoadedModel, load_model, model_specs

__all__ = [
    "MODEL_SUFFIXES",
    "LoadedData",
    "LoadedModel",
    "as_pair",
    "load_data",
    "load_model",
    "model_specs",
    "read_arrays",
    "read_class_names",
    "sha256",
]


def load_data(
    source: Any,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    x_key: str | None = None,
    y_key: str | None = None,
    class_names: tuple[str, ...] | None = None,
    limit: int | None = None,
    seed: int = 0,
    need_labels: bool = True,
) -> LoadedData:
    """Load samples from an ``.npz``, a folder with a sub-folder of images a class, or a function.

    Args:
        source: path of the file or folder, or ``package.module:function``; or what such a function returns,
            ``(x, y)`` or a ``tf.data.Dataset``.
        input_shape: shape of a sample of the model; tells how an image's channels are read.
        classes: of the model; folders map to classes in sorted order only if there are as many.
        x_key, y_key: arrays in the ``.npz``; ``x`` and ``y``, else ``x_test`` and ``y_test``.
        class_names: names of the classes in order.
        limit: the first rows of an ``.npz`` or function; of a folder a seeded draw stratified by class.
        seed: of that draw.
        need_labels: whether a source without labels is refused.

    Raises:
        DataRefused: naming what was expected and what came.
    """
    if not isinstance(source, str | Path):
        return load_arrays(source, None, class_names, limit, need_labels)
    source, path = str(source), Path(source)
    if path.is_dir():
        return load_image_folder(path, input_shape, classes, class_names, limit, seed)
    if path.is_file() or ":" not in source:
        return load_npz(path, x_key, y_key, class_names, limit, need_labels)
    return load_from_function(source, class_names, limit, need_labels)
