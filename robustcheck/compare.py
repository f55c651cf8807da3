"""Two reports side by side, paired by sample where they are of the same samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import Incomplete
from robustcheck.measures import Column, Metric, bootstrapped, column, measure, parse_metric, resamples
from robustcheck.results import (
    BaselineFacts,
    Change,
    Comparison,
    Direction,
    Evidence,
    Measure,
    Moved,
    ReportDocument,
    SampleOutcomes,
)
from robustcheck.text import percent

Ints = NDArray[np.int64]

_METRICS = (
    "distortion.l2.median",
    "distortion.l2.mean",
    "distortion.l2.p05",
    "distortion.linf.median",
    "distortion.l1.median",
    "accuracy.clean",
    "transfer.max",
    "transfer.mean",
    "attack.found",
)
_FELL_MOST = 5
# where the search may go and what it looks for, and how it looks: distances mean the same where these agree
_THREAT = ("box", "labels", "target", "frozen")
_SEARCH = ("method", "budget", "candidates", "loss_scale")


def compare(old: Evidence, new: Evidence, *, tolerance: float = 0.05, level: float = 0.95) -> Comparison:
    """Compare two reports: what got worse, and whether that is a regression.

    A regression is a median ratio of distances whose whole interval lies below ``1 - tolerance``, a clean
    accuracy that fell, or a transfer rate that rose, by more than its interval.

    Args:
        old, new: the reports.
        tolerance: share by which distances may fall.
        level: of the intervals.

    Raises:
        Incomplete: a report without its samples.
    """
    if old.samples is None or new.samples is None:
        missing = old if old.samples is None else new
        raise Incomplete(f"{missing.path or 'report'}: expected samples.npz beside report.json, got none")
    differ = differences(old.document, new.document)
    pairs = pair(old.samples, new.samples)
    ratio = _median_ratio(old.samples, new.samples, pairs, level) if differ.distances else Measure(None, 0)
    metrics = [parse_metric(name) for name in _METRICS]
    changes = [
        found
        for metric in metrics
        if (differ.distances or metric.family != "distortion")
        and (found := change(metric, old, new, level=level)) is not None
    ]
    reasons = _reasons(ratio, changes, tolerance, level)
    was, now = old.samples.correct[pairs.old], new.samples.correct[pairs.new]
    return Comparison(
        old=facts(old),
        new=facts(new),
        paired=len(pairs.old),
        notes=differ.notes,
        comparable=differ.distances,
        median_ratio=ratio,
        newly_wrong=int(np.sum(was & ~now)),
        newly_right=int(np.sum(~was & now)),
        changes=sorted(changes, key=_worst_first),
        fell_most=_fell_most(old.samples, new.samples, pairs) if differ.distances else [],
        regression=bool(reasons),
        reasons=reasons,
    )


def facts(evidence: Evidence) -> BaselineFacts:
    """Which report this is."""
    document = evidence.document
    return BaselineFacts(
        path=evidence.path,
        model=document.model.name,
        model_sha256=document.model.sha256,
        started=document.provenance.started,
    )


@dataclass(frozen=True)
class Differences:
    """What differs between two reports besides the model, a sentence each.

    ``distances`` and ``transfer`` say whether these mean the same in both.
    """

    notes: list[str]
    distances: bool
    transfer: bool


def differences(old: ReportDocument, new: ReportDocument) -> Differences:
    """What differs between two reports besides the model."""
    threat = [(name, getattr(old.data, name), getattr(new.data, name)) for name in _THREAT]
    was, now = old.provenance.options, new.provenance.options
    search = [(name, was.get(name), now.get(name)) for name in _SEARCH]
    hard = [f"{name} was {before}, is {after}" for name, before, after in threat + search if before != after]
    soft = [
        f"{name} was {before}, is {after}"
        for name in ("seed", "robustcheck")
        if (before := getattr(old.provenance, name)) != (after := getattr(new.provenance, name))
    ]
    soft += [
        f"the {which} audit was interrupted"
        for which, one in (("old", old), ("new", new))
        if not one.complete
    ]
    references = [sorted(f"{model.sha256}" for model in one.references) for one in (old, new)]
    if references[0] != references[1]:
        soft.append("the reference models differ, so transfer rates are not compared")
    return Differences([*hard, *soft], not hard, references[0] == references[1] and not hard)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of the samples that two reports share, in step."""

    old: Ints
    new: Ints


def pair(old: SampleOutcomes, new: SampleOutcomes) -> Pairs:
    """The samples that both have, by their digest; a sample that is there twice is paired once each time."""
    where: dict[str, list[int]] = {}
    for row in reversed(range(len(old))):
        where.setdefault(str(old.sample_id[row]), []).append(row)
    found = [(rows.pop(), row) for row in range(len(new)) if (rows := where.get(str(new.sample_id[row]), []))]
    both = np.array(found, np.int64).reshape(-1, 2)
    return Pairs(both[:, 0], both[:, 1])


