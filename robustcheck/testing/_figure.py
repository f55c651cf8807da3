"""A measure that knows its name and its report."""

from __future__ import annotations

from dataclasses import dataclass, field

from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import Metric, measure, parse_metric
from robustcheck.results import AuditReport, Measure
from robustcheck.testing._explain import (
    ANYWHERE,
    ReportPlace,
    audit_line,
    figure_line,
    indented,
    nearest_lines,
)
from robustcheck.text import percent, printable

# a search that finds less says nothing of distances; as for the rules of a policy
_MIN_FOUND = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure(Measure):
    """A measure of a report, compared like any other.

    Attributes:
        metric: its name.
        report: what it was measured on.
    """

    metric: str
    report: AuditReport = field(repr=False)

    def explain(self, place: ReportPlace = ANYWHERE) -> list[str]:
        """What is to be known where a comparison fails, a line each; ``place`` holds the report."""
        more = [audit_line(self.report), *nearest_lines(self.report, place)]
        return [*map(printable, indented([f"{self.metric} = {figure_line(self)}", *more]))]


def figure(report: AuditReport, metric: str) -> Figure:
    """A measure of a report by its name.

    Args:
        report: of an audit.
        metric: in the grammar of a policy, such as ``distortion.l2.median``.

    Raises:
        ConfigError: a name outside the grammar.
        Incomplete: there is no such figure, or it cannot be believed because the search found too little.
    """
    __tracebackhide__ = True
    name = parse_metric(metric)
    if name.family == "check":
        raise ConfigError(f"{metric}: expected a figure, got a check; a policy can ask for it")
    return figure_of(report, metric, _measured(report, name))


def figure_of(report: AuditReport, metric: str, found: Measure) -> Figure:
    """A measure with its name and report."""
    return Figure(value=found.value, n=found.n, low=found.low, high=found.high, metric=metric, report=report)


def _measured(report: AuditReport, name: Metric) -> Measure:
    __tracebackhide__ = True
    if name.family in ("accuracy", "robust") and report.data.labels == "model":
        raise Incomplete(f"{name.name}: expected labels, the audit had none")
    found = measure(name, report.evidence)
    if found is None:
        raise Incomplete(
            f"{name.name}: expected a measure of the report, got none: an audit without this reference?"
        )
    if name.needs_found:
        share = report.measures["attack.found"].value
        if share is None or share < _MIN_FOUND:
            raise Incomplete(
                f"{name.name}: the search found an example for {percent(share)} of the samples, fewer than "
                f"{percent(_MIN_FOUND)}, so it says nothing of the model; a larger budget may find more"
            )
    return found
