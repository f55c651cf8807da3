"""What a failed assertion says: what failed, of which audit, the nearest samples, how to see one again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robustcheck.measures import parse_metric
from robustcheck.norms import NORMS
from robustcheck.report import class_name, nearest, number
from robustcheck.results import AuditReport, Measure, Moved, RuleResult
from robustcheck.text import printable

_NEAREST = 5


@dataclass(frozen=True)
class ReportPlace:
    """Where a report is, for a message; ``once`` says what has to be done first for it to be there."""

    folder: str
    once: str


ANYWHERE = ReportPlace("REPORT", "from a report written with out=")


def text(report: AuditReport, first: str, lines: Iterable[str]) -> str:
    """The whole message: what failed, then the audit, then more, indented."""
    return "\n".join(map(printable, [first, *indented([audit_line(report), *lines])]))


def audit_line(report: AuditReport) -> str:
    """Which model, samples and search."""
    options = report.provenance.options
    how = f"{options.get('method')}, budget {options.get('budget')}, seed {report.provenance.seed}"
    return f"{report.model.name}, {report.counts.correct} of {report.counts.total} samples right, {how}"


def rule_line(rule: RuleResult) -> str:
    """How one bound of a policy was met."""
    interval = "" if rule.low is None or rule.high is None else f", {number(rule.low)} to {number(rule.high)}"
    return f"{rule.outcome} {rule.metric} {rule.bound}: {rule.reason} (n = {rule.n}{interval})"


def rules_text(report: AuditReport, rules: Sequence[RuleResult], place: ReportPlace = ANYWHERE) -> str:
    """The message of rules that were not met."""
    lines = [rule_line(rule) for rule in rules]
    first, more = (lines[0], []) if len(lines) == 1 else ("policy not met", lines)
    return text(report, first, [*more, *nearest_lines(report, place, [rule.metric for rule in rules])])


def figure_line(measure: Measure) -> str:
    """A figure with its interval and samples."""
    interval = ""
    if measure.low is not None and measure.high is not None:
        interval = f", 95 % interval {number(measure.low)} to {number(measure.high)}"
    return f"{number(measure.value)} over {measure.n} samples{interval}"


def nearest_lines(
    report: AuditReport, place: ReportPlace = ANYWHERE, metrics: Iterable[str] = ()
) -> list[str]:
    """The nearest samples with their distances, and how to see the first again.

    ``metrics``: what is told; their norm is that of the distances, where they all have one.
    """
    norms = {parse_metric(name).searched for name in metrics}
    samples = {str(norm): rows for norm, rows in report.results.items()}.get(
        str(norms.pop()) if len(norms) == 1 else report.norm, report.samples
    )
    rows = nearest(samples)[:_NEAREST]
    if not len(rows):
        return []
    lines = [
        f"sample {samples.index[row]}: {class_name(report, int(samples.label[row]))} -> "
        f"{class_name(report, int(samples.predicted[row]))}, "
        f"{NORMS[samples.norm].title} {number(float(samples.distance[row]))}"
        for row in rows
    ]
    again = replay_line(report, int(samples.index[rows[0]]), place, samples.norm)
    return ["nearest:", *indented(lines), again]


def replay_line(
    report: AuditReport, index: int, place: ReportPlace = ANYWHERE, norm: str | None = None
) -> str:
    """How to see a sample of a report again."""
    once = f"once more, {place.once}" if place.once else "once more"
    model = "" if report.model.path is not None and report.model.sha256 is not None else " --model MODEL"
    in_norm = "" if norm in (None, report.norm) else f" --norm {norm}"
    return f"{once}: robustcheck replay {shlex.quote(place.folder)} --index {index}{in_norm}{model}"


def fell_lines(moved: list[Moved], norm: str | None) -> list[str]:
    """The samples whose distance fell most."""
    fell = [
        f"sample {sample.index}, label {sample.label}: {number(sample.old)} -> {number(sample.new)}"
        for sample in moved
    ]
    return [f"what fell most, by {NORMS[norm].title} distance:", *indented(fell)] if fell and norm else []


def indented(lines: Iterable[str]) -> list[str]:
    """Lines by two spaces."""
    return [f"  {line}" for line in lines]
