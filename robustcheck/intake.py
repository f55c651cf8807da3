"""Look at, hash and load files that may be hostile: models and data.

Nothing is unpickled, and archives are measured before they are unpacked. Errors of the libraries that do the
loading come back as a refusal that names the file.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ConfigError, DataRefused, InputRefused, ModelRefused

_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
_IMAGE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
_MOST_UNPACKED = 32 * 2**30
_MOST_PIXELS = 64_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model with where it came from; ``sha256`` is None for one made by a function."""

    model: Any
    name: str
    path: str
    sha256: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedData:
    """Samples as they are stored; ``index`` is their row in the source before any limit."""

    x: Any
    y: NDArray[Any] | None
    index: NDArray[np.int64]
    path: str
    sha256: str | None
    class_names: tuple[str, ...] | None


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def import_function(spec: str, refuse: type[InputRefused]) -> Callable[[], Any]:
    """The function that ``package.module:function`` names; the current folder is importable."""
    module_name, _, name = spec.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module_name), name)
    except Exception as error:
        raise refuse(f"{spec}: expected an importable package.module:function: {_one_line(error)}") from error
    if not callable(function):
        raise refuse(f"{spec}: expected a function, got {type(function).__name__}")
    chosen: Callable[[], Any] = function
    return chosen


def load_model(spec: str, name: str | None = None) -> LoadedModel:
    """Load a ``.keras`` or ``.h5`` file, or call ``package.module:factory``.

    Files are loaded in Keras' safe mode: one that carries Python code (a Lambda layer) is refused.

    Raises:
        ModelRefused: the file or function is missing or does not give a model.
    """
    path = Path(spec)
    if path.suffix.lower() in _MODEL_SUFFIXES or path.exists():
        return LoadedModel(
            model=_model_file(path), name=name or path.stem, path=spec, sha256=sha256(path)
        )
    if ":" not in spec:
        raise ModelRefused(
            f"{spec}: expected a .keras or .h5 file or package.module:factory, got a path that does not exist"
        )
    factory = import_function(spec, ModelRefused)
    try:
        model = factory()
    except Exception as error:
        raise ModelRefused(f"{spec}: the factory failed: {_one_line(error)}") from error
    if not callable(model):
        raise ModelRefused(f"{spec}: expected a function that returns a model, got {type(model).__name__}")
    return LoadedModel(model=model, name=name or spec.rpartition(":")[2], path=spec, sha256=None)


