"""Whether the data fit the model: labels, range of the values, classes of the samples drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, Mask, blocks
from robustcheck.checks._limits import LIMITS
from robustcheck.checks._shared import graded
from robustcheck.measures import MIN_SAMPLES, binomial_tail, count
from robustcheck.models import Classifier
from robustcheck.results import Check, SearchResult, Status
from robustcheck.text import option, percent


def labels(classifier: Classifier, result: SearchResult) -> Check:
    """Whether the model is better than chance."""
    counts = count(result)
    return better_than_chance(counts.correct, counts.correct + counts.already_wrong, classifier.classes)


def better_than_chance(correct: int, tried: int, classes: int) -> Check:
    """The check of a number of samples."""
    detail = f"{correct} of {tried} samples are classified right"
    fits = "do the labels, the order of the classes and the range of the data fit the model?"
    chance = binomial_tail(correct, tried, 1.0 / classes)
    if chance > LIMITS.chance and tried >= MIN_SAMPLES:
        return Check(
            id="labels", outcome="FAIL", detail=f"only {detail}, about what chance would give: {fits}"
        )
    if chance <= LIMITS.chance and classes >= 5 and correct <= 2 * tried / classes:
        return Check(id="labels", outcome="WARN", detail=f"only {detail}, little more than chance: {fits}")
    if chance > LIMITS.chance:
        detail += f", which guessing gives in {percent(chance)} of the cases: more samples would tell; {fits}"
        return Check(id="labels", outcome="WARN", detail=detail)
    return Check(id="labels", outcome="PASS", detail=detail)


def inputs(classifier: Classifier, result: SearchResult) -> Check:
    """Whether the samples fill the box."""
    return filling(classifier, result.rows, ~result.is_(Status.NON_FINITE))


def filling(classifier: Classifier, rows: F32, chosen: Mask | None = None) -> Check:
    """Whether the values of rows ``[N, D]`` fill the box, and what the model's first layer is made for.

    ``chosen``: of these rows, ``[N]``; all when None.
    """
    finite: Mask = np.ones(len(rows), bool) if chosen is None else chosen
    fills = [_fill_of_box(classifier, rows, finite), _fill_of_layer(classifier, rows, finite)]
    there = [fill for fill in fills if fill is not None]
    if not there:
        return Check(
            id="inputs", outcome="SKIP", detail="the box has infinite sides, or there are few values"
        )
    share, what = min(there, key=lambda fill: fill[0])
    outcome = graded(-share, -LIMITS.fill_warn, -LIMITS.fill_fail)
    detail = f"the values of the samples fill {percent(share)} of {what}"
    if outcome != "PASS":
        detail += f": are {option('box')} and {option('data_range')} right?"
    return Check(id="inputs", outcome=outcome, detail=detail)


def _fill_of_box(classifier: Classifier, rows: F32, finite: Mask) -> tuple[float, str] | None:
    width = classifier.upper - classifier.lower
    bounded = classifier.free & np.isfinite(width)
    if int(finite.sum()) * int(bounded.sum()) < LIMITS.fewest_values:
        return None
    low, high = np.inf, -np.inf
    for block in blocks(finite):
        share = (rows[block][:, bounded] - classifier.lower[bounded]) / width[bounded]
        low, high = min(low, float(share.min())), max(high, float(share.max()))
    return high - low, f"the box {classifier.box}"


def _fill_of_layer(classifier: Classifier, rows: F32, finite: Mask) -> tuple[float, str] | None:
    """The share of the range that a Rescaling or Normalization is made for, and that range in words."""
    first = classifier.preprocessing
    if first is None or int(finite.sum()) * rows.shape[1] < LIMITS.fewest_values:
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


def sample(result: SearchResult, strata: NDArray[Any] | None) -> Check:
    """Whether the classes of the samples are those of the source that they were drawn from."""
    if strata is None:
        detail = "the classes of the whole source are not known"
        return Check(id="sample", outcome="SKIP", detail=detail)
    if len(strata) <= len(result):
        return Check(
            id="sample", outcome="PASS", detail=f"all {len(result)} samples of the source were taken"
        )
    classes, whole = np.unique(strata, return_counts=True)
    expected = whole / whole.sum()
    drawn = np.array([np.sum(result.label == label) for label in classes]) / len(result)
    skew = 0.5 * float(np.abs(drawn - expected).sum())
    by_chance = 0.5 * float(np.sqrt(2 / np.pi * expected * (1 - expected) / len(result)).sum())
    missing = int(np.sum(drawn == 0))
    detail = f"{len(result)} of {len(strata)} samples were taken"
    if skew <= 2 * by_chance + LIMITS.skew:
        return Check(id="sample", outcome="PASS", detail=f"{detail}; their classes are those of the whole")
    lacking = f", and {missing} of {len(classes)} classes are missing" if missing else ""
    detail += (
        f"; the shares of their classes differ from those of the whole by {percent(skew)}{lacking}: "
        f"{option('sample', 'stratified')} draws them in proportion"
    )
    return Check(id="sample", outcome="WARN", detail=detail)
