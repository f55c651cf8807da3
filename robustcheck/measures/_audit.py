"""All figures of an audit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robustcheck.config import SearchedNorm
from robustcheck.measures._column import column, deployed_measures, doubling_name, transfer_measures
from robustcheck.measures._metric import STATISTICS, Metric, parse_metric
from robustcheck.measures._statistics import quantile
from robustcheck.norms import NORMS
from robustcheck.results import (
    POINTS,
    Counts,
    DeployedRows,
    Measure,
    Point,
    SampleOutcomes,
    Status,
    TransferMatrix,
)

_CURVE_POINTS = 101
_ROUNDING = 1e-6


def count(result: SampleOutcomes) -> Counts:
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


def _of_rows(metric: Metric, result: SampleOutcomes) -> Measure:
    rows = column(metric, result)
    assert rows is not None, f"{metric.name} is not a figure of rows"
    return rows.measure()


def distortion_measures(result: SampleOutcomes) -> dict[str, Measure]:
    """``distortion.NORM.STATISTIC`` over the samples that the model classifies right."""
    norms = [norm.name for norm in NORMS.values() if norm.searched == result.norm]
    metrics = [Metric.distortion(norm, statistic) for norm in norms for statistic in STATISTICS]
    on_levels = [Metric.distortion8(result.norm, statistic) for statistic in STATISTICS]
    there = [metric for metric in on_levels if column(metric, result) is not None]
    return {metric.name: _of_rows(metric, result) for metric in (*metrics, *there)}


def _example_measures(result: SampleOutcomes) -> dict[str, Measure]:
    """``examples.NORM.STATISTIC``: lengths of the examples in the norms that they were not made for."""
    norms = [norm.name for norm in NORMS.values() if norm.searched != result.norm]
    metrics = [Metric.examples(norm, statistic) for norm in norms for statistic in STATISTICS]
    return {metric.name: _of_rows(metric, result) for metric in metrics}


def audit_measures(
    results: Mapping[SearchedNorm, SampleOutcomes],
    transfer: TransferMatrix | None,
    deployed: Mapping[str, DeployedRows] | None = None,
) -> dict[str, Measure]:
    """All measures of an audit by name, from what each search found, the first norm first.

    ``deployed``: what deployed forms make of the samples, by name.
    """
    first, *further = results.values()
    measures = {
        **{name: _of_rows(parse_metric(name), first) for name in ("accuracy.clean", "attack.found")},
        **distortion_measures(first),
        **_example_measures(first),
        doubling_name(first.norm, first.norm): last_doubling(first),
    }
    for result in further:
        measures |= distortion_measures(result)
        measures[doubling_name(result.norm, first.norm)] = last_doubling(result)
    if transfer is not None:
        measures |= transfer_measures(transfer)
    return measures | deployed_measures(deployed or {})


def last_doubling(result: SampleOutcomes) -> Measure:
    """By what share the median distance fell when the budget was last doubled.

    A figure that is not small says that more budget would give shorter distortions still.
    """
    correct = result.correct
    before, after = (quantile(of[correct], 0.5).value for of in (result.halfway, result.distance))
    if not before or after is None:
        return Measure(None, int(correct.sum()))
    fell = 1.0 - after / before
    # one is measured in the search, the other outside: rounding is no change
    return Measure(0.0 if abs(fell) < _ROUNDING else fell, int(correct.sum()))


def robust_accuracy_curve(result: SampleOutcomes) -> list[Point]:
    """Share of all finite samples that stay right within each radius; falls with the radius.

    An upper bound of the true robust accuracy, as every distance is one of the true minimum.
    """
    distances = np.where(result.correct, result.distance, -1.0)[~result.is_(Status.NON_FINITE)]
    found = result.distance[result.found]
    largest = float(found.max()) if len(found) else 1.0
    radii = np.linspace(0.0, 1.02 * largest, _CURVE_POINTS)
    return [POINTS[result.norm](float(radius), float(np.mean(distances > radius))) for radius in radii]
