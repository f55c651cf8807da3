"""The gate: what passes, what fails, and what cannot be told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import evidence, found

from robustcheck.errors import ConfigError
from robustcheck.policy import TEMPLATE, Limit, Policy, Rule, judge, judged, read_policy
from robustcheck.results import Check, Evidence, TransferMatrix, TransferRow, verdict_of

DISTANCES = np.linspace(0.5, 1.5, 101)  # median 1
REPORT = evidence(found(DISTANCES))
WEAKER = evidence(found(0.9 * DISTANCES))


def outcome(rule: Rule, report: Evidence = REPORT, baseline: Evidence | None = None) -> str:
    (rule,) = judge(Policy.of(rule), report, baseline)
    assert rule.reason
    return rule.outcome


MEDIAN = "distortion.l2.median"
TRUTH: dict[str, tuple[dict[str, Any], str]] = {
    "min kept": ({"metric": MEDIAN, "min": 0.9}, "PASS"),
    "min met": ({"metric": MEDIAN, "min": 1.0}, "PASS"),
    "min broken": ({"metric": MEDIAN, "min": 1.1}, "FAIL"),
    "max kept": ({"metric": MEDIAN, "max": 1.1}, "PASS"),
    "max broken": ({"metric": MEDIAN, "max": 0.9}, "FAIL"),
    "bound of the interval": ({"metric": MEDIAN, "min": 0.99, "confidence": 0.95}, "FAIL"),
    "bound of the interval kept": ({"metric": MEDIAN, "min": 0.8, "confidence": 0.95}, "PASS"),
    "no interval": ({"metric": "distortion.l2.min", "min": 0.1, "confidence": 0.95}, "INCOMPLETE"),
    "too few samples": ({"metric": MEDIAN, "min": 0.9, "min_samples": 102}, "INCOMPLETE"),
    "just enough samples": ({"metric": MEDIAN, "min": 0.9, "min_samples": 101}, "PASS"),
    "radius": ({"metric": "accuracy.robust.l2@1", "min": 0.4}, "PASS"),
    "radius broken": ({"metric": "accuracy.robust.l2@1", "min": 0.6}, "FAIL"),
    "accuracy": ({"metric": "accuracy.clean", "min": 1.0}, "PASS"),
    "found": ({"metric": "attack.found", "min": 1.0}, "PASS"),
    "no reference": ({"metric": "transfer.max", "max": 0.9}, "INCOMPLETE"),
    "no pair": ({"metric": "transfer.a->b", "max": 0.9}, "INCOMPLETE"),
    "no baseline": ({"metric": MEDIAN, "max_drop": Limit(relative=0.5)}, "INCOMPLETE"),
    "no check": ({"metric": "check.search"}, "INCOMPLETE"),
    "doubling": ({"metric": "search.last_doubling", "max": 0.6}, "PASS"),
}


@pytest.mark.parametrize("case", TRUTH)
def test_truth_table(case: str) -> None:
    settings, expected = TRUTH[case]
    assert outcome(Rule(**settings)) == expected


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "fell within": ({"metric": MEDIAN, "max_drop": Limit(relative=0.15)}, "PASS"),
    "fell beyond": ({"metric": MEDIAN, "max_drop": Limit(relative=0.05)}, "FAIL"),
    "fell beyond, absolute": ({"metric": MEDIAN, "max_drop": Limit(absolute=0.05)}, "FAIL"),
    "fell within, absolute": ({"metric": MEDIAN, "max_drop": Limit(absolute=0.11)}, "PASS"),
    "did not rise": ({"metric": MEDIAN, "max_rise": Limit(relative=0.0)}, "PASS"),
    "paired interval": ({"metric": MEDIAN, "max_drop": Limit(relative=0.101), "confidence": 0.95}, "PASS"),
    "too few samples": (
        {"metric": MEDIAN, "max_drop": Limit(relative=0.9), "min_samples": 500},
        "INCOMPLETE",
    ),
    "no interval": (
        {"metric": "distortion.l2.max", "max_drop": Limit(relative=0.5), "confidence": 0.9},
        "INCOMPLETE",
    ),
    "not in both": ({"metric": "transfer.max", "max_rise": Limit(absolute=0.9)}, "INCOMPLETE"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_changes_against_a_baseline(case: str) -> None:
    settings, expected = CHANGES[case]
    assert outcome(Rule(**settings), WEAKER, REPORT) == expected


def test_a_baseline_measured_otherwise_cannot_be_compared() -> None:
    rule = Rule(metric=MEDIAN, max_drop=Limit(relative=0.9))
    other = replace(REPORT.document.data, target="3")
    assert (
        outcome(rule, WEAKER, replace(REPORT, document=replace(REPORT.document, data=other))) == "INCOMPLETE"
    )


def test_nothing_passes_on_a_search_that_found_too_little() -> None:
    half = evidence(found(np.full(50, 9.0), lost=50))
    for settings in (
        {"metric": "distortion.l2.p25", "min": 1.0},
        {"metric": "accuracy.robust.l2@1", "min": 0.5},
    ):
        assert outcome(Rule(**settings), half) == "INCOMPLETE"
        assert outcome(Rule(**settings, min_found=0.5), half) == "PASS"
        # what it did find is enough to fail
        assert (
            outcome(Rule(**(settings | {"min": 1.0 if "robust" in settings["metric"] else 10.0})), half)
            != "PASS"
        )
    assert outcome(Rule(metric="distortion.l2.mean", min=1.0), half) == "INCOMPLETE"
    assert outcome(Rule(metric="attack.found", min=0.95), half) == "FAIL"
    assert outcome(Rule(metric="distortion.l2.p25", max_drop=Limit(relative=0.9)), half, half) == "INCOMPLETE"


def test_a_baseline_that_found_too_little_is_none() -> None:
    rule = Rule(metric="distortion.l2.p25", max_drop=Limit(relative=0.9))
    assert outcome(rule, evidence(found(np.ones(100))), evidence(found(np.ones(90), lost=10))) == "INCOMPLETE"


def test_without_labels_there_is_no_accuracy() -> None:
    data = replace(REPORT.document.data, labels="model")
    assert (
        outcome(Rule(metric="accuracy.clean", min=0.1), evidence(found(DISTANCES), data=data)) == "INCOMPLETE"
    )


def test_without_rows_a_radius_cannot_be_judged() -> None:
    bare = Evidence(document=REPORT.document, samples=None)
    assert outcome(Rule(metric=MEDIAN, min=0.9), bare) == "PASS"
    assert outcome(Rule(metric="accuracy.robust.l2@1", min=0.1), bare) == "INCOMPLETE"
    assert outcome(Rule(metric=MEDIAN, min=0.1, confidence=0.9), bare) == "INCOMPLETE"


def test_transfer_is_judged_by_its_interval() -> None:
    half = [None, 0.05]
    row = replace(
        TransferRow.empty("m", 2),
        n=100,
        errors=[100, 5],
        error=[1.0, 0.05],
        clean_error=[0.0, 0.0],
        excess=half,
    )
    matrix = TransferMatrix(models=["m", "b"], clean_error=[0.0, 0.0], rows=[row])
    report = evidence(found(DISTANCES), transfer=matrix)
    assert outcome(Rule(metric="transfer.m->b", max=0.05), report) == "PASS"
    assert outcome(Rule(metric="transfer.max", max=0.05, confidence=0.95), report) == "FAIL"
    assert outcome(Rule(metric="transfer.max_excess", max=0.04), report) == "FAIL"
    assert outcome(Rule(metric="transfer.m->c", max=0.05), report) == "INCOMPLETE"


@pytest.mark.parametrize(
    ("said", "expected"), [("PASS", "PASS"), ("WARN", "FAIL"), ("FAIL", "FAIL"), ("SKIP", "INCOMPLETE")]
)
def test_a_rule_on_a_check(said: Any, expected: str) -> None:
    report = evidence(found(DISTANCES), checks=[Check(id="noise", outcome=said, detail="so")])
    assert outcome(Rule(metric="check.noise"), report) == expected


def test_verdicts() -> None:
    passes, fails = Rule(metric=MEDIAN, min=0.5), Rule(metric=MEDIAN, min=5.0)
    unknown = Rule(metric="transfer.max", max=0.5)
    table = [
        ((passes,), "PASS"),
        ((passes, fails), "FAIL"),
        ((passes, unknown), "INCOMPLETE"),
        ((fails, unknown), "FAIL"),
        ((passes, replace(fails, severity="warning")), "PASS"),
        ((passes, replace(unknown, severity="warning")), "PASS"),
    ]
    for rules, expected in table:
        assert verdict_of(judge(Policy.of(*rules), REPORT)) == expected
    assert verdict_of(judge(Policy.of(passes), REPORT), complete=False) == "INCOMPLETE"
    assert verdict_of([]) == "INCOMPLETE"
    document = judged(REPORT.document, Policy.of(passes, fails), REPORT, WEAKER)
    assert document.policy is not None
    assert (document.verdict, document.policy.rules, len(document.rules)) == ("FAIL", 2, 2)
    assert document.baseline is not None


def test_each_bound_of_a_rule_is_judged_by_itself() -> None:
    rule = Rule(metric=MEDIAN, min=0.5, max=0.6, max_drop=Limit(relative=0.2))
    found_ = judge(Policy.of(rule), WEAKER, REPORT)
    assert [(rule.bound, rule.outcome) for rule in found_] == [
        ("min = 0.5", "PASS"),
        ("max = 0.6", "FAIL"),
        ("max_drop = { relative = 0.2 }", "PASS"),
    ]


def test_all_faults_of_a_policy_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        'schema = 2\n[[rule]]\nmetric = "accuracy.claen"\nmin = 0.5\n[[rule]]\nmetric = "accuracy.clean"\n'
        'min = 95\n[[rule]]\nmetric = "distortion.l2.median"\nmin = "1"\nmin_fuond = 1\n'
        "max_drop = { relativ = 0.1 }\n[[rule]]\nmin = 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_policy(tmp_path / "p.toml")
    faults = [line.removeprefix(f"{tmp_path / 'p.toml'}: ") for line in str(caught.value).splitlines()]
    assert faults == [
        "schema: input should be 1, got 2",
        "rule 1: expected a metric, got 'accuracy.claen'; did you mean 'accuracy.clean'?",
        "rule 2: accuracy.clean: min: expected a bound that can fail, above 0, at most 1, got 95",
        "rule 3: min: input should be a valid number, got '1'",
        "rule 3: max_drop: relativ: unknown key; did you mean 'relative'?",
        "rule 3: min_fuond: unknown key; did you mean 'min_found'?",
        "rule 4: metric: missing",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 1\nrule = []", "expected at least one"),
        ("schema = 1", "rule: missing"),
        ("schema = 1\n[[rule]\n", "expected a policy in TOML"),
        ("schema = 1\nlimits = 3\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 0", "limits: unknown key"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'", "expected min, max, max_drop or max_rise"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = nan", "expected a bound that can fail"),
        ("schema = 1\n[[rule]]\nmetric = 'distortion.l2.mean'\nmin = 2\nmax = 1", "expected min <= max"),
        ("schema = 1\n[[rule]]\nmetric = 'check.noise'\nmin = 1", "a check passes or not"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 1\nmin_found = 0.5", "has no meaning for"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 1\nconfidence = 95", "a level from 0.5"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 0", "that can fail"),
        ("schema = 1\n[[rule]]\nmetric = 'transfer.max'\nmax = 1", "that can fail"),
        ("schema = 1\n[[rule]]\nmetric = 'distortion.l2.mean'\nmin = -3", "that can fail"),
        ("schema = 1\n[[rule]]\nmetric = 'search.last_doubling'\nmax = 5", "that can fail"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmax_drop = {relative = 5}", "0.05 for 5 %"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmax_drop = {absolute = 5}", "a bound below 1"),
        (
            "schema = 1\n[[rule]]\nmetric = 'transfer.max_excess'\nmax_rise = {relative = 0.1}",
            "absolute bound",
        ),
        ("schema = 1\n[[rule]]\nmetric = 'check.serach'", "did you mean 'check.search'"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.robust.l2@1_0'\nmin = 0.5", "expected a metric"),
        ("rule=" + "[" * 3000, "expected a policy in TOML"),
        ("a" + ".a" * 5000 + " = 1", "expected a policy in TOML"),
        ("schema = 1" + "0" * 5000, "expected a policy in TOML"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = true", "valid number, got True"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 2026-01-01", "valid number"),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 1\nmin_samples = 0", "at least 1"),
        (
            "schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmax_drop = {relative = 0.1, absolute = 0.1}",
            "either relative or absolute",
        ),
        ("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmax_drop = {relative = -1}", "0 or more"),
    ],
)
def test_policies_that_make_no_sense(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_policy(tmp_path / "p.toml")


def test_a_fault_does_not_hide_another(tmp_path: Path) -> None:
    rule = "[[rule]]\nmetric = 'accuracy.clean'\nmin = true\nmin_samples = 0\nconfidence = 95\n"
    (tmp_path / "p.toml").write_text(f"schema = 1\n{rule}")
    with pytest.raises(ConfigError) as caught:
        read_policy(tmp_path / "p.toml")
    for part in ("min: input should be a valid number", "min_samples: expected", "confidence: expected"):
        assert part in str(caught.value)


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a policy in TOML, got nothing there"):
        read_policy(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="at least one rule"):
        Policy.of()


def test_the_template_is_a_policy(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TEMPLATE)
    policy = read_policy(tmp_path / "p.toml")
    assert len(policy.rules) == 4
    # with what it comments out
    (tmp_path / "p.toml").write_text(re.sub(r"(?m)^# (confidence|max_drop)", r"\1", TEMPLATE))
    assert read_policy(tmp_path / "p.toml").rules[1].max_drop == Limit(relative=0.05)
    assert read_policy(tmp_path / "p.toml").facts.sha256 != policy.facts.sha256
