"""Robustness as assertions, for any test runner.

Each assertion is a rule of a policy on a report of :func:`robustcheck.audit`, so it fails, with an
``AssertionError`` that explains itself, where the rule fails and also where it could not be measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustcheck.compare import compare
from robustcheck.policy import Policy, Rule, judge, read_policy
from robustcheck.report import class_name, nearest, number, read_evidence
from robustcheck.results import AuditReport, Evidence, RuleResult
from robustcheck.text import printable

__all__ = [
    "assert_min_distortion",
    "assert_no_regression",
    "assert_policy",
    "assert_robust_accuracy",
    "assert_transfer_below",
]

Baseline = AuditReport | str | Path

_NEAREST = 5


def assert_min_distortion(
    report: AuditReport, minimum: float, *, norm: str = "l2", statistic: str = "median", **rule: Any
) -> None:
    """Assert that distances to the nearest misclassified input are not smaller.

    Args:
        report: of an audit.
        minimum: of the statistic, in units of the box.
        norm: l2, rms, linf, l1 or l0.
        statistic: mean, mean_found, p05, p25, median, p75, p95, min or max.
        rule: more of a :class:`robustcheck.policy.Rule`: confidence, min_found, min_samples.

    Raises:
        AssertionError: they are smaller, or it could not be measured.
        ConfigError: an argument that makes no sense.
    """
    _require(report, Rule(metric=f"distortion.{norm}.{statistic}", min=float(minimum), **rule))


def assert_robust_accuracy(report: AuditReport, minimum: float, *, l2: float, **rule: Any) -> None:
    """Assert the share of samples that are right and have no misclassified input within a radius.

    Args:
        report: of an audit.
        minimum: a share.
        l2: the radius, in units of the box.
        rule: as :func:`assert_min_distortion` takes it.

    Raises:
        AssertionError: the share is smaller, or could not be measured.
        ConfigError: an argument that makes no sense.
    """
    _require(report, Rule(metric=f"accuracy.robust.l2@{float(l2)!r}", min=float(minimum), **rule))


def assert_transfer_below(report: AuditReport, maximum: float, *, to: str | None = None, **rule: Any) -> None:
    """Assert that examples made for the audited model fool a reference no more often.

    Args:
        report: of an audit with references.
        maximum: a share.
        to: the reference by name; None = the one that is fooled most.
        rule: as :func:`assert_min_distortion` takes it.

    Raises:
        AssertionError: it is fooled more often, or it could not be measured.
        ConfigError: an argument that makes no sense.
    """
    metric = "transfer.max" if to is None else f"transfer.{report.model.name}->{to}"
    _require(report, Rule(metric=metric, max=float(maximum), **rule))


def assert_no_regression(report: AuditReport, baseline: Baseline, *, tolerance: float = 0.05) -> None:
    """Assert that nothing got worse than in another report (see :func:`robustcheck.compare.compare`).

    Args:
        report: of an audit.
        baseline: another report, or its folder.
        tolerance: share by which distances may fall.

    Raises:
        AssertionError: something got worse, or distances cannot be compared.
        ConfigError: a tolerance that is no share.
    """
    found = compare(_evidence(baseline), report.evidence, tolerance=tolerance)
    if found.comparable and not found.regression:
        return
    reasons = found.reasons or ["distances cannot be compared", *found.notes]
    fell = [
        f"sample {one.index}, label {one.label}: {number(one.old)} -> {number(one.new)}"
        for one in found.fell_most
    ]
    told = ["what fell most, by L2 distance:", *_indented(fell)] if fell else []
    raise AssertionError(_text(report, f"worse than {found.old.model}", [*reasons, *told]))


def assert_policy(
    report: AuditReport, policy: Policy | str | Path, *, baseline: Baseline | None = None
) -> None:
    """Assert that a report meets a policy.

    Args:
        report: of an audit.
        policy: rules, or the file with them.
        baseline: report, or its folder, that changes are measured against.

    Raises:
        AssertionError: a rule of severity "error" fails, or could not be measured; all of them are named.
        ConfigError: the policy makes no sense.
    """
    rules = policy if isinstance(policy, Policy) else read_policy(Path(policy))
    against = None if baseline is None else _evidence(baseline)
    unmet = [one for one in judge(rules, report.evidence, against) if one.outcome != "PASS"]
    broken = [one for one in unmet if one.severity == "error"]
    if broken:
        raise AssertionError(_text(report, "policy not met", [*map(_told, broken), *_nearest(report)]))


def _require(report: AuditReport, rule: Rule) -> None:
    (found,) = judge(Policy.of(rule), report.evidence)
    if found.outcome != "PASS":
        raise AssertionError(_text(report, _told(found), _nearest(report)))


def _evidence(baseline: Baseline) -> Evidence:
    return baseline.evidence if isinstance(baseline, AuditReport) else read_evidence(Path(baseline))


def _told(rule: RuleResult) -> str:
    interval = "" if rule.low is None or rule.high is None else f", {number(rule.low)} to {number(rule.high)}"
    return f"{rule.outcome} {rule.metric} {rule.bound}: {rule.reason} (n = {rule.n}{interval})"


def _text(report: AuditReport, first: str, lines: list[str]) -> str:
    """What failed, the nearest samples, and how to see one again."""
    options = report.provenance.options
    how = f"{options.get('method')}, budget {options.get('budget')}, seed {report.provenance.seed}"
    head = f"{report.model.name}, {report.counts.correct} of {report.counts.total} samples right, {how}"
    return "\n".join(map(printable, [first, *_indented([head, *lines])]))


def _nearest(report: AuditReport) -> list[str]:
    samples = report.samples
    rows = nearest(samples)[:_NEAREST]
    if not len(rows):
        return []
    told = [
        f"sample {samples.index[row]}: {class_name(report, int(samples.label[row]))} -> "
        f"{class_name(report, int(samples.predicted[row]))}, L2 {number(float(samples.l2[row]))}"
        for row in rows
    ]
    again = f"robustcheck replay REPORT --index {samples.index[rows[0]]}"
    return ["nearest:", *_indented(told), f"once more, from a report written with out=: {again}"]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
