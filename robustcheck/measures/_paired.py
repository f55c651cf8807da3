"""Models compared on the same test samples, and methods over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustcheck.errors import ConfigError


@dataclass(frozen=True)
class McNemar:
    """Two models on the same samples (McNemar 1947, exact): the samples that only one gets wrong.

    Attributes:
        only_first, only_second: how many only the first, only the second gets wrong.
        p: two-sided probability of as uneven a split if both were equally good.
    """

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class PairedMean:
    """Mean difference over seeds with its interval from Student's t (1908)."""

    mean: float
    low: float
    high: float
    n: int


def mcnemar(first_wrong: Any, second_wrong: Any) -> McNemar:
    """Compare two models by the samples they get wrong, each a mask ``[N]``."""
    first, second = np.asarray(first_wrong, bool), np.asarray(second_wrong, bool)
    if first.shape != second.shape:
        raise ConfigError(
            f"mcnemar: expected masks of the same samples, got {first.shape} and {second.shape}"
        )
    only = int(np.sum(first & ~second)), int(np.sum(~first & second))
    n, least = sum(only), min(only)
    tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    return McNemar(*only, min(1.0, 2 * tail))


def paired_mean(differences: Sequence[float], level: float = 0.95) -> PairedMean:
    """Mean of paired differences, one a seed, with its interval.

    Raises:
        ConfigError: fewer than two.
    """
    n = len(differences)
    if n < 2:
        raise ConfigError(f"differences: expected two seeds or more, got {n}")
    mean = float(np.mean(differences))
    half = t_quantile(0.5 + level / 2, n - 1) * float(np.std(differences, ddof=1)) / math.sqrt(n)
    return PairedMean(mean, mean - half, mean + half, n)


def t_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t for ``p`` above one half, by bisection.

    The probability is the finite sum that it is for a whole number of degrees of freedom (Abramowitz and
    Stegun 1964, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < p:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_below(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def _t_below(t: float, freedom: int) -> float:
    """Probability of less than ``t``, which is not negative."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine, odd = math.cos(angle), math.sin(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    within = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + 0.5 * within
