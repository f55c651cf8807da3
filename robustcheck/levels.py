"""Values as 8-bit integers over a box: level 0 is its lower side, level 255 its upper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, F64, Mask

_LAST = 255


def has_levels(lower: F32, upper: F32, free: Mask) -> bool:
    """Whether all features that may change have finite sides."""
    return bool(np.isfinite(lower[free]).all() and np.isfinite(upper[free]).all())


def levels_between(
    rows: F32, points: F32, lower: F32, upper: F32, scale: float | F64, threshold: float | F64
) -> NDArray[np.uint8]:
    """Levels near points ``[N, D]``, as steps from those of their samples ``[N, D]``.

    Args:
        rows: the samples.
        points: their examples; NaN is taken for the sample itself.
        lower, upper: the box, ``[D]``.
        scale: how far to go on the way to the point, 1 = to it; one or ``[N]``.
        threshold: part of a step from which on it is made whole: 0.5 rounds, less moves more features.
    """
    step = _step(lower, upper)
    share, cut = (
        np.broadcast_to(np.asarray(value, np.float64), len(rows))[:, None] for value in (scale, threshold)
    )
    base = np.rint((rows.astype(np.float64) - lower) / step)
    there = np.where(np.isfinite(points), points, rows).astype(np.float64)
    moved = (rows + share * (there - rows) - lower) / step - base
    whole = np.sign(moved) * np.floor(np.abs(moved) + 1.0 - cut)
    levels: NDArray[np.uint8] = np.clip(base + whole, 0, _LAST).astype(np.uint8)
    return levels


def values_of(levels: NDArray[Any], lower: F32, upper: F32) -> F32:
    """Levels ``[N, D]`` in units of the box, as stored 8-bit data are mapped to it."""
    share = levels.astype(np.float64) / _LAST
    values: F32 = (lower + share * (upper.astype(np.float64) - lower)).astype(np.float32)
    return values


def _step(lower: F32, upper: F32) -> F64:
    width = upper.astype(np.float64) - lower
    return np.where(np.isfinite(width) & (width > 0), width / _LAST, 1.0)
