"""Look at, hash and load files that may be hostile: models and data.

Nothing is unpickled, and archives are measured before they are unpacked. Errors of the libraries that do the
loading come back as a refusal that names the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from robustcheck.errors import DataRefused, InputRefused, one_line
from robustcheck.intake._arrays import load_given
from robustcheck.intake._files import import_function, is_address, is_function, sha256
from robustcheck.intake._images import load_image_folder, require_folders
from robustcheck.intake._loaded import LoadedData, Wanted
from robustcheck.intake._models import (
    MODEL_SUFFIXES,
    LoadedModel,
    ModelSource,
    import_layers,
    load_model,
    look_at_model,
    model_sources,
    other_sources,
    try_model,
)
from robustcheck.intake._npz import (
    is_pair,
    load_npz,
    load_pair,
    read_arrays,
    read_box,
    read_by_input,
    read_class_names,
)
from robustcheck.intake._runtimes import RUNTIME_SUFFIXES, RuntimeModel
from robustcheck.intake._streams import is_labelled, is_stream

__all__ = [
    "MODEL_SUFFIXES",
    "RUNTIME_SUFFIXES",
    "LoadedData",
    "LoadedModel",
    "ModelSource",
    "RuntimeModel",
    "Wanted",
    "import_layers",
    "is_function",
    "is_labelled",
    "is_stream",
    "load_data",
    "load_model",
    "look_at_model",
    "model_sources",
    "other_sources",
    "read_arrays",
    "read_box",
    "read_by_input",
    "read_class_names",
    "require_folders",
    "sha256",
    "try_model",
]


def load_data(source: Any, wanted: Wanted) -> LoadedData:
    """Load samples from an ``.npz``, ``.npy`` files, a folder of images by class, a function, or Python.

    Args:
        source: path of the file or folder, ``x.npy,y.npy``, or ``package.module:function``; or what such a
            function returns: ``(x, y)``, a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, a finite
            generator, or batches.
        wanted: which samples, and how they are read.

    Raises:
        DataRefused: naming what was expected and what came.
    """
    if not isinstance(source, str | Path):
        return load_given(source, None, wanted)
    source, path = str(source), Path(source)
    if is_address(source) and not os.path.exists(path):
        raise DataRefused(f"{source}: expected a file, got an address: nothing is fetched, download it first")
    if os.path.isdir(path):
        return load_image_folder(path, wanted)
    if is_pair(source):
        return load_pair(source, wanted)
    if os.path.isfile(path) or not is_function(source):
        return load_npz(path, wanted)
    function = import_function(source, DataRefused)
    try:
        return load_given(function(), source, wanted)
    except InputRefused:
        raise
    except (Exception, SystemExit) as error:
        raise DataRefused(f"{source}: the function failed: {one_line(error)}") from error
