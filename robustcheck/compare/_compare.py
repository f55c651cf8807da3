"""What got worse from one report to another, and whether that is a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robustcheck.compare._change import Pairs, change, enough_pairs, pair
from robustcheck.compare._comparable import differences, facts
from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import (
    Column,
    Grounds,
    Metric,
    Whose,
    bootstrapped,
    doubt,
    known,
    parse_metric,
    resamples,
)
from robustcheck.norms import NORMS
from robustcheck.results import Change, Comparison, Evidence, Measure, Moved, SampleOutcomes, SampleTable
from robustcheck.text import percent

_STATISTICS = ("median", "mean", "p05")
_PLAIN = ("accuracy.clean", "transfer.max", "transfer.mean", "attack.found")
# of a deployed form: shares, and what of the ratio
_OF_FORMS = (("agreement",), ("weaker",), ("ratio", "p05"), ("ratio", "median"), ("accuracy",))
_FELL_MOST = 5
_OLD: Whose = " of the old report"
_NEW: Whose = " of the new report"


def compare(old: Evidence, new: Evidence, *, tolerance: float = 0.05, level: float = 0.95) -> Comparison:
    """Compare two reports: what got worse, and whether that is a regression.

    A regression is a median ratio of distances, in any norm that both searched, whose whole interval lies
    below ``1 - tolerance``; a clean accuracy or the 5 % quantile of a deployed form's ratio that fell, or a
    transfer rate that rose, by more than its interval.

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
    differ = differences(old.document, new.document)
    tables = {norm: (_rows(old, norm), _rows(new, norm)) for norm in differ.norms}
    before, after = next(iter(tables.values()), (_rows(old), _rows(new)))
    pairs = pair(before, after)
    paired = enough_pairs(pairs, before, after)
    metrics = [Metric.distortion(norm, name) for norm in differ.norms for name in _STATISTICS]
    metrics += map(parse_metric, _PLAIN)
    metrics += [Metric.deployed(form, *what) for form in _forms(old, new) for what in _OF_FORMS]
    changes = [found for metric in metrics if (found := change(metric, old, new, level=level)) is not None]
    ratios: dict[SearchedNorm, Measure] = {}
    if differ.distances and paired:
        ratios = {norm: median_ratio(*both, pairs, level) for norm, both in tables.items()}
    elif differ.distances:
        medians = {Metric.distortion(norm, "median").name: norm for norm in differ.norms}
        ratios = {medians[item.metric]: item.ratio for item in changes if item.metric in medians}
    reasons = _reasons(ratios, changes, tolerance, level)
    doubts = _doubts(old, new, differ.norms)
    first = next(iter(ratios), None)
    was, now = before.correct[pairs.old], after.correct[pairs.new]
    return Comparison(
        old=facts(old),
        new=facts(new),
        shared=len(pairs.old),
        paired=paired,
        notes=[*differ.notes, *_form_notes(old, new), *doubts],
        comparable=bool(ratios) and all(ratio.high is not None for ratio in ratios.values()) and not doubts,
        norm=first,
        median_ratio=Measure(None, 0) if first is None else ratios[first],
        further_ratios={norm: ratio for norm, ratio in ratios.items() if norm != first},
        newly_wrong=int(np.sum(was & ~now)),
        newly_right=int(np.sum(~was & now)),
        changes=sorted(changes, key=_worst_first),
        fell_most=fell_most(before, after, pairs) if differ.distances else [],
        regression=bool(reasons),
        reasons=reasons,
    )


def _rows(side: Evidence, norm: SearchedNorm | None = None) -> SampleOutcomes:
    """The samples of a report in a norm, the first when None."""
    norm = side.document.norm if norm is None else norm
    rows = side.rows(norm)
    if rows is None:
        file = side.document.samples_file(norm)
        raise Incomplete(f"{side.path or 'report'}: expected {file} beside report.json, got none")
    return rows


def _forms(old: Evidence, new: Evidence) -> list[str]:
    """Names of the deployed forms that are in both reports."""
    before = {form.name for form in old.document.deployed}
    return [form.name for form in new.document.deployed if form.name in before]


def _form_notes(old: Evidence, new: Evidence) -> list[str]:
    """Which deployed forms are other files, or in one report only."""
    before, after = ({form.name: form.sha256 for form in side.document.deployed} for side in (old, new))
    notes = [
        f"the deployed form {name} is in the {'new' if name in after else 'old'} report only"
        for name in sorted(before.keys() ^ after.keys())
    ]
    others = [name for name in before if name in after and before[name] != after[name]]
    return notes + [f"the deployed form {name} is another file than it was" for name in others]


def _doubts(old: Evidence, new: Evidence, norms: Sequence[SearchedNorm]) -> list[str]:
    """Why distances of either report may not be believed, a sentence each; what is worse is so anyway."""
    found = []
    for side, whose in ((old, _OLD), (new, _NEW)):
        grounds = Grounds.of(side.document)
        for norm in norms or [side.document.norm]:
            why = doubt(Metric.distortion(norm, "median"), grounds, grounds.correct, whose=whose)
            if why is not None and why.sentence not in found:
                found.append(why.sentence)
    return found


def median_ratio(old: SampleTable, new: SampleTable, pairs: Pairs, level: float) -> Measure:
    """Median of new over old distance among the samples found in both, with a bootstrap interval."""
    found = old.found[pairs.old] & new.found[pairs.new]
    if not found.any():
        return Measure(None, 0)
    ratio = new.distance[pairs.new][found] / old.distance[pairs.old][found]
    rows = Column(ratio, np.ones(len(ratio), bool), "median")
    draws = np.concatenate(
        [rows.weighted(weights) for weights, _ in resamples(len(ratio), len(ratio), paired=True)]
    )
    return bootstrapped(float(np.median(ratio)), draws, len(ratio), level)


def fell_beyond(norm: str, ratio: Measure, tolerance: float, level: float) -> list[str]:
    """Why distances fell by more than the tolerance, if they did."""
    if ratio.high is None or ratio.high >= 1.0 - tolerance:
        return []
    return [
        f"{NORMS[norm].title} distances are {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) "
        f"of the old ones, below {1.0 - tolerance:g} with the whole {100 * level:g} % interval"
    ]


def _reasons(
    ratios: Mapping[SearchedNorm, Measure], changes: list[Change], tolerance: float, level: float
) -> list[str]:
    """Why this is a regression, a sentence each."""
    reasons = [why for norm, ratio in ratios.items() for why in fell_beyond(norm, ratio, tolerance, level)]
    for item in changes:
        if item.direction == "worse" and item.metric in ("accuracy.clean", "transfer.max"):
            reasons.append(
                f"{item.metric} went from {percent(item.old)} to {percent(item.new)}, more than its interval"
            )
        metric = parse_metric(item.metric)
        if item.direction == "worse" and metric.form and item.metric.endswith(".ratio.p05"):
            was, now = (float("nan") if side is None else side for side in (item.old, item.new))
            reasons.append(f"{item.metric} went from {was:.3g} to {now:.3g}, more than its interval")
    return reasons


def _worst_first(item: Change) -> tuple[int, float]:
    rank = {"worse": 0, "unclear": 1, "same": 2, "better": 3}[item.direction]
    moved = 0.0 if item.ratio.value is None else abs(np.log(max(item.ratio.value, 1e-12)))
    return rank, -moved


def fell_most(old: SampleTable, new: SampleTable, pairs: Pairs) -> list[Moved]:
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
