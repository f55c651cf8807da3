"""Apply a policy to a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from robustcheck import compare
from robustcheck.measures import Doubt, Grounds, Whose, doubt, measure
from robustcheck.policy._rules import Limit, Policy, Rule
from robustcheck.results import Change, Evidence, Measure, Outcome, ReportDocument, RuleResult, verdict_of
from robustcheck.text import option, percent

Report = TypeVar("Report", bound=ReportDocument)


@dataclass(frozen=True)
class _Case:
    """What is judged: a report, the one before it, and the policy that says what of it to accept."""

    policy: Policy
    evidence: Evidence
    baseline: Evidence | None

    def doubt(self, rule: Rule, n: int | None, evidence: Evidence, whose: Whose = "") -> Doubt | None:
        """Why a figure of one of the two that a rule is on may not be believed."""
        return doubt(
            rule.parsed,
            Grounds.of(evidence.document).accepting(self.policy.accepted),
            n,
            min_found=rule.needed_found,
            min_samples=rule.min_samples,
            whose=whose,
        )


@dataclass(frozen=True)
class _Finding:
    """What one bound came to, before it is put on record."""

    outcome: Outcome
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


def judged(report: Report, policy: Policy, evidence: Evidence, baseline: Evidence | None = None) -> Report:
    """The report with the verdict of a policy on its evidence."""
    rules = judge(policy, evidence, baseline)
    return replace(
        report,
        verdict=verdict_of(rules, complete=report.complete),
        rules=rules,
        policy=policy.facts,
        baseline=None if baseline is None else compare.facts(baseline),
    )


def judge(policy: Policy, evidence: Evidence, baseline: Evidence | None = None) -> list[RuleResult]:
    """How each bound of a policy is met, in the order of the policy.

    A bound that cannot be measured is INCOMPLETE, never PASS, and so is one on a figure that may not be
    believed (:func:`robustcheck.measures.doubt`).
    """
    case = _Case(policy, evidence, baseline)
    return [
        RuleResult(
            metric=rule.metric,
            bound=bound,
            value=found.value,
            low=found.low,
            high=found.high,
            n=found.n,
            outcome=found.outcome,
            severity=rule.severity,
            reason=found.reason,
        )
        for rule in policy.rules
        for bound, found in zip(rule.bounds, _findings(rule, case), strict=True)
    ]


def _findings(rule: Rule, case: _Case) -> list[_Finding]:
    """One for each of the rule's bounds, in their order."""
    if rule.parsed.family == "check":
        return [_check(rule, case.evidence)]
    found = []
    for side, bound in (("min", rule.min), ("max", rule.max)):
        if bound is not None:
            found.append(_value(rule, side, bound, case))
    for side, limit in (("max_drop", rule.max_drop), ("max_rise", rule.max_rise)):
        if limit is not None:
            found.append(_moved(rule, side, limit, case))
    return found


def _check(rule: Rule, evidence: Evidence) -> _Finding:
    name = rule.metric.removeprefix("check.")
    there = [check for check in evidence.document.checks if check.id == name]
    if not there or there[0].outcome == "SKIP":
        why = f"did not run: {there[0].detail}" if there else "is not in the report"
        return _Finding("INCOMPLETE", f"the check {why}")
    return _Finding("PASS" if there[0].outcome == "PASS" else "FAIL", there[0].detail)


def _value(rule: Rule, side: str, bound: float, case: _Case) -> _Finding:
    evidence = case.evidence
    figure = measure(rule.parsed, evidence, rule.confidence or 0.95)
    if rule.parsed.searched not in (None, *evidence.document.searches):
        return _Finding("INCOMPLETE", _unmeasured(rule, figure, evidence))
    there = figure is not None and figure.value is not None
    why = case.doubt(rule, figure.n if there and figure is not None else None, evidence)
    shown = (None, None, None, 0) if figure is None else (figure.value, figure.low, figure.high, figure.n)
    if why is not None and not why.flatters:
        return _Finding("INCOMPLETE", why.sentence, *shown)
    if figure is None or figure.value is None:
        return _Finding("INCOMPLETE", _unmeasured(rule, figure, evidence), n=shown[3])
    judged, sentence = figure.value, f"{figure.value:.4g}"
    if rule.confidence is not None:
        end = figure.low if side == "min" else figure.high
        if end is None:
            return _Finding("INCOMPLETE", f"{rule.metric} has no {_level(rule)} interval here", *shown)
        judged, sentence = end, f"{figure.value:.4g}, its {_level(rule)} interval to {end:.4g}"
    kept = judged >= bound if side == "min" else judged <= bound
    if not kept:
        return _Finding("FAIL", f"{sentence}, {'below' if side == 'min' else 'above'} {bound:g}", *shown)
    if why is not None:
        return _Finding("INCOMPLETE", why.sentence, n=evidence.document.counts.correct)
    return _Finding("PASS", f"{sentence}, {'at least' if side == 'min' else 'at most'} {bound:g}", *shown)


