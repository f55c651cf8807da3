from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from evidence import found, result_of

from robustcheck import measures
from robustcheck.errors import ConfigError
from robustcheck.measures import Column, parse_metric
from robustcheck.results import Status, TransferMatrix, TransferRow


def test_counts_add_up() -> None:
    status = [Status.FOUND, Status.FOUND, Status.ALREADY_WRONG, Status.NOT_FOUND, Status.NON_FINITE]
    counts = measures.count(result_of(status, [1, 2, 0, np.inf, np.inf]))
    assert (counts.total, counts.correct, counts.found, counts.not_found) == (5, 3, 2, 1)
    assert counts.total == counts.correct + counts.already_wrong + counts.non_finite
    assert counts.correct == counts.found + counts.not_found


def test_wilson_interval_by_hand() -> None:
    # 8 of 10: (0.8 + z^2/20 +- z sqrt(0.016 + z^2/400)) / (1 + z^2/10), z = 1.96
    eight = measures.share(8, 10)
    assert (eight.value, eight.n) == (0.8, 10)
    assert eight.low == pytest.approx(0.4902, abs=1e-4)
    assert eight.high == pytest.approx(0.9433, abs=1e-4)
    assert measures.share(0, 0).value is None
    assert measures.share(10, 10).high == 1.0


def test_statistics_run_over_the_correct_samples() -> None:
    status = [Status.FOUND, Status.FOUND, Status.FOUND, Status.ALREADY_WRONG]
    figures = measures.distortion_measures(result_of(status, [1.0, 2.0, 6.0, 0.0]))
    assert figures["distortion.l2.mean"].value == pytest.approx(3.0)
    assert figures["distortion.l2.median"].value == 2.0
    assert figures["distortion.l2.min"].value == 1.0
    assert figures["distortion.l2.max"].n == 3


def test_a_figure_that_meets_a_sample_not_found_is_null() -> None:
    status = [Status.FOUND, Status.FOUND, Status.FOUND, Status.NOT_FOUND]
    figures = measures.distortion_measures(result_of(status, [1.0, 2.0, 3.0, np.inf]))
    assert figures["distortion.l2.mean"].value is None
    assert figures["distortion.l2.mean_found"].value == pytest.approx(2.0)
    assert figures["distortion.l2.max"].value is None
    assert figures["distortion.l2.p95"].value is None
    assert figures["distortion.l2.median"].value == 2.5
    assert figures["distortion.l2.p05"].value is not None


def test_quantile_matches_numpy_and_its_interval_covers() -> None:
    draw = np.random.default_rng(0)
    values = draw.random(501)
    for q in (0.05, 0.5, 0.95):
        assert measures.quantile(values, q).value == pytest.approx(np.quantile(values, q))
    covered = 0
    for _ in range(300):
        interval = measures.quantile(draw.random(100), 0.5)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= 0.92 * 300


def test_the_curve_falls_and_starts_at_the_clean_accuracy() -> None:
    status = [Status.FOUND, Status.FOUND, Status.ALREADY_WRONG, Status.NOT_FOUND]
    curve = measures.robust_accuracy_curve(result_of(status, [1.0, 3.0, 0.0, np.inf]))
    accuracy = [point.accuracy for point in curve]
    assert accuracy[0] == 0.75
    assert accuracy[-1] == 0.25  # the sample that was not found stays right
    assert all(after <= before for before, after in pairwise(accuracy))


def test_transfer_measures() -> None:
    row = replace(TransferRow.empty("a", 2), n=10, errors=[10, 4], excess=[1.0, 0.3])
    matrix = TransferMatrix(models=["a", "b"], clean_error=[0.0, 0.1], rows=[row])
    figures = measures.transfer_measures(matrix)
    assert figures["transfer.a->b"].value == pytest.approx(0.4)
    assert figures["transfer.max"] == measures.share(4, 10)
    assert figures["transfer.max_excess"].value == 0.3
    assert "transfer.a->a" not in figures


def test_last_doubling() -> None:
    fell = measures.last_doubling(result_of([Status.FOUND] * 3, [1.0, 2.0, 6.0]))
    assert (fell.value, fell.n) == (0.5, 3)  # halfway distances are twice as long here
    assert measures.last_doubling(result_of([Status.NOT_FOUND] * 3, [np.inf] * 3)).value is None


@pytest.mark.parametrize("statistic", ["mean", "median", "p05", "p95", "min", "max"])
def test_resampled_figures_are_those_of_repeated_rows(statistic: str) -> None:
    draw = np.random.default_rng(3)
    column = Column(draw.random(50), draw.random(50) < 0.8, statistic)
    weights = next(measures.resamples(50, 50, paired=True))[0][:20]
    for row, figure in zip(weights, column.weighted(weights), strict=True):
        repeated = Column(column.values.repeat(row), column.counted.repeat(row), statistic)
        assert figure == pytest.approx(repeated.measure().value, rel=1e-12)
    assert column.weighted(np.ones((1, 50), np.int64))[0] == pytest.approx(column.measure().value)


def test_resamples_draw_as_many_rows_as_there_are() -> None:
    blocks = list(measures.resamples(7, 5, paired=False))
    assert sum(len(weights) for weights, _ in blocks) == 2000
    assert all(
        (weights.sum(axis=1) == 7).all() and (other.sum(axis=1) == 5).all() for weights, other in blocks
    )


def test_a_wider_level_gives_a_wider_interval() -> None:
    column = measures.column(parse_metric("distortion.l2.median"), found(np.arange(1.0, 101.0)))
    assert column is not None
    narrow, wide = column.measure(0.8), column.measure(0.99)
    assert narrow.low is not None
    assert wide.low is not None
    assert narrow.high is not None
    assert wide.high is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_robust_accuracy_at_a_radius() -> None:
    rows = measures.column(parse_metric("accuracy.robust.l2@2"), found([1.0, 2.0, 3.0], wrong=1, lost=1))
    assert rows is not None
    assert rows.measure().value == pytest.approx(2 / 5)  # beyond 2, and the one not found


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("accuracy.claen", "did you mean 'accuracy.clean'"),
        ("distortion.l2.mediam", "did you mean 'distortion.l2.median'"),
        ("distortion.l3.median", "did you mean"),
        ("accuracy.robust.l2@x", "expected a metric"),
        ("accuracy.robust.l2@-1", "expected a metric"),
        ("accuracy.robust.l2@nan", "expected a metric"),
        ("transfer.->b", "expected a metric"),
        ("check.", "expected a metric"),
        ("", "accuracy.robust.NORM@RADIUS"),
        ("distortion.l0.median", "l0 is not searched; 'examples.l0.median'"),
        ("examples.l3.median", "did you mean"),
        ("accuracy.robust.rms@1", "expected a metric"),
        ("accuracy.robust.linf@8/0", "expected a metric"),
        ("accuracy.robust.linf@8/255/2", "expected a metric"),
        ("search.l0.last_doubling", "did you mean"),
    ],
)
def test_names_outside_the_grammar(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=near):
        parse_metric(name)
