"""Two reports side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from robustcheck.config import SearchedNorm
from robustcheck.results._document import ReportFacts
from robustcheck.results._measure import Measure

Direction: TypeAlias = Literal["worse", "better", "same", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One measure in two reports.

    Attributes:
        metric: its name.
        old, new: its values; paired, over the samples that both reports have.
        ratio: ``new / old`` with its interval; None where a value is missing or ``old`` is 0.
        difference: ``new - old`` with its interval.
        paired: whether both are of the same samples.
        direction: "worse" and "better" only where the interval leaves no change out.
    """

    metric: str
    old: float | None
    new: float | None
    ratio: Measure
    difference: Measure
    paired: bool
    direction: Direction


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A sample in two reports; a distance is None where nothing was found, 0 where it is wrong already."""

    index: int
    label: int
    old: float | None
    new: float | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A model against a baseline, sample by sample.

    Attributes:
        norm: that the distances are in.
        shared: samples that both have.
        median_ratio: median over the samples found in both of ``new / old`` distance, with its bootstrap
            interval.
        accuracy: new less old clean accuracy on the shared samples, with its bootstrap interval.
        newly_wrong, newly_right: samples that only the old, only the new model classifies right.
        fell_most: samples whose distance fell most.
        reasons: why the model does not stand, a sentence each; none where it does.
        further: the same in each further norm.
    """

    norm: SearchedNorm
    shared: int
    median_ratio: Measure
    accuracy: Measure
    newly_wrong: int
    newly_right: int
    fell_most: list[Moved] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    further: list[Standing] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two reports side by side.

    Attributes:
        old, new: the reports.
        shared: samples that both have.
        paired: whether these are enough to compare sample by sample; else the figures are of all samples.
        notes: what differs between the conditions of the two, a sentence each.
        comparable: whether it can be said how distances changed, in every norm that both searched.
        norm: the first norm that both searched; None where there is none. ``fell_most`` is in it.
        median_ratio: median over the samples found in both of ``new / old`` distance in it, or, not paired,
            the ratio of the medians; with its bootstrap interval.
        further_ratios: the same in each further norm that both searched.
        newly_wrong, newly_right: samples that only the old, only the new model classifies right.
        changes: all measures that both have, worst first.
        fell_most: samples whose distance fell most.
        regression: whether a bound of the comparison was crossed, with the reasons in ``reasons``.
    """

    old: ReportFacts
    new: ReportFacts
    shared: int
    paired: bool
    notes: list[str]
    comparable: bool
    norm: SearchedNorm | None
    median_ratio: Measure
    further_ratios: dict[SearchedNorm, Measure] = field(default_factory=dict)
    newly_wrong: int
    newly_right: int
    changes: list[Change]
    fell_most: list[Moved] = field(default_factory=list)
    regression: bool
    reasons: list[str] = field(default_factory=list)
