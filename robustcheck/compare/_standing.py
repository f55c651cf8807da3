"""A model against the baseline that a test keeps."""

from __future__ import annotations

import numpy as np

from robustcheck.compare._change import change_of_pairs, pair
from robustcheck.compare._comparable import differences
from robustcheck.compare._compare import fell_beyond, fell_most, median_ratio
from robustcheck.errors import ConfigError
from robustcheck.measures import MIN_SAMPLES, Grounds, Metric, doubt, parse_metric
from robustcheck.results import AuditReport, Baseline, Measure, Standing
from robustcheck.text import percent

_ACCURACY = parse_metric("accuracy.clean")


def against_baseline(
    old: Baseline,
    new: AuditReport,
    *,
    rel: float,
    accuracy: float,
    min_samples: int = MIN_SAMPLES,
    level: float = 0.95,
) -> Standing:
    """Hold a model against a baseline on the same samples.

    It falls short where the median ratio of distances lies below ``1 - rel``, or the clean accuracy fell by
    more than ``accuracy``, each with its whole interval (paired bootstrap); and where nothing can be said:
    other samples, other conditions, a norm that was not searched, a search that found too little.

    Args:
        old: what was kept.
        new: an audit of the same samples.
        rel: share by which distances may fall.
        accuracy: share of the samples by which the clean accuracy may fall.
        min_samples: that both must have.
        level: of the intervals.

    Raises:
        ConfigError: a tolerance that is no share.
    """
    for name, value in (("rel", rel), ("accuracy", accuracy)):
        if not 0 <= value < 1:
            raise ConfigError(f"{name}: expected a share from 0 to below 1, got {value:g}")
    # as it would be kept: with fewer digits a model may come out nearer than it is to itself
    again = Baseline.of(new, old.norm if old.norm in new.results else None)
    was, now = old.distances, again.distances
    pairs = pair(was, now)
    few = [f"only {len(pairs.old)} samples are shared, fewer than {min_samples}"]
    nothing = _incomparable(old, new) or (few if len(pairs.old) < min_samples else [])
    if nothing or not len(pairs.old):
        return Standing(
            norm=old.norm,
            shared=len(pairs.old),
            median_ratio=Measure(None, 0),
            accuracy=Measure(None, 0),
            newly_wrong=0,
            newly_right=0,
            reasons=nothing or ["no sample is shared"],
        )
    ratio = median_ratio(was, now, pairs, level)
    moved = change_of_pairs(_ACCURACY, was, now, pairs, level=level)
    right_before, right_now = was.correct[pairs.old], now.correct[pairs.new]
    return Standing(
        norm=old.norm,
        shared=len(pairs.old),
        median_ratio=ratio,
        accuracy=moved.difference,
        newly_wrong=int(np.sum(right_before & ~right_now)),
        newly_right=int(np.sum(~right_before & right_now)),
        fell_most=fell_most(was, now, pairs),
        reasons=[
            *(["no sample was found in both audits"] if ratio.value is None else []),
            *fell_beyond(old.norm, ratio, rel, level),
            *_less_accurate(moved.old, moved.new, moved.difference, accuracy, level),
        ],
    )


def _incomparable(old: Baseline, new: AuditReport) -> list[str]:
    """Why nothing can be said, a sentence each."""
    if old.data.sha256 != new.data.sha256:
        return ["the baseline is for other data"]
    if old.norm not in new.searches:
        return [f"the baseline is in {old.norm}, the audit searched {', '.join(new.searches)}"]
    differ = differences(old, new)
    reasons = [] if differ.distances else [f"the baseline is for other conditions: {'; '.join(differ.notes)}"]
    median = Metric.distortion(old.norm, "median")
    sides = (
        doubt(median, Grounds.of(new), None),
        doubt(median, Grounds.of(old), None, whose=" of the baseline"),
    )
    return reasons + [why.sentence for why in sides if why is not None]


def _less_accurate(
    old: float | None, new: float | None, moved: Measure, allowed: float, level: float
) -> list[str]:
    if moved.high is None or moved.high >= -allowed:
        return []
    return [
        f"clean accuracy fell from {percent(old)} to {percent(new)}, by more than {percent(allowed)} with "
        f"the whole {100 * level:g} % interval"
    ]
