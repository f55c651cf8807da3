"""What a failed assertion says: what failed, of which audit, the nearest samples, how to see one again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    return text(report, first, [*more, *nearest_lines(report, place)])


def figure_line(measure: Measure) -> str:
    """A figure with its interval and samples."""
    interval = ""
    if measure.low is not None and measure.high is not None:
        interval = f", 95 % interval {number(measure.low)} to {number(measure.high)}"
    return f"{number(measure.value)} over {measure.n} samples{interval}"


def nearest_lines(report: AuditReport, place: ReportPlace = ANYWHERE) -> list[str]:
    """The nearest samples with their distances, and how to see the first again."""
    samples = report.samples
    rows = nearest(samples)[:_NEAREST]
    if not len(rows):
        return []
    lines = [
        f"sample {samples.index[row]}: {class_name(report, int(samples.label[row]))} -> "
        f"{class_name(report, int(samples.predicted[row]))}, L2 {number(float(samples.l2[row]))}"
        for row in rows
    ]
    return ["nearest:", *indented(lines), replay_line(report, int(samples.index[rows[0]]), place)]


def replay_line(report: AuditReport, index: int, place: ReportPlace = ANYWHERE) -> str:
    """How to see a sample of a report again."""
    once = f"once more, {place.once}" if place.once else "once more"
    model = "" if report.model.path is not None and report.model.sha256 is not None else " --model MODEL"
    return f"{once}: robustcheck replay {shlex.quote(place.folder)} --index {index}{model}"


def fell_lines(moved: list[Moved]) -> list[str]:
    """The samples whose distance fell most."""
    fell = [
        f"sample {sample.index}, label {sample.label}: {number(sample.old)} -> {number(sample.new)}"
        for sample in moved
    ]
    return ["what fell most, by L2 distance:", *indented(fell)] if fell else []


def indented(lines: Iterable[str]) -> list[str]:
    """Lines by two spaces."""
    return [f"  {line}" for line in lines]
