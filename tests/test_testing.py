"""Assertions on reports, outside of pytest's own."""

from __future__ import annotations

import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustcheck as rc
from robustcheck import measures
from robustcheck.errors import ConfigError, Incomplete, ReportRefused
from robustcheck.policy import Policy, Rule
from robustcheck.report import write_report
from robustcheck.results import Baseline, Measure, Status
from robustcheck.testing import (
    assert_baseline,
    assert_min_distortion,
    assert_no_regression,
    assert_policy,
    assert_robust_accuracy,
    assert_transfer_below,
    baseline_file,
    figure,
    read_baselines,
    seed_spread,
    write_baseline,
)


@pytest.fixture(scope="module")
def report(dense: Any, digit_models: list[Any], pixels: np.ndarray, digits: Any) -> rc.AuditReport:
    options = rc.SearchOptions(budget=60)
    return rc.audit(dense, pixels, digits[1], references={"conv": digit_models[2]}, options=options)


def test_measures_are_compared_by_their_figure() -> None:
    first, two = Measure(1.0, 10, 0.5, 1.5), Measure(2.0, 10)
    assert first < two
    assert first <= 1.0
    assert two > 1
    assert two >= first
    assert not first > two
    assert first == Measure(1.0, 10, 0.5, 1.5)
    assert first != Measure(1.0, 10)
    for number in (1.0, pytest.approx(1.0), "1"):
        with pytest.raises(TypeError, match="compared by <, <=, > or >="):
            assert first == number
    assert first <= np.float32(1.5)
    assert np.int64(0) < first


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
    assert_min_distortion(report, 0.001, norm="rms", statistic="p05", confidence=0.5)
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


def test_a_baseline_file(report: rc.AuditReport, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "b.json"
    assert write_baseline(report, file)
    assert not write_baseline(report, file), "the same audit again changes nothing"
    kept = read_baselines(file)["audit"]
    assert kept == Baseline.of(report)
    np.testing.assert_allclose(kept.distances.distance, report.samples.l2, rtol=1e-6)
    np.testing.assert_array_equal(kept.distances.status, report.samples.status)
    found = assert_baseline(report, file, rel=0.0, accuracy=0.0)
    assert (found.shared, found.median_ratio.value, found.newly_wrong) == (60, pytest.approx(1.0, 1e-6), 0)
    with pytest.raises(AssertionError, match="holds none of 'other'"):
        assert_baseline(report, file, name="other")
    for rel in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="rel: expected a share"):
            assert_baseline(report, file, rel=rel)
    assert b"\n    [0, " in file.read_bytes(), "a line a sample"


def weaker(report: rc.AuditReport, factor: float, wrong: int = 0) -> rc.AuditReport:
    """The same audit with distances times a factor, and the first right samples wrong."""
    rows = report.samples
    status, l2 = rows.status.copy(), factor * rows.l2
    lost = np.flatnonzero(rows.correct)[:wrong]
    status[lost], l2[lost] = Status.ALREADY_WRONG, 0.0
    return replace(report, samples=replace(rows, status=status, l2=l2))


@pytest.mark.parametrize(
    ("factor", "wrong", "stands"),
    [(1.0, 0, True), (0.951, 0, True), (0.949, 0, False), (1.2, 0, True), (1.0, 1, True), (1.0, 8, False)],
)
def test_what_a_baseline_lets_through(
    report: rc.AuditReport, tmp_path: Path, factor: float, wrong: int, stands: bool
) -> None:
    write_baseline(report, tmp_path / "b.json")
    now = weaker(report, factor, wrong)
    if stands:
        assert_baseline(now, tmp_path / "b.json", rel=0.05)
        return
    with pytest.raises(AssertionError, match="worse than the baseline") as caught:
        assert_baseline(now, tmp_path / "b.json", rel=0.05)
    assert ("L2 distances are" in str(caught.value)) == (factor < 1)
    assert ("clean accuracy fell" in str(caught.value)) == (wrong > 0)


def test_a_baseline_says_nothing_of_a_search_that_found_little(
    report: rc.AuditReport, tmp_path: Path
) -> None:
    write_baseline(report, tmp_path / "b.json")
    rows = report.samples
    status = np.where(np.arange(60) < 12, np.where(rows.found, Status.NOT_FOUND, rows.status), rows.status)
    blind = replace(report, samples=replace(rows, status=status))
    blind = replace(blind, counts=measures.count(blind.samples))
    with pytest.raises(AssertionError, match="the search found an example for 81"):
        assert_baseline(blind, tmp_path / "b.json")


