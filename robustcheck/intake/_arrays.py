"""Load arrays: ``.npz`` files and functions that return them."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ConfigError, DataRefused, InputRefused, one_line
from robustcheck.intake._files import import_function, require_archive, sha256
from robustcheck.intake._loaded import LoadedData

# what NumPy raises on an archive that is not what it seems
_UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


def load_npz(
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
    require_archive(path, DataRefused, "an .npz archive")
    try:
        with np.load(path, allow_pickle=False) as stored:
            x_name = _key(path, list(stored), x_key, ("x", "x_test"))
            y_name = _key(path, list(stored), y_key, ("y", "y_test"), optional=not need_labels)
            x = _array(path, x_name, stored[x_name])
            y = _array(path, y_name, stored[y_name]) if y_name is not None else None
    except _UNREADABLE as error:
        if isinstance(error, InputRefused):
            raise
        raise DataRefused(
            f"{path}: expected arrays of numbers, could not be read: {one_line(error)}"
        ) from error
    _require_same_length(str(path), len(x), y)
    return LoadedData(
        x=x[:limit],
        y=None if y is None else y[:limit],
        index=np.arange(len(x[:limit])),
        path=str(path),
        sha256=sha256(path),
        class_names=class_names,
    )


def _array(path: Path, name: str | None, member: Any) -> NDArray[Any]:
    """A member of an archive, which may be any file, as an array of rows."""
    if not isinstance(member, np.ndarray) or member.ndim == 0:
        got = "a single value" if isinstance(member, np.ndarray) else "another kind of file"
        raise DataRefused(f"{path}: expected an array with a row a sample under {name!r}, got {got}")
    return member


def _require_same_length(source: str, samples: int, y: NDArray[Any] | None) -> None:
    if y is not None and len(y) != samples:
        raise DataRefused(f"{source}: expected a label for each of {samples} samples, got {len(y)}")


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


def load_from_function(
    source: str, class_names: tuple[str, ...] | None, limit: int | None, need_labels: bool
) -> LoadedData:
    function = import_function(source, DataRefused)
    try:
        given = function()
        arrays = as_pair(given, limit)
    except InputRefused:
        raise
    except (Exception, SystemExit) as error:
        raise DataRefused(f"{source}: the function failed: {one_line(error)}") from error
    return load_arrays(arrays, source, class_names, limit, need_labels)


def load_arrays(
    given: Any, path: str | None, class_names: tuple[str, ...] | None, limit: int | None, need_labels: bool
) -> LoadedData:
    """Samples and labels that are there already, ``(x, y)`` or a ``tf.data.Dataset``."""
    x, y = as_pair(given, limit)
    if y is None and need_labels:
        raise DataRefused(
            f"{path or 'data'}: expected (x, y), got no labels; --labels model audits without them"
        )
    label = None if y is None else np.asarray(y)
    _require_same_length(path or "data", len(_parts(x)[0]), label)
    digest = _hash_arrays([*_parts(x), *([] if label is None else [label])])
    x, label = _first(x, limit), None if label is None else label[:limit]
    return LoadedData(
        x=x,
        y=label,
        index=np.arange(len(_parts(x)[0])),
        path=path,
        sha256=digest,
        class_names=class_names,
    )


def as_pair(given: Any, limit: int | None) -> tuple[Any, Any]:
    """``(x, y)`` as it is, or of a ``tf.data.Dataset``; y is None where there are no labels."""
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return given[0], given[1]
    return collect(given, limit)


def collect(dataset: Any, limit: int | None = None) -> tuple[Any, NDArray[Any] | None]:
    """The samples and labels of a ``tf.data.Dataset``, batched or not, up to ``limit`` of them."""
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        raise DataRefused(f"data: expected (x, y) or a tf.data.Dataset, got {type(dataset).__name__}")
    if limit is None and int(dataset.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise DataRefused(
            "data: expected a finite tf.data.Dataset, got one that repeats for ever; use --limit"
        )
    if isinstance(spec, tuple) and len(spec) == 3:
        dataset, spec = dataset.map(lambda x, y, _: (x, y)), spec[:2]  # weights of samples are not needed
    paired = isinstance(spec, tuple) and len(spec) == 2
    # a batched data set has labels of rank 1 or more; one without labels is taken as batched
    if (paired and spec[1].shape.rank not in (0, None)) or not paired:
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


def read_class_names(path: Path) -> tuple[str, ...]:
    """Names of the classes, one a line, in the order of the model's outputs."""
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{path}: expected a text file of class names: {one_line(error)}") from error
    if not names or len(set(names)) != len(names):
        raise DataRefused(
            f"{path}: expected different names, one a line, got {len(names)} ({len(set(names))} different)"
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
    except (KeyError, *_UNREADABLE) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: expected arrays {list(names)}: {one_line(error)}") from error
