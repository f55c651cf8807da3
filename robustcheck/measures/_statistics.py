"""Shares, means and quantiles of plain arrays, with intervals."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from robustcheck.arrays import F64
from robustcheck.results import Measure

QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
LEVEL = 0.95


def _z(level: float) -> float:
    """Of the normal distribution, for a two-sided interval."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def share(hits: int, n: int, level: float = LEVEL) -> Measure:
    """A share with its Wilson score interval (Wilson 1927); None of nothing."""
    if n == 0:
        return Measure(None, 0)
    z = _z(level)
    p, z2 = hits / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # at the ends the formula gives exactly 0 and 1, but for rounding
    return Measure(p, n, 0.0 if hits == 0 else centre - half, 1.0 if hits == n else centre + half)


def mean(values: F64, level: float = LEVEL) -> Measure:
    """A mean with the normal interval of its standard error; None where a value is infinite."""
    n = len(values)
    if n == 0 or not np.isfinite(values).all():
        return Measure(None, n)
    middle = float(values.mean())
    if n == 1:
        return Measure(middle, n)
    half = _z(level) * float(values.std(ddof=1)) / math.sqrt(n)
    return Measure(middle, n, middle - half, middle + half)


def quantile(values: F64, q: float, level: float = LEVEL) -> Measure:
    """A quantile with the interval between two order statistics (no assumption on the distribution).

    The ranks are those of the normal approximation of the binomial; a side whose rank lies beyond the sample
    does not exist, and is None. Infinite values sort last; a figure that falls on one is None.
    """
    n = len(values)
    if n == 0:
        return Measure(None, 0)
    ordered = np.sort(values)
    spread = _z(level) * math.sqrt(n * q * (1 - q))
    below, above = math.floor(n * q - spread), math.ceil(n * q + spread)
    low = ordered[below] if below >= 0 else -math.inf
    high = ordered[above] if above < n else math.inf
    position = q * (n - 1)
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    weight = position - math.floor(position)
    value = below if weight == 0 else below + weight * (above - below) if np.isfinite(above) else math.inf
    # of two or three values the rank may lie beyond the figure, which is between two of them
    return Measure(known(value), n, known(min(low, value)), known(max(high, value)))


def binomial_tail(hits: int, n: int, p: float) -> float:
    """Probability of ``hits`` or more among ``n`` draws that each hit with probability ``p``."""
    k = np.arange(hits, n + 1)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    terms = factorial[n] - factorial[k] - factorial[n - k] + k * math.log(p) + (n - k) * math.log1p(-p)
    return float(min(np.exp(terms).sum(), 1.0))


def known(value: float) -> float | None:
    """A figure, or None where it is infinite."""
    return float(value) if math.isfinite(value) else None