def change(metric: Metric, old: Evidence, new: Evidence, *, level: float = 0.95) -> Change | None:
    """How a measure changed; None where one of the reports has not what it takes.

    Of the samples that both have, by a paired bootstrap (Efron and Tibshirani 1993, chapter 13: percentile
    interval, 2000 draws); of all samples, drawn independently, where they share none. A figure without rows,
    a transfer rate, by Newcombe's interval of a difference (1998, method 10) as if the samples were others.
    """
    if old.samples is None or new.samples is None:
        columns = None
    else:
        columns = column(metric, old.samples), column(metric, new.samples)
    if columns is None or columns[0] is None or columns[1] is None or old.samples is None:
        return _change_of_figures(metric, old, new, level)
    assert new.samples is not None
    pairs = pair(old.samples, new.samples)
    paired = len(pairs.old) > 0
    if paired:
        before, after = columns[0].take(pairs.old), columns[1].take(pairs.new)
    else:
        before, after = columns[0], columns[1]
    return _change_of_rows(metric, before, after, paired=paired, level=level)


def _change_of_rows(metric: Metric, before: Column, after: Column, *, paired: bool, level: float) -> Change:
    old, new = (float(one.weighted(np.ones((1, len(one.values)), np.int64))[0]) for one in (before, after))
    n = int(min(before.counted.sum(), after.counted.sum()))
    draws = [
        (before.weighted(one), after.weighted(other))
        for one, other in resamples(len(before.values), len(after.values), paired=paired)
    ]
    was, now = (np.concatenate(side) for side in zip(*draws, strict=True))
    # the bootstrap says nothing of an extreme
    extreme = metric.statistic in ("min", "max")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = bootstrapped(new / old if old else np.nan, now / was, n, level, bare=extreme)
        difference = bootstrapped(new - old, now - was, n, level, bare=extreme)
    return Change(
        metric=metric.name,
        old=_known(old),
        new=_known(new),
        ratio=ratio,
        difference=difference,
        paired=paired,
        direction=_direction(metric, difference, paired=paired),
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _change_of_figures(metric: Metric, old: Evidence, new: Evidence, level: float) -> Change | None:
    """From the figures alone."""
    before, after = measure(metric, old, level), measure(metric, new, level)
    if before is None or after is None:
        return None
    if metric.family == "transfer" and not differences(old.document, new.document).transfer:
        return None
    n = min(before.n, after.n)
    difference = ratio = Measure(None, n)
    if before.value is not None and after.value is not None:
        difference = Measure(after.value - before.value, n, *_newcombe(before, after))
        ratio = Measure(after.value / before.value, n) if before.value else ratio
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
    neutral = metric.family in ("found", "doubling", "check")
    if neutral or difference.low is None or difference.high is None:
        return "unclear"
    if difference.low <= 0.0 <= difference.high:
        return "unclear"
    return "better" if (difference.low > 0.0) == metric.higher_is_better else "worse"


def _median_ratio(old: SampleOutcomes, new: SampleOutcomes, pairs: Pairs, level: float) -> Measure:
    """Median of new over old L2 distance among the samples found in both, with a bootstrap interval."""
    found = old.found[pairs.old] & new.found[pairs.new]
    if not found.any():
        return Measure(None, 0)
    ratio = new.l2[pairs.new][found] / old.l2[pairs.old][found]
    rows = Column(ratio, np.ones(len(ratio), bool), "median")
    draws = np.concatenate([rows.weighted(one) for one, _ in resamples(len(ratio), len(ratio), paired=True)])
    return bootstrapped(float(np.median(ratio)), draws, len(ratio), level)


def _reasons(ratio: Measure, changes: list[Change], tolerance: float, level: float) -> list[str]:
    """Why this is a regression, a sentence each."""
    reasons = []
    if ratio.high is not None and ratio.high < 1.0 - tolerance:
        reasons.append(
            f"the median ratio of distances is {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}), "
            f"below {1.0 - tolerance:g} with its whole {100 * level:g} % interval"
        )
    for one in changes:
        if one.direction == "worse" and one.metric in ("accuracy.clean", "transfer.max"):
            reasons.append(
                f"{one.metric} went from {percent(one.old)} to {percent(one.new)}, more than its interval"
            )
    return reasons


def _worst_first(one: Change) -> tuple[int, float]:
    rank = {"worse": 0, "unclear": 1, "same": 2, "better": 3}[one.direction]
    moved = 0.0 if one.ratio.value is None else abs(np.log(max(one.ratio.value, 1e-12)))
    return rank, -moved


def _fell_most(old: SampleOutcomes, new: SampleOutcomes, pairs: Pairs) -> list[Moved]:
    """The samples whose distance fell most; one that became wrong fell to 0."""
    with np.errstate(invalid="ignore"):
        fell = old.l2[pairs.old] - new.l2[pairs.new]
    fell = np.where(old.correct[pairs.old], fell, -np.inf)
    order = np.argsort(-np.nan_to_num(fell, nan=-np.inf), kind="stable")[:_FELL_MOST]
    return [
        Moved(
            index=int(new.index[pairs.new[at]]),
            label=int(new.label[pairs.new[at]]),
            old=_known(float(old.l2[pairs.old[at]])),
            new=_known(float(new.l2[pairs.new[at]])),
        )
        for at in order
        if fell[at] > 0
    ]
