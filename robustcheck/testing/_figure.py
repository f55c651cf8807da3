"""A measure that knows its name and its report."""

from __future__ import annotations

from dataclasses import dataclass, field

from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import measure, parse_metric
from robustcheck.results import MIN_FOUND, MIN_SAMPLES, AuditReport, Measure
from robustcheck.testing._explain import (
    ANYWHERE,
    ReportPlace,
    audit_line,
    figure_line,
    indented,
    nearest_lines,
)
from robustcheck.text import percent, printable


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Figure(Measure):
    """A measure of a report, compared like any other.

    Attributes:
        metric: its name.
        report: what it was measured on.
    """

    metric: str
    report: AuditReport = field(repr=False)

    def __repr__(self) -> str:
        return f"<{self.metric} {figure_line(self)}>"

    def explain(self, place: ReportPlace = ANYWHERE) -> list[str]:
        """What is to be known where a comparison fails, a line each; ``place`` holds the report."""
        more = [audit_line(self.report), *nearest_lines(self.report, place)]
        return [*map(printable, indented([f"{self.metric} = {figure_line(self)}", *more]))]


def figure(report: AuditReport, metric: str, *, min_samples: int = MIN_SAMPLES) -> Figure:
    """A measure of a report by its name.

    Args:
        report: of an audit.
        metric: in the grammar of a policy, such as ``distortion.l2.median``.
        min_samples: samples that must be behind it.

    Raises:
        ConfigError: a name outside the grammar.
        Incomplete: there is no such figure, or it cannot be believed: no labels, too few samples, a search
            that found too little.
    """
    __tracebackhide__ = True
    name = parse_metric(metric)
    if name.family == "check":
        raise ConfigError(f"{metric}: expected a figure, got a check; a policy can ask for it")
    if name.family in ("accuracy", "robust") and report.data.labels == "model":
        raise Incomplete(f"{metric}: expected labels, the audit had none")
    found = measure(name, report.evidence)
    if found is None:
        raise Incomplete(
            f"{metric}: expected a measure of the report, got none: an audit without this reference?"
        )
    if name.needs_found or name.family == "transfer":
        require_found(report, metric)
    return figure_of(report, metric, found, min_samples=1 if name.family == "doubling" else min_samples)


def figure_of(report: AuditReport, metric: str, found: Measure, *, min_samples: int = MIN_SAMPLES) -> Figure:
    """A measure with its name and report.

    Raises:
        Incomplete: of too few samples.
    """
    __tracebackhide__ = True
    if found.n < min_samples:
        raise Incomplete(
            f"{metric}: expected at least {min_samples} samples, got {found.n}; audit more, or ask for fewer "
            "with min_samples="
        )
    return Figure(value=found.value, n=found.n, low=found.low, high=found.high, metric=metric, report=report)


def require_found(report: AuditReport, metric: str) -> None:
    """Refuse what stands on a search that found too little.

    Raises:
        Incomplete: naming the share found.
    """
    __tracebackhide__ = True
    share = report.measures["attack.found"].value
    if share is None or share < MIN_FOUND:
        raise Incomplete(
            f"{metric}: the search found an example for {percent(share)} of the samples, fewer than "
            f"{percent(MIN_FOUND)}, so it says nothing of the model; a larger budget may find more"
        )
