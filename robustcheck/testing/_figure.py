"""A measure that knows its name and its report."""

from __future__ import annotations

from dataclasses import dataclass, field

from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import MIN_SAMPLES, Grounds, doubt, measure, parse_metric
from robustcheck.results import AuditReport, Measure
from robustcheck.testing._explain import (
    ANYWHERE,
    ReportPlace,
    audit_line,
    figure_line,
    indented,
    nearest_lines,
)
from robustcheck.text import printable


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
        more = [audit_line(self.report), *nearest_lines(self.report, place, [self.metric])]
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
    found = measure(name, report.evidence)
    if name.searched not in (None, *report.searches):
        raise Incomplete(
            f"{metric}: expected a norm that the audit searched, {' or '.join(report.searches)}; "
            f"norms= (--norm {name.searched}) searches that one"
        )
    if found is None:
        raise Incomplete(
            f"{metric}: expected a measure of the report, got none: an audit without this reference?"
        )
    return figure_of(report, metric, found, min_samples=min_samples)


def figure_of(report: AuditReport, metric: str, found: Measure, *, min_samples: int = MIN_SAMPLES) -> Figure:
    """A measure with its name and report.

    Raises:
        Incomplete: it cannot be believed.
    """
    __tracebackhide__ = True
    why = doubt(parse_metric(metric), Grounds.of(report), found.n, min_samples=min_samples)
    if why is not None:
        fewer = "; audit more, or ask for fewer with min_samples=" if why.code == "few_samples" else ""
        raise Incomplete(f"{metric}: {why.sentence}{fewer}")
    return Figure(value=found.value, n=found.n, low=found.low, high=found.high, metric=metric, report=report)
