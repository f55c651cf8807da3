"""Assertions on reports, outside of pytest's own."""

from __future__ import annotations

import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustcheck as rc
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.policy import Policy, Rule
from robustcheck.report import write_report
from robustcheck.results import Measure
from robustcheck.testing import (
    assert_min_distortion,
    assert_no_regression,
    assert_policy,
    assert_robust_accuracy,
    assert_transfer_below,
)


@pytest.fixture(scope="module")
def report(dense: Any, digit_models: list[Any], pixels: np.ndarray, digits: Any) -> rc.AuditReport:
    options = rc.SearchOptions(budget=60)
    return rc.audit(dense, pixels, digits[1], references={"conv": digit_models[2]}, options=options)


def test_measures_are_compared_by_their_figure() -> None:
    one, two = Measure(1.0, 10, 0.5, 1.5), Measure(2.0, 10)
    assert one < two
    assert one <= 1.0
    assert two > 1
    assert two >= one
    assert not one > two
    assert one == Measure(1.0, 10, 0.5, 1.5)


@pytest.mark.parametrize("nothing", [Measure(None, 0), Measure(None, 5), Measure(1.0, 0)])
def test_a_measure_of_nothing_cannot_be_compared(nothing: Measure) -> None:
    for compare in (lambda: nothing >= 0, lambda: nothing < 1, lambda: Measure(1.0, 1) > nothing):
        with pytest.raises(Incomplete, match="expected a figure to compare"):
            compare()


@pytest.mark.parametrize("other", ["1", None, True, float("nan")])
def test_a_measure_is_compared_with_numbers(other: Any) -> None:
    with pytest.raises(TypeError, match="compared with a number or a measure"):
        Measure(1.0, 1) >= other  # noqa: B015 - the comparison is what raises


def test_a_measure_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(Measure(1.0, 1))


def test_what_holds_passes(report: rc.AuditReport) -> None:
    median = report.measures["distortion.l2.median"].value
    assert median is not None
    assert_min_distortion(report, median)
    assert_min_distortion(report, 0.01, norm="linf", statistic="p05", confidence=0.5)
    assert_robust_accuracy(report, 0.5, l2=0.1)
    assert_transfer_below(report, 0.9)
    assert_transfer_below(report, 0.9, to="conv")
    assert_no_regression(report, report)
    assert_policy(report, Policy.of(Rule(metric="attack.found", min=0.9)))


def test_what_does_not_hold_explains_itself(report: rc.AuditReport) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_min_distortion(report, 5.0)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("FAIL distortion.l2.median min = 5: ")
    assert "(n = 59, " in lines[0]
    assert lines[1] == "  digits_dense_64, 59 of 60 samples right, boundary, budget 60, seed 0"
    nearest = int(np.argmin(np.where(report.samples.found, report.samples.l2, np.inf)))
    assert lines[3].startswith(f"    sample {nearest}: ")
    assert lines[-1].endswith(f"robustcheck replay REPORT --index {nearest} --model MODEL")
    with pytest.raises(AssertionError, match=r"FAIL accuracy\.robust\.l2@5\.0 min = 0\.5"):
        assert_robust_accuracy(report, 0.5, l2=5.0)


def test_what_was_not_measured_does_not_pass(report: rc.AuditReport) -> None:
    with pytest.raises(AssertionError, match=r"INCOMPLETE transfer\.digits_dense_64->none"):
        assert_transfer_below(report, 0.9, to="none")
    with pytest.raises(AssertionError, match="expected at least 1000 samples, got 59"):
        assert_min_distortion(report, 0.1, min_samples=1000)
    with pytest.raises(ConfigError, match="expected a metric"):
        assert_min_distortion(report, 0.1, norm="l7")
    with pytest.raises(ConfigError, match="expected a bound that can fail"):
        assert_robust_accuracy(report, 95, l2=0.1)


def test_a_regression(report: rc.AuditReport, tmp_path: Path) -> None:
    write_report(report, tmp_path / "old")
    weaker = replace(report, samples=replace(report.samples, l2=0.5 * report.samples.l2))
    with pytest.raises(AssertionError) as caught:
        assert_no_regression(weaker, tmp_path / "old")
    assert str(caught.value).startswith("worse than digits_dense_64")
    assert "L2 distances are 0.500" in str(caught.value)
    assert "what fell most" in str(caught.value)
    elsewhere = replace(report, data=replace(report.data, box_sha256="0" * 64))
    with pytest.raises(AssertionError, match="distances cannot be compared"):
        assert_no_regression(elsewhere, tmp_path / "old")


def test_a_policy_names_every_rule_that_is_not_met(report: rc.AuditReport, tmp_path: Path) -> None:
    rules = "schema = 1\n"
    for metric, severity in (
        ("accuracy.clean", "error"),
        ("attack.found", "warning"),
        ("transfer.max", "error"),
    ):
        rules += f"[[rule]]\nmetric = '{metric}'\nmax = 0.001\nseverity = '{severity}'\n"
    (tmp_path / "p.toml").write_text(rules)
    with pytest.raises(AssertionError) as caught:
        assert_policy(report, tmp_path / "p.toml")
    assert "accuracy.clean max" in str(caught.value)
    assert "transfer.max max" in str(caught.value)
    assert "attack.found" not in str(caught.value)


def test_with_unittest(report: rc.AuditReport) -> None:
    class Floor(unittest.TestCase):
        def test_floor(self) -> None:
            assert_min_distortion(report, 5.0)

    result = unittest.TestResult()
    Floor("test_floor").run(result)
    assert len(result.failures) == 1
    assert "nearest:" in result.failures[0][1]
