from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from robustcheck import measures
from robustcheck.results import NORMS, SearchResult, Status, TransferMatrix, TransferRow


def result_of(status: list[Status], l2: list[float]) -> SearchResult:
    n = len(status)
    whole, zeros = np.zeros(n, np.int64), np.zeros(n)
    norms = {norm: np.array(l2) for norm in NORMS}
    return SearchResult(
        index=np.arange(n), sample_id=np.array([f"{i:016x}" for i in range(n)]), label=whole,
        status=np.array([str(one) for one in status]),
        input=np.zeros((n, 2), np.float32), adversarial=np.zeros((n, 2), np.float32), predicted=whole,
        target=whole - 1, confidence_before=zeros, confidence_after=zeros, gradient_evaluations=whole,
        forward_evaluations=whole, l2_halfway=2 * np.array(l2), starts_agreed=whole, **norms,
    )  # fmt: skip


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
    found = measures.distortion_measures(result_of(status, [1.0, 2.0, 6.0, 0.0]))
    assert found["distortion.l2.mean"].value == pytest.approx(3.0)
    assert found["distortion.l2.median"].value == 2.0
    assert found["distortion.l2.min"].value == 1.0
    assert found["distortion.l2.max"].n == 3


def test_a_figure_that_meets_a_sample_not_found_is_null() -> None:
    status = [Status.FOUND, Status.FOUND, Status.FOUND, Status.NOT_FOUND]
    found = measures.distortion_measures(result_of(status, [1.0, 2.0, 3.0, np.inf]))
    assert found["distortion.l2.mean"].value is None
    assert found["distortion.l2.mean_found"].value == pytest.approx(2.0)
    assert found["distortion.l2.max"].value is None
    assert found["distortion.l2.p95"].value is None
    assert found["distortion.l2.median"].value == 2.5
    assert found["distortion.l2.p05"].value is not None


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
    found = measures.transfer_measures(matrix)
    assert found["transfer.a->b"].value == pytest.approx(0.4)
    assert found["transfer.max"] == measures.share(4, 10)
    assert found["transfer.max_excess"].value == 0.3
    assert "transfer.a->a" not in found


def test_last_doubling() -> None:
    fell = measures.last_doubling(result_of([Status.FOUND] * 3, [1.0, 2.0, 6.0]))
    assert (fell.value, fell.n) == (0.5, 3)  # halfway distances are twice as long here
    assert measures.last_doubling(result_of([Status.NOT_FOUND] * 3, [np.inf] * 3)).value is None