def test_a_figure_of_a_search_that_found_little_raises(report: rc.AuditReport) -> None:
    assert figure(report, "distortion.l2.median").explain()[0].startswith("  distortion.l2.median = 0.")
    counts = replace(report.counts, found=53, not_found=6)
    blind = replace(report, counts=counts)
    blind = replace(blind, measures=measures.believed(report.measures, measures.Grounds.of(blind)))
    with pytest.raises(Incomplete, match=r"fewer than 95\.0 %.*to be looked at, not to be compared"):
        assert blind.measures["distortion.l2.median"] >= 0.1
    assert blind.measures["distortion.l2.median"].value == report.measures["distortion.l2.median"].value
    assert blind.measures["accuracy.clean"] >= 0.1
    with pytest.raises(Incomplete, match=r"found an example for 89\.8 % of the samples, fewer than 95\.0 %"):
        figure(blind, "distortion.l2.median")
    assert figure(blind, "accuracy.clean").value == report.measures["accuracy.clean"].value
    with pytest.raises(ConfigError, match="expected a figure, got a check"):
        figure(report, "check.noise")


def test_files_of_tests_do_not_clash(tmp_path: Path) -> None:
    names = ["test_a", "test_a[1]", "test_a(1)", "T::test_a", "T.test_a", "test_a[../../x]", "x" * 300 + "1"]
    files = [baseline_file(tmp_path, "test_m", name) for name in names]
    assert len(set(files)) == len(names)
    assert all(file.parent == tmp_path / "test_m" and len(file.name) < 120 for file in files)


def test_the_spread_over_seeds(report: rc.AuditReport) -> None:
    """Distances times 1, 1.02, 0.98: the ratios are known."""
    spread = seed_spread([weaker(report, factor) for factor in (1.0, 1.02, 0.98)])
    assert spread.models == 3
    assert min(spread.ratios) == pytest.approx(0.98 / 1.02, 1e-5)
    logs = np.log([1.02, 0.98, 1.02 / 0.98])
    assert spread.rel == pytest.approx(1 - np.exp(-2.3263 * np.sqrt(np.mean(logs**2))), 1e-3)
    assert (spread.accuracy, set(spread.drops)) == (0.0, {0.0})
    with pytest.raises(ConfigError, match="three models or more, got 2"):
        seed_spread([report, report])


def test_an_unchanged_model_never_flaps(dense: Any, pixels: np.ndarray, digits: Any, tmp_path: Path) -> None:
    """Ten searches from other seeds and in other batches, held against one baseline."""

    def audited(seed: int) -> rc.AuditReport:
        options = rc.SearchOptions(budget=100, seed=seed)
        return rc.audit(dense, pixels, digits[1], options=options, batch_size=20 + seed)

    write_baseline(audited(0), tmp_path / "b.json")
    for seed in range(1, 11):
        found = assert_baseline(audited(seed), tmp_path / "b.json", rel=0.01, accuracy=0.0)
        assert found.newly_wrong == 0


@pytest.mark.slow
def test_a_worse_model_fails_and_a_retrained_one_does_not(tmp_path: Path) -> None:
    """The tolerance is the spread of three seeds; one more seed passes, an overfitted model does not."""
    import keras

    from robustcheck import assets

    with np.load(assets.path(assets.DIGITS)) as stored:
        data = {name: stored[name] for name in stored}
    x, x_test = ((data[f"x_{part}"] / 16).astype(np.float32) for part in ("train", "test"))

    def audited(seed: int, *, samples: int = len(x), epochs: int = 15) -> rc.AuditReport:
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
        model = keras.Sequential([keras.Input((8, 8)), *layers])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x[:samples], data["y_train"][:samples], batch_size=64, epochs=epochs, verbose=0)
        options = rc.SearchOptions(budget=60)
        return rc.audit(model, x_test[:200], data["y_test"][:200], options=options)

    reports = [audited(seed) for seed in range(3)]
    spread = seed_spread(reports)
    assert 0.01 < spread.rel < 0.08
    write_baseline(reports[0], tmp_path / "b.json")
    assert_baseline(audited(5), tmp_path / "b.json", rel=spread.rel, accuracy=spread.accuracy)
    with pytest.raises(AssertionError, match="worse than the baseline"):
        assert_baseline(
            audited(7, samples=130, epochs=300), tmp_path / "b.json", rel=spread.rel, accuracy=spread.accuracy
        )


def test_a_baseline_that_says_nothing_is_not_kept(report: rc.AuditReport, tmp_path: Path) -> None:
    rows = report.samples
    status = np.where(np.arange(60) < 12, np.where(rows.found, Status.NOT_FOUND, rows.status), rows.status)
    blind = replace(report, samples=replace(rows, status=status))
    with pytest.raises(AssertionError, match="cannot be kept as a baseline"):
        write_baseline(blind, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: text.index('    [1, "')].rstrip().rstrip(",") + "]}}}", "status and number"),
        (lambda text: text.replace('"FOUND", 0.', '"FOUND", 1.', 40), "its samples give"),
        (lambda text: text.replace('"ALREADY_WRONG", 0.0', '"FOUND", 0.5', 1), "its samples give"),
    ],
)
def test_a_baseline_that_was_cut_or_edited_is_refused(
    report: rc.AuditReport, tmp_path: Path, change: Any, said: str
) -> None:
    file = tmp_path / "b.json"
    write_baseline(report, file)
    file.write_text(change(file.read_text()))
    with pytest.raises(ReportRefused, match=said):
        read_baselines(file)