def _unmeasured(rule: Rule, figure: Measure | None, evidence: Evidence) -> str:
    """Why there is no figure, and what would give one."""
    family, norm = rule.parsed.family, rule.parsed.searched
    if norm is not None and norm not in evidence.document.searches:
        searched = ", ".join(evidence.document.searches)
        return f"not measured: the audit searched {searched}; norms= (--norm {norm}) searches that one"
    if family == "robust" and norm is not None and evidence.rows(norm) is None:
        return f"not measured: a radius needs {evidence.document.samples_file(norm)} beside report.json"
    if family == "distortion8":
        return "not measured: the box has infinite sides, or the report is of an older version"
    if family == "examples":
        return f"not measured: the examples were made for {evidence.document.norm}: see distortion"
    if family == "transfer" and evidence.document.transfer is None:
        return "not measured: the audit had no reference model"
    if family == "transfer" and "->" in rule.metric:
        pairs = [name for name in evidence.document.measures if "->" in name]
        return f"not measured: there are {', '.join(pairs)}"
    if figure is not None and figure.n == 0:
        return "not measured: no sample counts"
    if figure is not None:
        return "not measured: it falls on samples that no example was found for"
    return "not measured: it is not in the report"


def _incomparable(rule: Rule, case: _Case) -> str | None:
    """Why a change cannot be told, if it cannot."""
    evidence, baseline = case.evidence, case.baseline
    if baseline is None:
        return f"there is no baseline: name one with {option('baseline')}"
    for why in _doubts(rule, case):
        if not why.flatters:
            return why.sentence
    norm = rule.parsed.searched
    if norm is not None and norm not in baseline.document.searches:
        searched = ", ".join(baseline.document.searches)
        return f"the baseline searched {searched}, not {norm}"
    differ = compare.differences(baseline.document, evidence.document)
    if not differ.allows(rule.parsed):
        return f"the baseline cannot be compared: {'; '.join(differ.notes)}"
    return None


def _moved(rule: Rule, side: str, limit: Limit, case: _Case) -> _Finding:
    """A bound on the change against the baseline."""
    evidence, baseline = case.evidence, case.baseline
    reason = _incomparable(rule, case)
    if reason is not None or baseline is None:
        return _Finding("INCOMPLETE", reason or "")
    change = compare.change(rule.parsed, baseline, evidence, level=rule.confidence or 0.95)
    if change is None:
        return _Finding("INCOMPLETE", "not measured in both reports under the same conditions")
    relative = limit.relative is not None
    figure = change.ratio if relative else change.difference
    if figure.value is None:
        return _Finding("INCOMPLETE", "not measured in both reports", n=figure.n)
    moved = _oriented(figure, drop=side == "max_drop", relative=relative)
    shown = (moved.value, moved.low, moved.high, moved.n)
    if moved.n < rule.min_samples:
        return _Finding("INCOMPLETE", f"expected at least {rule.min_samples} samples, got {moved.n}", *shown)
    worst = moved.value
    if rule.confidence is not None:
        worst = moved.high
        if worst is None:
            return _Finding("INCOMPLETE", f"its change has no {_level(rule)} interval here", *shown)
    assert worst is not None
    bound = (limit.relative if relative else limit.absolute) or 0.0
    sentence = _sentence(rule, side, change, worst, relative=relative)
    allowed = percent(bound) if relative else f"{bound:g}"
    if not worst <= bound:
        return _Finding("FAIL", f"{sentence}, more than {allowed}", *shown)
    for why in _doubts(rule, case):
        return _Finding("INCOMPLETE", why.sentence, n=moved.n)
    return _Finding("PASS", f"{sentence}, at most {allowed}", *shown)


def _doubts(rule: Rule, case: _Case) -> list[Doubt]:
    """Why the figures of either side may not be believed; how many samples a change is of is asked later."""
    sides = [case.doubt(rule, None, case.evidence)]
    if case.baseline is not None:
        sides.append(case.doubt(rule, None, case.baseline, " of the baseline"))
    return [why for why in sides if why is not None]


def _oriented(figure: Measure, *, drop: bool, relative: bool) -> Measure:
    """A ratio or difference as how far the measure fell (``drop``) or rose."""
    base, sign = (1.0 if relative else 0.0), (-1.0 if drop else 1.0)
    sides = figure.value, figure.low, figure.high
    ends = [None if end is None else sign * (end - base) + 0.0 for end in sides]  # + 0.0: no -0
    value, low, high = ends
    return Measure(value, figure.n, high, low) if drop else Measure(value, figure.n, low, high)


def _sentence(rule: Rule, side: str, change: Change, worst: float, *, relative: bool) -> str:
    """How the figure moved; ``worst`` is what is judged, above 0 in the direction that is bounded."""
    size = percent(abs(worst)) if relative else f"{abs(worst):.4g}"
    word = "fell" if (side == "max_drop") == (worst >= 0) else "rose"
    how = f"{word} {size}"
    if rule.confidence is not None:
        how = f"{word} {size} at the end of the {_level(rule)} interval"
    pairs = "sample by sample" if change.paired else "of other samples"
    return f"from {change.old:.4g} to {change.new:.4g} {pairs}: {how}"


def _level(rule: Rule) -> str:
    """The confidence asked for, as a percentage."""
    return f"{100 * (rule.confidence or 0.95):g} %"
