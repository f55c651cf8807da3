"""A figure that may not be believed is believed by nobody: no comparison, no rule, no assertion, no test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evidence import evidence, fooled, found, report

from robustcheck import measures, testing
from robustcheck.compare import against_baseline, compare
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import Grounds, doubt, measure, parse_metric
from robustcheck.policy import Limit, Policy, Rule, judge, judged
from robustcheck.results import Accept, AuditReport, Baseline, Check

DISTANCES = np.linspace(0.5, 1.5, 100)


def whole() -> AuditReport:
    samples = found(DISTANCES)
    return with_transfer(report(samples))


def with_transfer(given: AuditReport) -> AuditReport:
    """A reference is fooled by a tenth of the examples."""
    transfer = fooled(given.samples, int(given.samples.found.sum()) // 10)
    figures = given.measures | measures.transfer_measures(transfer)
    return believed(replace(given, transfer=transfer, measures=figures))


def believed(given: AuditReport) -> AuditReport:
    return replace(given, measures=measures.believed(given.measures, Grounds.of(given)))


def poor() -> AuditReport:
    return with_transfer(report(found(DISTANCES[:90], lost=10)))


def few() -> AuditReport:
    return with_transfer(report(found(DISTANCES[:20])))


def interrupted() -> AuditReport:
    return believed(replace(whole(), complete=False, verdict="INCOMPLETE"))


def failed_check() -> AuditReport:
    """The gradient was that of something else."""
    check = Check(id="gradient", outcome="FAIL", detail="the gradient is missing")
    return believed(replace(whole(), checks=[check]))


def unlabelled() -> AuditReport:
    given = whole()
    return believed(replace(given, data=replace(given.data, labels="model")))


MEDIAN, ROBUST, TRANSFER, ACCURACY = (
    "distortion.l2.median",
    "accuracy.robust.l2@0.6",
    "transfer.max",
    "accuracy.clean",
)
# which figures of which audits nobody may believe; all others everybody may
DOUBTED: dict[str, tuple[Callable[[], AuditReport], set[str]]] = {
    "whole": (whole, set()),
    "poor search": (poor, {MEDIAN, ROBUST, TRANSFER}),
    "few samples": (few, {MEDIAN, ROBUST, TRANSFER, ACCURACY}),
    "interrupted": (interrupted, {MEDIAN, ROBUST, TRANSFER, ACCURACY}),
    "failed check": (failed_check, {MEDIAN, ROBUST, TRANSFER}),
    "no labels": (unlabelled, {ROBUST, ACCURACY}),
}
# a rule that each figure of each audit here meets, so that only belief can decide
MET = {
    MEDIAN: Rule(metric=MEDIAN, min=0.3),
    ROBUST: Rule(metric=ROBUST, min=0.2),
    TRANSFER: Rule(metric=TRANSFER, max=0.9),
    ACCURACY: Rule(metric=ACCURACY, min=0.2),
}
CELLS = [(kind, metric) for kind in DOUBTED for metric in MET]


@pytest.mark.parametrize(("kind", "metric"), CELLS)
def test_every_cell(kind: str, metric: str) -> None:
    make, doubted = DOUBTED[kind]
    given = make()
    expected = metric in doubted
    assert _comparison_raises(given, metric) == expected
    (rule,) = judge(Policy.of(MET[metric]), given.evidence)
    assert rule.outcome == ("INCOMPLETE" if expected else "PASS")
    assert _raises(AssertionError, lambda: testing.assert_policy(given, Policy.of(MET[metric]))) == expected
    assert _raises(AssertionError, lambda: ASSERTED[metric](given)) == expected
    assert _raises(Incomplete, lambda: testing.figure(given, metric)) == expected
    judged_now = judged(given, Policy.of(MET[metric]), given.evidence)
    assert (judged_now.verdict == "PASS") != (expected or kind == "interrupted")


ASSERTED: dict[str, Callable[[AuditReport], None]] = {
    MEDIAN: lambda given: testing.assert_min_distortion(given, 0.3),
    ROBUST: lambda given: testing.assert_robust_accuracy(given, 0.2, l2=0.6),
    TRANSFER: lambda given: testing.assert_transfer_below(given, 0.9),
    ACCURACY: lambda given: testing.assert_policy(given, Policy.of(MET[ACCURACY])),
}


def _comparison_raises(given: AuditReport, metric: str) -> bool:
    """The radius is no measure of the report, so it is asked for."""
    if metric == ROBUST:
        return doubt(parse_metric(metric), Grounds.of(given), len(given.samples)) is not None
    return _raises(Incomplete, lambda: given.measures[metric] >= 0.0)


def _raises(kind: type[Exception], ask: Callable[[], object]) -> bool:
    try:
        ask()
    except kind:
        return True
    return False


@pytest.mark.parametrize("kind", [kind for kind in DOUBTED if kind not in ("whole", "no labels")])
def test_neither_side_of_a_comparison_is_believed(kind: str, tmp_path: Path) -> None:
    """Against a good audit of the same samples, in either place."""
    doubtful, good = DOUBTED[kind][0](), whole()
    for old, new in ((doubtful, good), (good, doubtful)):
        said = compare(old.evidence, new.evidence)
        assert not said.comparable
        assert said.notes
        with pytest.raises(AssertionError):
            testing.assert_no_regression(new, old)
        standing = against_baseline(Baseline.of(old), new, rel=0.9, accuracy=0.9)
        assert standing.reasons
        rule = Rule(metric=MEDIAN, max_drop=Limit(relative=0.9))
        (judged_rule,) = judge(Policy.of(rule), new.evidence, old.evidence)
        assert judged_rule.outcome == "INCOMPLETE", judged_rule.reason
    with pytest.raises(AssertionError, match="cannot be kept as a baseline"):
        testing.write_baseline(doubtful, tmp_path / "b.json")
    assert compare(good.evidence, good.evidence).comparable


def test_what_a_poor_search_cannot_hide() -> None:
    """A bound that even its flattering figure breaks is broken."""
    for rule in (
        Rule(metric=MEDIAN, min=3.0),
        Rule(metric=ROBUST, min=0.99),
        Rule(metric=TRANSFER, max=0.05),
    ):
        assert judge(Policy.of(rule), poor().evidence)[0].outcome == "FAIL"
        assert judge(Policy.of(rule), interrupted().evidence)[0].outcome == "INCOMPLETE"


def test_callers_may_ask_for_less_where_they_say_so() -> None:
    rule = Rule(metric=TRANSFER, max=0.9, min_samples=5)
    assert judge(Policy.of(rule), few().evidence)[0].outcome == "PASS"
    assert (
        judge(Policy.of(Rule(metric=TRANSFER, max=0.9, min_found=0.5)), poor().evidence)[0].outcome == "PASS"
    )
    assert testing.figure(few(), MEDIAN, min_samples=5) >= 0.3
    loose = against_baseline(Baseline.of(few()), few(), rel=0.1, accuracy=0.1, min_samples=20)
    assert not loose.reasons


def test_a_doubt_is_told_in_words_and_not_stored() -> None:
    given = interrupted()
    figure = given.measures[MEDIAN]
    assert figure.value is not None
    with pytest.raises(Incomplete, match=r"interrupted.*to be looked at, not to be compared"):
        assert figure >= 0.1
    assert "doubt" not in given.to_json()
    assert measure(parse_metric(MEDIAN), given.evidence) == figure
    assert evidence(found(DISTANCES)).document.measures[MEDIAN] >= 0.5


def test_a_failed_check_that_is_accepted() -> None:
    """By name and with a reason: then the figure is judged, and a bound that is broken fails either way."""
    given, rule = failed_check(), MET[MEDIAN]
    accept = Accept(check="gradient", because="it is quantised on purpose")
    (judged_rule,) = judge(Policy.of(rule, accept=[accept]), given.evidence)
    assert judged_rule.outcome == "PASS"
    other = Accept(check="noise", because="it is quantised on purpose")
    (judged_rule,) = judge(Policy.of(rule, accept=[other]), given.evidence)
    assert judged_rule.outcome == "INCOMPLETE"
    assert "the check gradient failed: the gradient is missing" in judged_rule.reason
    broken = Rule(metric=MEDIAN, min=2.0)
    assert judge(Policy.of(broken), given.evidence)[0].outcome == "FAIL"
    for check in ("labels", "verified", "stable"):  # these say nothing of the direction
        failed = replace(given, checks=[replace(given.checks[0], id=check)])
        assert judge(Policy.of(broken), failed.evidence)[0].outcome == "INCOMPLETE"


def test_what_a_policy_cannot_accept() -> None:
    with pytest.raises(ConfigError, match=r"expected a check that no rule asks to pass, got check\.noise"):
        Policy.of(Rule(metric="check.noise"), accept=[Accept(check="noise", because="so")])
    with pytest.raises(ConfigError, match="check: expected one of"):
        Accept(check="foo", because="so")
    with pytest.raises(ConfigError, match="because: expected the reason in words"):
        Accept(check="noise", because=" ")


def test_why_little_was_found_comes_first() -> None:
    """A random model is told to be one, and not to ask for a larger budget."""
    check = Check(id="stable", outcome="FAIL", detail="the model is random: votes= (--votes 16)")
    given = believed(replace(poor(), checks=[check]))
    (judged_rule,) = judge(Policy.of(MET[MEDIAN]), given.evidence)
    assert judged_rule.outcome == "INCOMPLETE"
    assert "--votes 16" in judged_rule.reason
    with pytest.raises(Incomplete, match="--votes 16"):
        testing.figure(given, MEDIAN)
