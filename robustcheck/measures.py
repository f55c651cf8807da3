"""Figures, each with its number of samples and a 95 % interval, from what a search found.

Nothing here sees a model, so a stored report can be measured again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from robustcheck.results import NORMS, Counts, CurvePoint, Measure, SearchResult, Status, TransferMatrix

_Z = 1.959963984540054  # of the normal distribution, for 95 %
_QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
_CURVE_POINTS = 101


def count(result: SearchResult) -> Counts:
    """How the samples ended."""
    number = {status: int(result.is_(status).sum()) for status in Status}
    return Counts(
        total=len(result),
        correct=number[Status.FOUND] + number[Status.NOT_FOUND],
        already_wrong=number[Status.ALREADY_WRONG],
        found=number[Status.FOUND],
        not_found=number[Status.NOT_FOUND],
        non_finite=number[Status.NON_FINITE],
    )


def share(hits: int, n: int) -> Measure:
    """A share with its Wilson score interval (Wilson 1927); None of nothing."""
    if n == 0:
        return Measure(None, 0)
    p, z2 = hits / n, _Z * _Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # at the ends the formula gives exactly 0 and 1, but for rounding
    return Measure(p, n, 0.0 if hits == 0 else centre - half, 1.0 if hits == n else centre + half)


def mean(values: NDArray[np.float64]) -> Measure:
    """A mean with the normal interval of its standard error; None where a value is infinite."""
    n = len(values)
    if n == 0 or not np.isfinite(values).all():
        return Measure(None, n)
    middle = float(values.mean())
    if n == 1:
        return Measure(middle, n)
    half = _Z * float(values.std(ddof=1)) / math.sqrt(n)
    return Measure(middle, n, middle - half, middle + half)


def quantile(values: NDArray[np.float64], q: float) -> Measure:
    """A quantile with the interval between two order statistics (no assumption on the distribution).

    The ranks are those of the normal approximation of the binomial. Infinite values sort last; a figure that
    falls on one is None.
    """
    n = len(values)
    if n == 0:
        return Measure(None, 0)
    ordered = np.sort(values)
    spread = _Z * math.sqrt(n * q * (1 - q))
    low = ordered[max(0, math.floor(n * q - spread))]
    high = ordered[min(n - 1, math.ceil(n * q + spread))]
    position = q * (n - 1)
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    weight = position - math.floor(position)
    value = below if weight == 0 else below + weight * (above - below) if np.isfinite(above) else math.inf
    return Measure(_known(value), n, _known(low), _known(high))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def distortion_measures(result: SearchResult) -> dict[str, Measure]:
    """``distortion.NORM.STATISTIC`` over the samples that the model classifies right."""
    measures: dict[str, Measure] = {}
    correct = result.correct
    for norm in NORMS:
        values = getattr(result, norm)[correct]
        found = values[np.isfinite(values)]
        of_norm = {"mean": mean(values), "mean_found": mean(found)}
        of_norm |= {name: quantile(values, q) for name, q in _QUANTILES.items()}
        n = len(values)
        of_norm["min"] = Measure(_known(values.min()) if n else None, n)
        of_norm["max"] = Measure(_known(values.max()) if n else None, n)
        measures |= {f"distortion.{norm}.{name}": one for name, one in of_norm.items()}
    return measures


def audit_measures(result: SearchResult, transfer: TransferMatrix | None) -> dict[str, Measure]:
    """All measures of an audit by name."""
    counts = count(result)
    measures = {
        "accuracy.clean": share(counts.correct, counts.correct + counts.already_wrong),
        "attack.found": share(counts.found, counts.correct),
        **distortion_measures(result),
        "search.last_doubling": last_doubling(result),
    }
    if transfer is not None:
        measures |= transfer_measures(transfer)
    return measures


def last_doubling(result: SearchResult) -> Measure:
    """By what share the median L2 distance fell when the budget was last doubled.

    A figure that is not small says that more budget would give shorter distortions still.
    """
    correct = result.correct
    before, after = (quantile(of[correct], 0.5).value for of in (result.l2_halfway, result.l2))
    if not before or after is None:
        return Measure(None, int(correct.sum()))
    return Measure(1.0 - after / before, int(correct.sum()))


def transfer_measures(transfer: TransferMatrix) -> dict[str, Measure]:
    """``transfer.A->B`` for each pair of different models, and ``transfer.max``, ``mean``, ``max_excess``.

    The three sum up what the examples made for the audited model, the first, do to the others.
    """
    measures: dict[str, Measure] = {}
    for row in transfer.rows:
        for name, errors in zip(transfer.models, row.errors, strict=True):
            if name != row.made_for and errors is not None:
                measures[f"transfer.{row.made_for}->{name}"] = share(errors, row.n)
    subject = transfer.rows[0]
    excess = [one for one in subject.excess[1:] if one is not None]
    if excess:
        shares = [share(count or 0, subject.n) for count in subject.errors[1:]]
        measures["transfer.max"] = max(shares, key=lambda one: one.value or 0.0)
        measures["transfer.mean"] = Measure(sum(one.value or 0.0 for one in shares) / len(shares), subject.n)
        measures["transfer.max_excess"] = Measure(max(excess), subject.n)
    return measures


def robust_accuracy_curve(result: SearchResult) -> list[CurvePoint]:
    """Share of all finite samples that stay right within each L2 radius; falls with the radius.

    An upper bound of the true robust accuracy, as every distance is one of the true minimum.
    """
    distances = np.where(result.correct, result.l2, -1.0)[~result.is_(Status.NON_FINITE)]
    found = result.l2[result.found]
    largest = float(found.max()) if len(found) else 1.0
    radii = np.linspace(0.0, 1.02 * largest, _CURVE_POINTS)
    return [CurvePoint(float(radius), float(np.mean(distances > radius))) for radius in radii]
