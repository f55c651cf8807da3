"""The rows that each measure is made of, and measures of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import F64, I64, Mask
from robustcheck.measures._metric import Metric
from robustcheck.measures._statistics import LEVEL, QUANTILES, known, mean, quantile, share
from robustcheck.norms import NORMS
from robustcheck.results import DeployedRows, Evidence, Measure, SampleTable, Status, TransferMatrix

# a form errs clearly sooner than the model below this share of its distance
WEAKER = 0.95
# of ratios from 1, in the median: those of a form that was not changed a lot are nearer
APART = 0.1


@dataclass(frozen=True, eq=False)
class Column:
    """The rows that a figure is made of: a value a sample, and which samples count, both ``[N]``."""

    values: F64
    counted: Mask
    statistic: str

    def measure(self, level: float = LEVEL) -> Measure:
        """The figure over all rows."""
        values = self.values[self.counted]
        if self.statistic == "share":
            return share(int(values.sum()), len(values), level)
        if self.statistic == "mean":
            return mean(values, level)
        if self.statistic in QUANTILES:
            return quantile(values, QUANTILES[self.statistic], level)
        extreme = {"min": np.min, "max": np.max}[self.statistic]
        return Measure(known(extreme(values)) if len(values) else None, len(values))

    def take(self, rows: I64) -> Column:
        """Some of the rows."""
        return Column(self.values[rows], self.counted[rows], self.statistic)

    def weighted(self, weights: I64) -> F64:
        """The figure with each row repeated ``weights`` ``[R, N]`` times, for R resamples, ``[R]``.

        NaN of no row, infinite where the figure falls on a sample that nothing was found for.
        """
        rows = np.flatnonzero(self.counted)
        rows = rows[np.argsort(self.values[rows])]
        values, counted = self.values[rows], weights[:, rows]
        n = counted.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.statistic in ("share", "mean"):
                finite = np.where(np.isfinite(values), values, 0.0)
                lost = counted @ ~np.isfinite(values) > 0
                return np.where(lost, math.inf, counted @ finite / n)
            position = {**QUANTILES, "min": 0.0, "max": 1.0}[self.statistic] * (n - 1)
            upto = np.cumsum(counted, axis=1)
            below, above = (_at_rank(values, upto, side) for side in (np.floor(position), np.ceil(position)))
            weight = position - np.floor(position)
            between = np.where(np.isfinite(above), below + weight * (above - below), math.inf)
            return np.where(n == 0, math.nan, np.where(weight == 0, below, between))


def _at_rank(values: F64, upto: I64, rank: F64) -> F64:
    """The order statistic of each rank ``[R]``: values sorted ``[n]``, counted up to each in ``upto``."""
    if not len(values):
        return np.full(len(rank), math.nan)
    place = [int(np.searchsorted(row, at, side="right")) for row, at in zip(upto, rank, strict=True)]
    return values[np.minimum(place, len(values) - 1)]


def column(metric: Metric, samples: SampleTable | DeployedRows) -> Column | None:
    """The rows of a metric, of what a search left or a form came to; None where they do not tell it."""
    if isinstance(samples, DeployedRows):
        return deployed_column(metric, samples) if metric.form else None
    if metric.searched not in (None, samples.norm):
        return None
    correct, finite = samples.correct, ~samples.is_(Status.NON_FINITE)
    if metric.family == "accuracy":
        return Column(correct.astype(float), finite, "share")
    if metric.family == "robust":
        return Column((correct & (samples.distance > metric.radius)).astype(float), finite, "share")
    if metric.family == "found":
        return Column(samples.found.astype(float), correct, "share")
    values = _lengths(metric, samples)
    if values is None:
        return None
    if metric.statistic == "mean_found":
        return Column(values, correct & np.isfinite(values), "mean")
    return Column(values, correct, metric.statistic)


def deployed_column(metric: Metric, rows: DeployedRows) -> Column:
    """The rows of a figure of a deployed form.

    Ratios and what follows of them are of the samples with an example; robust accuracy of those too, and of
    the samples that the form gets wrong: of the others nobody knows how far it is.
    """
    right = rows.predicted == rows.label
    if metric.statistic == "accuracy":
        return Column(right.astype(float), rows.finite, "share")
    if metric.statistic == "agreement":
        return Column((rows.predicted == rows.clean).astype(float), rows.finite, "share")
    if metric.statistic == "holds":
        return Column((rows.fooled == 1).astype(float), rows.found, "share")
    if metric.statistic == "weaker":
        return Column((rows.ratio < WEAKER).astype(float), rows.found, "share")
    if metric.statistic == "robust":
        with np.errstate(invalid="ignore"):
            beyond = right & (rows.ratio * rows.distance > metric.radius)
        return Column(beyond.astype(float), rows.finite & (rows.found | ~right), "share")
    ratio = np.where(rows.found, rows.ratio, np.inf)
    if metric.statistic == "mean_found":
        return Column(ratio, rows.found & np.isfinite(ratio), "mean")
    return Column(ratio, rows.found, metric.statistic)


def deployed_measures(forms: Mapping[str, DeployedRows], level: float = LEVEL) -> dict[str, Measure]:
    """``deployed.NAME.*`` and ``accuracy.deployed.NAME`` of each form."""
    metrics = [
        Metric.deployed(name, what, statistic)
        for name in forms
        for what, statistic in (
            ("accuracy", ""),
            ("agreement", ""),
            ("holds", ""),
            ("weaker", ""),
            *(("ratio", quantile) for quantile in QUANTILES),
        )
    ]
    return {metric.name: deployed_column(metric, forms[metric.form]).measure(level) for metric in metrics}


def _lengths(metric: Metric, samples: SampleTable) -> F64 | None:
    """The lengths ``[N]`` that a figure is of; None where it is of none, or they are not told."""
    # what a test keeps of an audit has the distances alone
    own = metric.norm == samples.norm
    if metric.family == "distortion8":
        on_levels: F64 | None = getattr(samples, "distance8", None)
        return None if on_levels is None or np.isnan(on_levels[samples.correct]).any() else on_levels
    # the length in the norm that they were made for is their distance
    is_the_distance = metric.family == "examples" and NORMS[metric.norm].searched == samples.norm
    if metric.family not in ("distortion", "examples") or is_the_distance:
        return None
    lengths: F64 | None = samples.distance if own else getattr(samples, metric.norm, None)
    return lengths


def measure(metric: Metric, evidence: Evidence, level: float = LEVEL) -> Measure | None:
    """A figure of a report with its interval at ``level``; None where the report has not what it takes."""
    table = table_of(metric, evidence)
    rows = None if table is None else column(metric, table)
    if rows is not None:
        return rows.measure(level)
    transfer = evidence.document.transfer
    if metric.family == "transfer" and transfer is not None:
        return transfer_measures(transfer, level).get(metric.name)
    name = metric.name
    if metric.family == "doubling" and metric.norm:
        name = doubling_name(metric.norm, evidence.document.norm)
    stored = evidence.document.measures.get(name)
    # what a report holds is at 95 %; without the rows there is no other
    return stored if stored is None or level == LEVEL else Measure(stored.value, stored.n)


def table_of(metric: Metric, evidence: Evidence) -> SampleTable | DeployedRows | None:
    """The samples that a figure is of, where they are there."""
    if metric.form:
        return evidence.deployed.get(metric.form)
    return evidence.rows(metric.searched or evidence.document.norm)


def doubling_name(norm: str, first: str) -> str:
    """What the last doubling of a search is stored as: that of the first norm goes without its name."""
    return "search.last_doubling" if norm == first else f"search.{norm}.last_doubling"


def transfer_measures(transfer: TransferMatrix, level: float = LEVEL) -> dict[str, Measure]:
    """``transfer.A->B`` for each pair of different models, and ``transfer.max``, ``mean``, ``max_excess``.

    The three sum up what the examples made for the audited model, the first, do to the others.
    """
    measures: dict[str, Measure] = {}
    for row in transfer.rows:
        for name, errors in zip(transfer.models, row.errors, strict=True):
            if name != row.made_for and errors is not None:
                measures[Metric.transfer(row.made_for, name).name] = share(errors, row.n, level)
    if not transfer.rows:
        return measures
    subject = transfer.rows[0]
    excess = [more for more in subject.excess[1:] if more is not None]
    if excess:
        shares = [share(errors, subject.n, level) for errors in subject.errors[1:] if errors is not None]
        measures["transfer.max"] = max(shares, key=lambda figure: figure.value or 0.0)
        measures["transfer.mean"] = Measure(
            sum(figure.value or 0.0 for figure in shares) / len(shares), subject.n
        )
        measures["transfer.max_excess"] = Measure(max(excess), subject.n)
    return measures
