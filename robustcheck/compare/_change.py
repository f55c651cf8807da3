"""How a measure changed from one report to another, with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from robustcheck.arrays import I64
from robustcheck.compare._comparable import differences
from robustcheck.measures import (
    MIN_SAMPLES,
    Column,
    Metric,
    bootstrapped,
    column,
    known,
    measure,
    resamples,
    table_of,
)
from robustcheck.results import Change, DeployedRows, Direction, Evidence, Measure, SampleTable

Table: TypeAlias = SampleTable | DeployedRows


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of the samples that two reports share, in step."""

    old: I64
    new: I64


def pair(old: Table, new: Table) -> Pairs:
    """The samples that both have, by their digest; a sample that is there twice is paired once each time."""
    where: dict[str, list[int]] = {}
    for row in reversed(range(len(old))):
        where.setdefault(str(old.sample_id[row]), []).append(row)
    found = [(rows.pop(), row) for row in range(len(new)) if (rows := where.get(str(new.sample_id[row]), []))]
    both = np.array(found, np.int64).reshape(-1, 2)
    return Pairs(both[:, 0], both[:, 1])


def enough_pairs(pairs: Pairs, old: Table, new: Table) -> bool:
    """Whether the shared samples speak for the reports: 30 of them, or all of the smaller report."""
    return len(pairs.old) >= min(MIN_SAMPLES, len(old), len(new))


def change(metric: Metric, old: Evidence, new: Evidence, *, level: float = 0.95) -> Change | None:
    """How a measure changed; None where it does not mean the same in both, or one has not what it takes.

    Of the samples that both have, by a paired bootstrap (Efron and Tibshirani 1993, chapter 13: percentile
    interval, 2000 draws); of all samples, drawn independently, where they share too few
    (:func:`enough_pairs`). A figure without rows, a transfer rate, by Newcombe's interval of a difference
    (1998, method 10) as if the samples were others.
    """
    if not differences(old.document, new.document).allows(metric):
        return None
    was, now = (table_of(metric, side) for side in (old, new))
    before, after = (None if rows is None else column(metric, rows) for rows in (was, now))
    if was is None or now is None or before is None or after is None:
        return _change_of_figures(metric, old, new, level)
    pairs = pair(was, now)
    paired = enough_pairs(pairs, was, now)
    if paired:
        before, after = before.take(pairs.old), after.take(pairs.new)
    return _change_of_rows(metric, before, after, paired=paired, level=level)


def _change_of_rows(metric: Metric, before: Column, after: Column, *, paired: bool, level: float) -> Change:
    old, new = (float(side.weighted(np.ones((1, len(side.values)), np.int64))[0]) for side in (before, after))
    n = int(min(before.counted.sum(), after.counted.sum()))
    draws = [
        (before.weighted(mine), after.weighted(other))
        for mine, other in resamples(len(before.values), len(after.values), paired=paired)
    ]
    was, now = (np.concatenate(side) for side in zip(*draws, strict=True))
    # the bootstrap says nothing of an extreme
    extreme = metric.statistic in ("min", "max")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = bootstrapped(new / old if old > 0 else np.nan, now / was, n, level, bare=extreme)
        difference = bootstrapped(new - old, now - was, n, level, bare=extreme)
    return Change(
        metric=metric.name,
        old=known(old),
        new=known(new),
        ratio=ratio,
        difference=difference,
        paired=paired,
        direction=_direction(metric, difference, paired=paired),
    )


def change_of_pairs(
    metric: Metric, old: SampleTable, new: SampleTable, pairs: Pairs, *, level: float
) -> Change:
    """How a figure of rows changed on the samples that both have, by a paired bootstrap."""
    before, after = column(metric, old), column(metric, new)
    assert before is not None
    assert after is not None
    return _change_of_rows(metric, before.take(pairs.old), after.take(pairs.new), paired=True, level=level)


def _change_of_figures(metric: Metric, old: Evidence, new: Evidence, level: float) -> Change | None:
    """From the figures alone."""
    before, after = measure(metric, old, level), measure(metric, new, level)
    if before is None or after is None:
        return None
    n = min(before.n, after.n)
    difference = ratio = Measure(None, n)
    if before.value is not None and after.value is not None:
        difference = Measure(after.value - before.value, n, *_newcombe(before, after))
        ratio = Measure(after.value / before.value, n) if before.value > 0 else ratio
    return Change(
        metric=metric.name,
        old=before.value,
        new=after.value,
        ratio=ratio,
        difference=difference,
        paired=False,
        direction=_direction(metric, difference, paired=False),
    )


def _newcombe(before: Measure, after: Measure) -> tuple[float | None, float | None]:
    p, q = before.value, after.value
    sides = before.low, before.high, after.low, after.high
    if p is None or q is None or any(side is None for side in sides):
        return None, None
    lows, highs = (before.low or 0.0, after.low or 0.0), (before.high or 0.0, after.high or 0.0)
    down = np.hypot(q - lows[1], highs[0] - p)
    up = np.hypot(highs[1] - q, p - lows[0])
    return float(q - p - down), float(q - p + up)


def _direction(metric: Metric, difference: Measure, *, paired: bool) -> Direction:
    if difference.value == 0.0 and (not paired or difference.low == difference.high):
        return "same"
    neutral = metric.family in ("found", "doubling", "check", "examples")
    if neutral or difference.low is None or difference.high is None:
        return "unclear"
    if difference.low <= 0.0 <= difference.high:
        return "unclear"
    return "better" if (difference.low > 0.0) == metric.higher_is_better else "worse"
