"""May this figure be believed? Asked here by all: measures, policies, assertions, tests, comparisons, checks.

What was interrupted is never believed, nor an accuracy by the model's own word, nor a figure of few samples,
nor what a search that found too little makes look better, nor a distance where a check failed. Whoever asks
only translates the answer: a comparison raises, a rule is INCOMPLETE, an assertion fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError
from robustcheck.measures._metric import Metric, parse_metric
from robustcheck.results import CHECKS, Baseline, Measure, ReportDocument
from robustcheck.text import percent

# a search that finds an example for fewer of the samples, or fewer samples, says nothing of the model
MIN_FOUND, MIN_SAMPLES = CHECKS["search"].fail, 30

# which audit a sentence is about, where there are two
Whose = Literal["", " of the baseline", " of the old report", " of the new report"]


@dataclass(frozen=True)
class Doubt:
    """Why a figure may not be believed.

    Attributes:
        code: the reason.
        sentence: the same in words, with what to do.
        check: that failed, where that is why.
    """

    code: Literal["interrupted", "no_labels", "few_samples", "poor_search", "failed_check"]
    sentence: str
    check: str | None = None

    @property
    def flatters(self) -> bool:
        """Whether the truth can only be worse than the figure, so that a bound it breaks is broken."""
        of_check = self.check is not None and CHECKS[self.check].flatters
        return self.code == "poor_search" or of_check


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What stands behind the figures of an audit.

    ``complete``: it was not interrupted; ``labelled``: the labels are not the model's own predictions;
    ``correct``: samples that were attacked, ``found`` of these with an example, by the norm that was
    searched, the first one first; ``failed`` are the checks that did, with what they say.
    """

    complete: bool
    labelled: bool
    correct: int
    found: Mapping[SearchedNorm, int]
    failed: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(audit: ReportDocument | Baseline) -> Grounds:
        """Of a report, or of what a test keeps of one."""
        if isinstance(audit, Baseline):
            rows = audit.distances
            correct, found = int(rows.correct.sum()), {audit.norm: int(rows.found.sum())}
        else:
            correct = audit.counts.correct
            found = {norm: search.counts.found for norm, search in audit.searches.items()}
        return Grounds(
            complete=audit.complete,
            labelled=audit.data.labels != "model",
            correct=correct,
            found=found,
            failed=audit.failed,
        )

    def accepting(self, checks: Iterable[str]) -> Grounds:
        """Without checks that a policy accepts as failed."""
        accepted = set(checks)
        return replace(self, failed={name: why for name, why in self.failed.items() if name not in accepted})

    def share_found(self, metric: Metric) -> float | None:
        """Share of the attacked samples with an example, in the search that a figure is of."""
        first = next(iter(self.found.values()))
        found = first if metric.searched is None else self.found.get(metric.searched, first)
        return found / self.correct if self.correct else None


def doubt(
    metric: Metric,
    grounds: Grounds,
    n: int | None,
    *,
    min_found: float = MIN_FOUND,
    min_samples: int = MIN_SAMPLES,
    whose: Whose = "",
) -> Doubt | None:
    """Why a figure may not be believed, if so; the first of the reasons that hold.

    Args:
        metric: which figure.
        grounds: of the audit that it is from.
        n: samples behind it; None where that is asked elsewhere.
        min_found: share of the attacked samples that must have an example.
        min_samples: samples that must be behind it.
        whose: audit, for the sentence.
    """
    if not grounds.complete:
        return Doubt("interrupted", f"the audit{whose} was interrupted, so its figures are of what was done")
    if metric.family in ("accuracy", "robust") and not grounds.labelled:
        sentence = f"the audit{whose} had no labels, so accuracy is that of the model by its own word"
        return Doubt("no_labels", sentence)
    # how much budget the search still used says the same of few samples
    if n is not None and n < min_samples and metric.family != "doubling":
        return Doubt("few_samples", f"expected at least {min_samples} samples, got {n}")
    # what failed is why too little was found, and says what to do
    for check, detail in grounds.failed.items():
        if metric.needs_found and CHECKS[check].doubts:
            sentence = f"the check {check}{whose} failed: {detail}"
            return Doubt("failed_check", sentence, check)
    share = grounds.share_found(metric)
    if metric.needs_found and min_found > 0 and (share is None or share < min_found):
        sentence = (
            f"the search{whose} found an example for {percent(share)} of the samples, fewer than "
            f"{percent(min_found)}, so it says nothing of the model: a larger budget may find more"
        )
        return Doubt("poor_search", sentence)
    return None


def believed(measures: Mapping[str, Measure], grounds: Grounds) -> dict[str, Measure]:
    """Measures by name, each with its doubt: those cannot be compared."""
    return {name: _believed(name, figure, grounds) for name, figure in measures.items()}


def _believed(name: str, figure: Measure, grounds: Grounds) -> Measure:
    try:
        why = doubt(parse_metric(name), grounds, figure.n)
    except ConfigError:  # a report of another version may hold more
        return figure
    return figure if why is None else figure.doubted(why.sentence)
