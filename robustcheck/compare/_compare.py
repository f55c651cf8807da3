"""What got worse from one report to another, and whether that is a regression."""

from __future__ import annotations

import numpy as np

from robustcheck.compare._change import Pairs, change, enough_pairs, pair
from robustcheck.compare._comparable import differences, facts
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import (
    Column,
    Grounds,
    Whose,
    bootstrapped,
    doubt,
    known,
    parse_metric,
    resamples,
)
from robustcheck.results import Change, Comparison, Evidence, Measure, Moved, SampleDistances
from robustcheck.text import percent

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
_MEDIAN = parse_metric("distortion.l2.median")
_OLD: Whose = " of the old report"
_NEW: Whose = " of the new report"


def compare(old: Evidence, new: Evidence, *, tolerance: float = 0.05, level: float = 0.95) -> Comparison:
    """Compare two reports: what got worse, and whether that is a regression.

    A regression is a median ratio of distances whose whole interval lies below ``1 - tolerance``, a clean
    accuracy that fell, or a transfer rate that rose, by more than its interval.

    Reports that share too few samples are compared by the ratio of their medians instead.

    Args:
        old, new: the reports.
        tolerance: share by which distances may fall.
        level: of the intervals.

    Raises:
        ConfigError: a tolerance that is no share.
        Incomplete: a report without its samples.
    """
    if not 0 <= tolerance < 1:
        raise ConfigError(f"tolerance: expected a share from 0 to below 1, got {tolerance:g}")
    if old.samples is None or new.samples is None:
        missing = old if old.samples is None else new
        raise Incomplete(f"{missing.path or 'report'}: expected samples.npz beside report.json, got none")
    differ = differences(old.document, new.document)
    pairs = pair(old.samples, new.samples)
    paired = enough_pairs(pairs, old.samples, new.samples)
    changes = [
        found for name in _METRICS if (found := change(parse_metric(name), old, new, level=level)) is not None
    ]
    ratio = Measure(None, 0)
    if differ.distances and paired:
        ratio = median_ratio(old.samples, new.samples, pairs, level)
    elif differ.distances:
        ratio = next(item.ratio for item in changes if item.metric == "distortion.l2.median")
    reasons = _reasons(ratio, changes, tolerance, level)
    doubts = _doubts(old, new)
    was, now = old.samples.correct[pairs.old], new.samples.correct[pairs.new]
    return Comparison(
        old=facts(old),
        new=facts(new),
        shared=len(pairs.old),
        paired=paired,
        notes=[*differ.notes, *doubts],
        comparable=ratio.high is not None and not doubts,
        median_ratio=ratio,
        newly_wrong=int(np.sum(was & ~now)),
        newly_right=int(np.sum(~was & now)),
        changes=sorted(changes, key=_worst_first),
        fell_most=fell_most(old.samples, new.samples, pairs) if differ.distances else [],
        regression=bool(reasons),
        reasons=reasons,
    )


def _doubts(old: Evidence, new: Evidence) -> list[str]:
    """Why distances of either report may not be believed, a sentence each; what is worse is so anyway."""
    found = []
    for side, whose in ((old, _OLD), (new, _NEW)):
        grounds = Grounds.of(side.document)
        why = doubt(_MEDIAN, grounds, grounds.correct, whose=whose)
        if why is not None:
            found.append(why.sentence)
    return found


def median_ratio(old: SampleDistances, new: SampleDistances, pairs: Pairs, level: float) -> Measure:
    """Median of new over old L2 distance among the samples found in both, with a bootstrap interval."""
    found = old.found[pairs.old] & new.found[pairs.new]
    if not found.any():
        return Measure(None, 0)
    ratio = new.distance[pairs.new][found] / old.distance[pairs.old][found]
    rows = Column(ratio, np.ones(len(ratio), bool), "median")
    draws = np.concatenate(
        [rows.weighted(weights) for weights, _ in resamples(len(ratio), len(ratio), paired=True)]
    )
    return bootstrapped(float(np.median(ratio)), draws, len(ratio), level)


def fell_beyond(ratio: Measure, tolerance: float, level: float) -> list[str]:
    """Why distances fell by more than the tolerance, if they did."""
    if ratio.high is None or ratio.high >= 1.0 - tolerance:
        return []
    return [
        f"L2 distances are {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) "
        f"of the old ones, below {1.0 - tolerance:g} with the whole {100 * level:g} % interval"
    ]


def _reasons(ratio: Measure, changes: list[Change], tolerance: float, level: float) -> list[str]:
    """Why this is a regression, a sentence each."""
    reasons = fell_beyond(ratio, tolerance, level)
    for item in changes:
        if item.direction == "worse" and item.metric in ("accuracy.clean", "transfer.max"):
            reasons.append(
                f"{item.metric} went from {percent(item.old)} to {percent(item.new)}, more than its interval"
            )
    return reasons


def _worst_first(item: Change) -> tuple[int, float]:
    rank = {"worse": 0, "unclear": 1, "same": 2, "better": 3}[item.direction]
    moved = 0.0 if item.ratio.value is None else abs(np.log(max(item.ratio.value, 1e-12)))
    return rank, -moved


def fell_most(old: SampleDistances, new: SampleDistances, pairs: Pairs) -> list[Moved]:
    """The samples whose distance fell most; one that became wrong fell to 0."""
    with np.errstate(invalid="ignore"):
        fell = old.distance[pairs.old] - new.distance[pairs.new]
    fell = np.where(old.correct[pairs.old], fell, -np.inf)
    order = np.argsort(-np.nan_to_num(fell, nan=-np.inf), kind="stable")[:_FELL_MOST]
    return [
        Moved(
            index=int(new.index[pairs.new[at]]),
            label=int(new.label[pairs.new[at]]),
            old=known(float(old.distance[pairs.old[at]])),
            new=known(float(new.distance[pairs.new[at]])),
        )
        for at in order
        if fell[at] > 0
    ]
