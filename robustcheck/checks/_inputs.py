"""Whether the samples fill the box, and the range that the model's first layer is made for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, Mask, blocks
from robustcheck.checks._given import Given
from robustcheck.models import Classifier
from robustcheck.results import CHECKS, Check, Status, judged, not_asked
from robustcheck.text import option, percent

# values that a range must be told by
_FEWEST = 30


def inputs(given: Given) -> Check:
    """Whether the samples fill the box."""
    result = given.result
    return filling(given.classifier, result.rows, ~result.is_(Status.NON_FINITE))


def filling(classifier: Classifier, rows: F32, chosen: Mask | None = None) -> Check:
    """Whether the values of rows ``[N, D]`` fill the box, and what the model's first layer is made for.

    ``chosen``: of these rows, ``[N]``; all when None.
    """
    finite: Mask = np.ones(len(rows), bool) if chosen is None else chosen
    fills = [_fill_of_box(classifier, rows, finite), _fill_of_layer(classifier, rows, finite)]
    there = [fill for fill in fills if fill is not None]
    if not there:
        return not_asked("inputs", "the box has infinite sides, or there are few values")
    share, what = min(there, key=lambda fill: fill[0])
    detail = f"the values of the samples fill {percent(share)} of {what}"
    if CHECKS["inputs"].outcome(share) != "PASS":
        detail += f": are {option('box')} and {option('data_range')} right?"
    return judged("inputs", share, detail)


def _fill_of_box(classifier: Classifier, rows: F32, finite: Mask) -> tuple[float, str] | None:
    width = classifier.upper - classifier.lower
    bounded = classifier.free & np.isfinite(width)
    if int(finite.sum()) * int(bounded.sum()) < _FEWEST:
        return None
    low, high = np.inf, -np.inf
    for block in blocks(finite):
        share = (rows[block][:, bounded] - classifier.lower[bounded]) / width[bounded]
        low, high = min(low, float(share.min())), max(high, float(share.max()))
    return high - low, f"the box {classifier.box}"


def _fill_of_layer(classifier: Classifier, rows: F32, finite: Mask) -> tuple[float, str] | None:
    """The share of the range that a Rescaling or Normalization is made for, and that range in words."""
    first = classifier.preprocessing
    if first is None or int(finite.sum()) * rows.shape[1] < _FEWEST:
        return None
    low, high, spread = np.inf, -np.inf, _Spread()
    for block in blocks(finite):
        try:
            after = rows[block].reshape(-1, *classifier.input_shape) * first.scale + first.offset
        except ValueError:  # it does not stand where the input has this shape
            return None
        low, high = min(low, float(after.min())), max(high, float(after.max()))
        spread.add(after)
    if first.kind == "Normalization":
        # made so that the values it was adapted to have a standard deviation of 1
        deviation = float(np.sqrt(np.mean(spread.variance)))
        return deviation, f"what the model's {first.text} was adapted to"
    span = 1.0 if not np.any(first.offset) else 2.0
    return (high - low) / span, f"what the model's {first.text} is made for"


class _Spread:
    """Variance of each feature over rows that come in blocks (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, np.zeros(()), np.zeros(())

    def add(self, rows: NDArray[Any]) -> None:
        count, mean = len(rows), rows.mean(axis=0)
        apart, total = mean - self._mean, self._count + len(rows)
        squares = ((rows - mean) ** 2).sum(axis=0)
        self._squares = self._squares + squares + apart**2 * (self._count * count / total)
        self._mean = self._mean + apart * (count / total)
        self._count = total

    @property
    def variance(self) -> NDArray[Any]:
        return self._squares / self._count
