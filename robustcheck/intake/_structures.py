"""What a user's structure of arrays means: one input or several, samples or batches, one label of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import DataRefused
from robustcheck.intake._loaded import Shape, Wanted
from robustcheck.text import option


def as_inputs(x: Any, wanted: Wanted) -> Any:
    """Samples as an array, or a dict or list of arrays by input for a model with several.

    A list is several inputs where the model has them; else it is samples of one shape, or batches of them.

    Raises:
        DataRefused: samples of several shapes, or a mapping of which one entry must be chosen.
    """
    if isinstance(x, Mapping):
        named = {str(name): np.asarray(part) for name, part in x.items()}
        return named if wanted.several or wanted.shapes is None else _only(named, wanted)
    if not isinstance(x, (list, tuple)):
        return np.asarray(x)
    arrays = [np.asarray(part) for part in x]
    if wanted.several:
        return arrays
    if _are_batches(arrays, wanted.shape):
        return np.concatenate(arrays)
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise DataRefused(
            f"data: expected samples of one shape in a list, got {', '.join(map(str, shapes[:4]))}; shapes "
            "are not changed, and labels are an argument of their own, y"
        )
    return np.stack(arrays) if arrays else np.empty(0)


def _are_batches(arrays: list[NDArray[Any]], shape: Shape | None) -> bool:
    if shape is None or not arrays:
        return False
    return all(fits(array.shape[1:], shape) and not fits(array.shape, shape) for array in arrays)


def _only(named: dict[str, NDArray[Any]], wanted: Wanted) -> NDArray[Any]:
    """The one array of a mapping that a model with one input takes."""
    key = wanted.x_key or (next(iter(named)) if len(named) == 1 else None)
    if key not in named:
        raise DataRefused(
            f"data: expected samples for a model with one input, got a mapping of {list(named)}; choose one "
            f"with {option('x_key')}"
        )
    return named[key]


def fits(got: tuple[int, ...], shape: Shape) -> bool:
    """Whether an array is a sample of a shape, an axis of size 1 more or less aside."""

    def same(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
        return len(a) == len(b) and all(None in (m, n) or m == n for m, n in zip(a, b, strict=True))

    without = [n for n in got if n != 1], [n for n in shape if n != 1]
    return same(got, shape) or (abs(len(got) - len(shape)) == 1 and same(*without))


def as_labels(y: Any, wanted: Wanted) -> NDArray[Any]:
    """Labels as an array with an entry a sample, of an array, a list of batches or a mapping."""
    if isinstance(y, Mapping):
        y = choose_label(y, wanted.y_key)
    if isinstance(y, (list, tuple)) and y and all(np.ndim(part) for part in y):
        arrays = [np.asarray(part) for part in y]
        # rows that are as long as there are classes are one-hot labels; else they are batches
        if {len(array) for array in arrays} != {wanted.classes}:
            return np.concatenate(arrays)
    return np.asarray(y)


def choose_label(y: Mapping[str, Any], key: str | None) -> Any:
    """The label that is meant of several.

    Raises:
        DataRefused: it was not said which.
    """
    names = [str(name) for name in y]
    if key is None and len(names) == 1:
        return next(iter(y.values()))
    if key not in names:
        raise DataRefused(
            f"data: expected one label a sample, got a mapping of {names}; choose one with "
            f"{option('y_key', names[0])}"
        )
    return y[key]


def parts_of(x: Any) -> list[NDArray[Any]]:
    """The arrays of samples, one an input."""
    return list(x.values()) if isinstance(x, dict) else x if isinstance(x, list) else [x]


def each_part(x: Any, change: Any) -> Any:
    """The same structure with every array changed."""
    if isinstance(x, dict):
        return {name: change(part) for name, part in x.items()}
    return [change(part) for part in x] if isinstance(x, list) else change(x)
