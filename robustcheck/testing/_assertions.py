"""Assertions on reports.

Each assertion is a rule of a policy on a report of :func:`robustcheck.audit`, so it fails, with an
``AssertionError`` that explains itself, where the rule fails and also where it could not be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robustcheck.compare import compare
from robustcheck.errors import ConfigError
from robustcheck.measures import Metric, parse_metric
from robustcheck.policy import Policy, Rule, judge, read_policy
from robustcheck.report import read_evidence
from robustcheck.results import AuditReport, Evidence, RuleResult
from robustcheck.testing._explain import ANYWHERE, ReportPlace, fell_lines, rules_text, text

Baseline = AuditReport | str | Path


def assert_min_distortion(
    report: AuditReport,
    minimum: float,
    *,
    norm: str | None = None,
    statistic: str = "median",
    **rule: Any,
) -> None:
    """Assert that distances to the nearest misclassified input are not smaller.

    Args:
        report: of an audit.
        minimum: of the statistic, in units of the box.
        norm: that was searched: l2, linf or l1, or rms; the first of the audit when None.
        statistic: mean, mean_found, p05, p25, median, p75, p95, min or max.
        rule: more of a :class:`robustcheck.policy.Rule`: confidence, min_found, min_samples.

    Raises:
        AssertionError: they are smaller, or it could not be measured.
        ConfigError: an argument that makes no sense.
    """
    __tracebackhide__ = True
    metric = Metric.distortion(norm or report.norm, statistic).name
    _require(report, Rule(metric=metric, min=float(minimum), **rule))


def assert_robust_accuracy(
    report: AuditReport,
    minimum: float,
    *,
    l2: float | str | None = None,
    linf: float | str | None = None,
    l1: float | str | None = None,
    **rule: Any,
) -> None:
    """Assert the share of samples that are right and have no misclassified input within a radius.

    Args:
        report: of an audit.
        minimum: a share.
        l2, linf, l1: the radius in one of the norms, in units of the box, or a fraction such as "8/255".
        rule: as :func:`assert_min_distortion` takes it.

    Raises:
        AssertionError: the share is smaller, or could not be measured.
        ConfigError: an argument that makes no sense.
    """
    __tracebackhide__ = True
    metric = radius_metric(l2=l2, linf=linf, l1=l1).name
    _require(report, Rule(metric=metric, min=float(minimum), **rule))


def radius_metric(**radii: float | str | None) -> Metric:
    """The robust accuracy within one radius, given by the name of its norm.

    Raises:
        ConfigError: none or several, or one that is no radius.
    """
    given = [(norm, radius) for norm, radius in radii.items() if radius is not None]
    if len(given) != 1:
        got = ", ".join(norm for norm, _ in given) or "none"
        raise ConfigError(f"radius: expected one of {', '.join(radii)}, got {got}")
    norm, radius = given[0]
    return parse_metric(Metric.robust_accuracy(radius, norm).name)


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
        text(report, f"worse than {found.old.model}", [*reasons, *fell_lines(found.fell_most, found.norm)])
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
