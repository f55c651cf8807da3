"""Assertions on reports.

Each assertion is a rule of a policy on a report of :func:`robustcheck.audit`, so it fails, with an
``AssertionError`` that explains itself, where the rule fails and also where it could not be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robustcheck.compare import compare
from robustcheck.measures import Metric
from robustcheck.policy import Policy, Rule, judge, read_policy
from robustcheck.report import read_evidence
from robustcheck.results import AuditReport, Evidence, RuleResult
from robustcheck.testing._explain import ANYWHERE, ReportPlace, fell_lines, rules_text, text

Baseline = AuditReport | str | Path


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
    __tracebackhide__ = True
    _require(report, Rule(metric=Metric.distortion(norm, statistic).name, min=float(minimum), **rule))


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
    __tracebackhide__ = True
    _require(report, Rule(metric=Metric.robust_accuracy(l2).name, min=float(minimum), **rule))


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
    __tracebackhide__ = True
    metric = "transfer.max" if to is None else Metric.transfer(report.model.name, to).name
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
    __tracebackhide__ = True
    found = compare(_evidence(baseline), report.evidence, tolerance=tolerance)
    if found.comparable and not found.regression:
        return
    reasons = found.reasons or ["distances cannot be compared", *found.notes]
    raise AssertionError(
        text(report, f"worse than {found.old.model}", [*reasons, *fell_lines(found.fell_most)])
    )


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
    __tracebackhide__ = True
    rules = policy if isinstance(policy, Policy) else read_policy(Path(policy))
    against = None if baseline is None else _evidence(baseline)
    require_rules(report, judge(rules, report.evidence, against))


def require_rules(report: AuditReport, found: Sequence[RuleResult], place: ReportPlace = ANYWHERE) -> None:
    """Assert that rules of severity "error" were met; all that were not are named.

    ``place`` is where the report is, for the message.
    """
    __tracebackhide__ = True
    broken = [rule for rule in found if rule.severity == "error" and rule.outcome != "PASS"]
    if broken:
        raise AssertionError(rules_text(report, broken, place))


def _require(report: AuditReport, rule: Rule) -> None:
    __tracebackhide__ = True
    require_rules(report, judge(Policy.of(rule), report.evidence))


def _evidence(baseline: Baseline) -> Evidence:
    return baseline.evidence if isinstance(baseline, AuditReport) else read_evidence(Path(baseline))
