"""Resamples of rows, and intervals from them (Efron and Tibshirani 1993, chapter 13: percentile interval)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustcheck.arrays import F64, I64
from robustcheck.results import Measure

_DRAWS = 2000
# cells of a table of resamples that are held at once
_CELLS = 400_000


def resamples(old: int, new: int, *, paired: bool) -> Iterator[tuple[I64, I64]]:
    """How often each row of two tables is drawn, blocks of ``[R, old]`` and ``[R, new]``, 2000 draws in all.

    The same draws for both where the rows are paired. The seed is fixed, so a figure does not change when it
    is computed again.
    """
    draw = np.random.default_rng(0)
    block = max(1, _CELLS // max(old, new, 1))
    for start in range(0, _DRAWS, block):
        size = min(block, _DRAWS - start)
        weights = _weights(draw, old, size)
        yield weights, weights if paired else _weights(draw, new, size)


def _weights(draw: np.random.Generator, n: int, size: int) -> I64:
    rows = draw.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(rows.reshape(-1), minlength=size * n).reshape(size, n)


def bootstrapped(value: float, draws: F64, n: int, level: float, *, bare: bool = False) -> Measure:
    """A figure with the percentile interval of its resamples.

    None where it is not finite; without an interval where a resample is not, or with ``bare``.
    """
    if not np.isfinite(value):
        return Measure(None, n)
    if bare or not np.isfinite(draws).all():
        return Measure(float(value), n)
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Measure(float(value), n, float(low), float(high))