def _model_file(path: Path) -> Any:
    import keras

    if not path.is_file():
        raise ModelRefused(f"{path}: expected a model file, got {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix.lower() not in _MODEL_SUFFIXES:
        raise ModelRefused(f"{path}: expected a file ending in .keras or .h5")
    if path.suffix.lower() == ".keras":
        _require_archive(path, ModelRefused, "a .keras archive")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        text = _one_line(error)
        hint = ""
        if "ambda" in text:
            hint = "; it holds Python code, which is never run from a file: give package.module:factory"
        elif "locate class" in text or "custom" in text.lower():
            hint = "; it holds custom classes: give package.module:factory, a function that returns the model"
        raise ModelRefused(f"{path}: Keras could not load the model: {text}{hint}") from error


def _require_archive(path: Path, refuse: type[InputRefused], what: str) -> None:
    if not zipfile.is_zipfile(path):
        raise refuse(f"{path}: expected {what}, got a file that is not one")
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MOST_UNPACKED:
        raise refuse(
            f"{path}: expected at most {_MOST_UNPACKED >> 30} GiB unpacked, got {unpacked / 2**30:.0f} GiB"
        )


def load_data(
    source: str,
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
        source: path of the file or folder, or ``package.module:function``.
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
    path = Path(source)
    if path.is_dir():
        return _image_folder(path, input_shape, classes, class_names, limit, seed)
    if path.is_file() or ":" not in source:
        return _npz(path, x_key, y_key, class_names, limit, need_labels)
    return _from_function(source, class_names, limit, need_labels)


def _npz(
    path: Path,
    x_key: str | None,
    y_key: str | None,
    class_names: tuple[str, ...] | None,
    limit: int | None,
    need_labels: bool,
) -> LoadedData:
    if not path.is_file():
        raise DataRefused(
            f"{path}: expected an .npz file, a folder of images or package.module:function, got nothing there"
        )
    _require_archive(path, DataRefused, "an .npz archive")
    try:
        with np.load(path, allow_pickle=False) as stored:
            x_name = _key(path, list(stored), x_key, ("x", "x_test"))
            y_name = _key(path, list(stored), y_key, ("y", "y_test"), optional=not need_labels)
            x = stored[x_name][:limit]
            y = stored[y_name][:limit] if y_name is not None else None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputRefused):
            raise
        raise DataRefused(f"{path}: expected arrays of numbers, could not be read: {_one_line(error)}") from error
    return LoadedData(
        x=x,
        y=y,
        index=np.arange(len(x) if x.ndim else 0),
        path=str(path),
        sha256=sha256(path),
        class_names=class_names,
    )


def _key(
    path: Path, keys: list[str], asked: str | None, usual: Sequence[str], *, optional: bool = False
) -> str | None:
    for name in [asked] if asked is not None else usual:
        if name in keys:
            return name
    if optional and asked is None:
        return None
    expected = repr(asked) if asked is not None else " or ".join(map(repr, usual))
    flag = "--x-key" if usual[0] == "x" else "--y-key"
    raise DataRefused(f"{path}: expected an array {expected}, got {keys}; choose one with {flag}")


def _from_function(
    source: str, class_names: tuple[str, ...] | None, limit: int | None, need_labels: bool
) -> LoadedData:
    function = import_function(source, DataRefused)
    try:
        given = function()
        x, y = given if isinstance(given, tuple) and len(given) == 2 else collect(given, limit)
    except InputRefused:
        raise
    except Exception as error:
        raise DataRefused(f"{source}: the function failed: {_one_line(error)}") from error
    if y is None and need_labels:
        raise DataRefused(f"{source}: expected (x, y), got no labels; --labels model audits without them")
    x = _first(x, limit)
    label = None if y is None else np.asarray(y)[:limit]
    parts = _parts(x)
    return LoadedData(
        x=x,
        y=label,
        index=np.arange(len(parts[0])),
        path=source,
        sha256=_hash_arrays([*parts, *([] if label is None else [label])]),
        class_names=class_names,
    )


def collect(dataset: Any, limit: int | None = None) -> tuple[Any, NDArray[Any] | None]:
    """The samples and labels of a ``tf.data.Dataset``, batched or not, up to ``limit`` of them."""
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        raise DataRefused(f"data: expected (x, y) or a tf.data.Dataset, got {type(dataset).__name__}")
    paired = isinstance(spec, tuple) and len(spec) == 2
    # a batched data set has labels of rank 1 or more; one without labels is taken as batched
    if paired and spec[1].shape.rank not in (0, None):
        dataset = dataset.unbatch()
    elif not paired:
        dataset = dataset.unbatch()
    elements = list(dataset.take(-1 if limit is None else limit).as_numpy_iterator())
    if not elements:
        raise DataRefused("data: expected at least one sample, got an empty tf.data.Dataset")
    xs = [element[0] for element in elements] if paired else elements
    y = np.stack([element[1] for element in elements]) if paired else None
    if isinstance(xs[0], dict):
        return {name: np.stack([x[name] for x in xs]) for name in xs[0]}, y
    if isinstance(xs[0], tuple):
        return [np.stack(part) for part in zip(*xs, strict=True)], y
    return np.stack(xs), y


def _parts(x: Any) -> list[NDArray[Any]]:
    if isinstance(x, dict):
        return [np.asarray(part) for part in x.values()]
    return [np.asarray(part) for part in x] if isinstance(x, (list, tuple)) else [np.asarray(x)]


def _first(x: Any, limit: int | None) -> Any:
    if isinstance(x, dict):
        return {name: np.asarray(part)[:limit] for name, part in x.items()}
    return [np.asarray(part)[:limit] for part in x] if isinstance(x, (list, tuple)) else np.asarray(x)[:limit]


def _hash_arrays(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _image_folder(
    folder: Path,
    input_shape: tuple[int, ...],
    classes: int,
    class_names: tuple[str, ...] | None,
    limit: int | None,
    seed: int,
) -> LoadedData:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    order = _class_order(folder, names, classes, class_names)
    files = [
        (path, order[name])
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.is_file() and path.suffix.lower() in _IMAGE_FORMATS
    ]
    if not files:
        raise DataRefused(f"{folder}: expected images ({', '.join(_IMAGE_FORMATS)}), got none")
    label = np.array([one for _, one in files], np.int64)
    chosen = np.arange(len(files)) if limit is None else _stratified(label, limit, seed)
    digest = hashlib.sha256()
    for path, _ in files:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    images = [_image(files[i][0], input_shape) for i in chosen]
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise DataRefused(f"{folder}: expected images of one size, got {sorted(sizes)[:4]}; none is resized")
    by_class = {number: name for name, number in order.items()}
    return LoadedData(
        x=np.stack(images),
        y=label[chosen],
        index=chosen,
        path=str(folder),
        sha256=digest.hexdigest(),
        class_names=class_names or tuple(by_class[i] for i in range(classes)),
    )


def _class_order(
    folder: Path, names: list[str], classes: int, class_names: tuple[str, ...] | None
) -> dict[str, int]:
    if class_names is not None:
        unknown = [name for name in names if name not in class_names]
        if unknown:
            raise DataRefused(f"{folder}: expected folders named after the classes, got {unknown[:5]}")
        return {name: class_names.index(name) for name in names}
    if len(names) != classes:
        raise DataRefused(
            f"{folder}: expected {classes} sub-folders, one a class of the model, got {len(names)}; "
            "--class-names FILE tells which folder is which class"
        )
    return {name: number for number, name in enumerate(names)}


def _stratified(label: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Positions of a seeded draw with the classes in proportion, in source order."""
    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(len(label))
    # the k-th of a class's m samples gets the place (k + 1/2) / m: the smallest places are stratified
    place = np.empty(len(label))
    for one in np.unique(label):
        members = shuffled[label[shuffled] == one]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:limit])


def _image(path: Path, input_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    first = len(input_shape) == 3 and input_shape[0] in (1, 3) and input_shape[2] not in (1, 3)
    channels = 1 if len(input_shape) == 2 else input_shape[0] if first else input_shape[-1]
    try:
        with Image.open(path, formats=sorted(set(_IMAGE_FORMATS.values()))) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise DataRefused(f"{path}: expected at most {_MOST_PIXELS} pixels, got {image.size}")
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputRefused):
            raise
        raise DataRefused(f"{path}: expected an image, could not be read: {_one_line(error)}") from error
    return np.moveaxis(pixels, -1, 0) if first and pixels.ndim == 3 else pixels


def read_class_names(path: Path, classes: int) -> tuple[str, ...]:
    """Names of the classes, one a line, in the order of the model's outputs."""
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{path}: expected a text file of class names: {_one_line(error)}") from error
    if len(names) != classes or len(set(names)) != classes:
        raise DataRefused(
            f"{path}: expected {classes} different names, one a line, got {len(names)} ({len(set(names))} "
            "different)"
        )
    return names


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Named arrays of an ``.npz``, such as the two sides of a box; an ``.npy`` where one is wanted."""
    if not path.is_file():
        raise ConfigError(f"{path}: expected an .npz with {list(names)}, got nothing there")
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            if len(names) == 1:
                return [stored]
            raise ConfigError(f"{path}: expected an .npz with {list(names)}, got a single array")
        with stored:
            return [stored[name] for name in names]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: expected arrays {list(names)}: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{'...' if len(text) > 300 else ''}"
