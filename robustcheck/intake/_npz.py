"""Arrays in files: samples in an ``.npz``, boxes and masks; and class names in a text file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.config import Box, BoxLike
from robustcheck.errors import ConfigError, DataRefused, one_line
from robustcheck.intake._arrays import pick
from robustcheck.intake._files import sha256
from robustcheck.intake._loaded import LoadedData, Wanted
from robustcheck.stored import map_array_file, open_arrays, read_array, read_limited
from robustcheck.text import option

# a name for each of a million classes; what is said of features, some bytes for each of a hundred million
_MOST_NAMES, _MOST_FEATURES = 2**24, 2**31


def load_npz(path: Path, wanted: Wanted) -> LoadedData:
    """The samples and labels of an archive."""
    if not os.path.exists(path):
        raise DataRefused(
            f"{path}: expected an .npz file, x.npy,y.npy, a folder of images or package.module:function, got "
            "nothing there"
        )
    most = wanted.max_data_bytes
    with open_arrays(path, "an .npz with arrays of numbers", DataRefused, most=most) as stored:
        names = list(stored)
        inputs = _inputs(path, names, wanted)
        y_name = _key(path, names, wanted.y_key, ("y", "y_test"), optional=not wanted.need_labels)
        # what is stored as it is may be larger than memory: its rows are read when they are needed
        parts = {name: _array(path, name, stored.mapped(name)) for name in inputs}
        x = parts if wanted.several else parts[inputs[0]]
        y = _array(path, y_name, stored[y_name]) if y_name is not None else None
    return pick(x, y, wanted, path=str(path), sha256=sha256(path))


def load_pair(pair: str, wanted: Wanted) -> LoadedData:
    """``x.npy,y.npy``, or ``x.npy`` alone: mapped, so that they may be larger than memory."""
    x, *more = (
        map_array_file(Path(name), "an .npy with an array of numbers", DataRefused) for name in _names(pair)
    )
    digest = hashlib.sha256("".join(sha256(Path(name)) for name in _names(pair)).encode()).hexdigest()
    y = np.asarray(more[0]) if more else None
    for array in (x, *more):
        _array(Path(pair), None, array)
    return pick(x, y, wanted, path=pair, sha256=digest)


def is_pair(source: str) -> bool:
    """Whether a text names an ``.npy`` of samples, perhaps with one of labels after a comma."""
    names = _names(source)
    return len(names) in (1, 2) and all(name.endswith(".npy") for name in names)


def _names(pair: str) -> list[str]:
    return pair.split(",") if not os.path.isfile(pair) else [pair]


def _array(path: Path, name: str | None, array: NDArray[Any]) -> NDArray[Any]:
    """An array of rows, which may not be a single value."""
    if array.ndim == 0:
        raise DataRefused(f"{path}: expected an array with a row a sample under {name!r}, got a single value")
    return array


def _inputs(path: Path, stored: list[str], wanted: Wanted) -> list[str]:
    """The arrays of samples: one, or one for each input, under its name."""
    if not wanted.several or wanted.names is None:
        return [str(_key(path, stored, wanted.x_key, ("x", "x_test")))]
    missing = [name for name in wanted.names if name not in stored]
    if missing:
        raise DataRefused(
            f"{path}: expected an array for each of the inputs {list(wanted.names)}, got {stored}; a "
            "package.module:function can return them as a list or mapping"
        )
    return list(wanted.names)


def _key(
    path: Path, keys: list[str], asked: str | None, usual: Sequence[str], *, optional: bool = False
) -> str | None:
    for name in [asked] if asked is not None else usual:
        if name in keys:
            return name
    if optional and asked is None:
        return None
    expected = repr(asked) if asked is not None else " or ".join(map(repr, usual))
    chosen = option("x_key" if usual[0] == "x" else "y_key")
    raise DataRefused(f"{path}: expected an array {expected}, got {keys}; choose one with {chosen}")


def read_class_names(path: Path) -> tuple[str, ...]:
    """Names of the classes, one a line, in the order of the model's outputs."""
    content = read_limited(path, "a text file of class names", DataRefused, most=_MOST_NAMES)
    try:
        names = tuple(line.strip() for line in content.decode("utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise DataRefused(f"{path}: expected a text file of class names: {one_line(error)}") from error
    if not names or len(set(names)) != len(names):
        raise DataRefused(
            f"{path}: expected different names, one a line, got {len(names)} ({len(set(names))} different)"
        )
    return names


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Named arrays of an ``.npz``, such as the two sides of a box; an ``.npy`` where one is wanted."""
    stored = _read_all(path, list(names))
    if isinstance(stored, np.ndarray):
        if len(names) == 1:
            return [stored]
        raise ConfigError(f"{path}: expected an .npz with {list(names)}, got a single array")
    missing = [name for name in names if name not in stored]
    if missing:
        raise ConfigError(f"{path}: expected arrays {list(names)}, got {list(stored)}")
    return [stored[name] for name in names]


# what one file may say of the features of a model, each read by a setting of its own
_BY_FEATURE = ("lower", "upper", "freeze", "cost")


def read_by_input(path: Path, *names: str) -> Any:
    """Named arrays, or of each input of a model: ``{input: [arrays]}`` of members ``input.name``.

    A file for a model with one input holds just the names, and gives a list of arrays.
    """
    stored = _read_all(path, list(names))
    if isinstance(stored, np.ndarray) or any(name in stored for name in names):
        return read_arrays(path, *names)
    strange = [key for key in stored if key.rpartition(".")[2] not in (*names, *_BY_FEATURE)]
    if strange:
        by_input = [f"INPUT.{name}" for name in names]
        raise ConfigError(f"{path}: expected arrays {list(names)} or {by_input}, got {strange} among them")
    inputs = dict.fromkeys(key.rpartition(".")[0] for key in stored if key.rpartition(".")[2] in names)
    try:
        found = {part: [stored[f"{part}.{name}"] for name in names] for part in inputs if part}
    except KeyError as error:
        raise ConfigError(f"{path}: expected an array {error} beside {list(stored)}") from error
    if not found:
        by_input = [f"INPUT.{name}" for name in names]
        raise ConfigError(f"{path}: expected arrays {list(names)} or {by_input}, got {list(stored)}")
    return found


def read_box(path: Path) -> BoxLike:
    """A box, or one for each input of a model, from arrays ``lower`` and ``upper``.

    Raises:
        ConfigError: they are not there, or are no sides of a box.
    """
    found = read_by_input(path, "lower", "upper")
    if isinstance(found, dict):
        return {name: Box.of((lower, upper)) for name, (lower, upper) in found.items()}
    return Box.of((found[0], found[1]))


def _read_all(path: Path, names: list[str]) -> Any:
    """An array, or all arrays of an archive by name."""
    array = read_array(path, f"an .npz with {names}", ConfigError)
    if array is not None:
        return array
    with open_arrays(path, f"an .npz with {names}", ConfigError, most=_MOST_FEATURES) as stored:
        return {name: stored[name] for name in stored}
