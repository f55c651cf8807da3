"""The walk by decisions: near the exact answer where there is one, and the laws of every search."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from exact import half_space_distance

import robustcheck as rc
from robustcheck import distortion
from robustcheck.results import SearchResult
from robustcheck.samples import as_samples

D, N = 20, 12


def linear(seed: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two classes, a plane between them; samples in the box, their exact constraint and labels."""
    draw = np.random.default_rng(seed)
    normal = draw.normal(size=D).astype(np.float32)
    x = draw.random((N, D), np.float32)
    gap = x @ normal - normal.sum() / 2

    def scores(rows: Any) -> Any:
        side = tf.linalg.matvec(rows, normal) - normal.sum() / 2
        return tf.stack([-side, side], axis=1)

    label = (gap > 0).astype(int)
    return rc.wrap(scores, input_shape=(D,), head="logits", name="plane"), x, label, normal, gap


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_near_the_exact_distance_of_a_plane(norm: Any) -> None:
    classifier, x, label, normal, gap = linear(0)
    options = rc.SearchOptions(method="decision", norm=norm, budget=3000)
    result = rc.minimal_distortion(classifier, x, label, options=options)
    sign = np.sign(gap)
    exact = np.array(
        [
            half_space_distance(row, s * normal.astype(float), abs(g), np.zeros(D), np.ones(D), norm)
            for row, s, g in zip(x.astype(float), sign, gap.astype(float), strict=True)
        ]
    )
    assert result.found.all()
    assert (result.distance >= exact * (1 - 1e-4)).all()
    within = {"l2": 1.02, "linf": 1.05, "l1": 1.10}[norm]
    assert np.median(result.distance / exact) < within


def test_no_gradient_is_asked_for_and_the_budget_is_kept(dense: Any, pixels: np.ndarray, digits: Any) -> None:
    options = rc.SearchOptions(method="decision", budget=400)
    result = rc.minimal_distortion(dense, pixels[:10], digits[1][:10], options=options)
    assert not result.gradient_evaluations.any()
    assert (result.forward_evaluations <= 400 + 40).all()  # settling the last point is beyond the walk
    assert result.found.sum() == result.correct.sum()
    assert rc.SearchOptions(method="decision").evaluations == 5000


def test_more_budget_is_never_longer(dense: Any, pixels: np.ndarray, digits: Any) -> None:
    found = [
        rc.minimal_distortion(
            dense, pixels[:8], digits[1][:8], options=rc.SearchOptions(method="decision", budget=budget)
        )
        for budget in (300, 900, 2000)
    ]
    at = found[0].found
    for less, more in pairwise(found):
        assert (more.l2[at] <= less.l2[at] * (1 + 2e-3)).all()


def test_batch_mates_do_not_matter(dense: Any, pixels: np.ndarray, digits: Any) -> None:
    options = rc.SearchOptions(method="decision", budget=500)
    whole = rc.minimal_distortion(dense, pixels[:9], digits[1][:9], options=options)
    parts = rc.minimal_distortion(dense, pixels[:9], digits[1][:9], options=options, batch_size=2)
    np.testing.assert_allclose(parts.l2, whole.l2, rtol=1e-3)


def test_a_target_and_what_may_not_change(digit_models: list[Any], pixels: np.ndarray, digits: Any) -> None:
    frozen = np.zeros((8, 8), bool)
    frozen[:2] = True
    classifier = rc.wrap(digit_models[0], freeze=frozen)
    label = digits[1][:8]
    targets = (label + 1) % 10
    options = rc.SearchOptions(method="decision", budget=600)
    result = rc.minimal_distortion(classifier, pixels[:8], label, targets, options=options)
    found = result.found
    assert found.any()
    assert (result.predicted[found] == targets[found]).all()
    assert (result.adversarial[found][:, :2] == result.input[found][:, :2]).all()


def shortened(dense: Any, result: SearchResult, at: np.ndarray, batch_size: int) -> SearchResult:
    samples = as_samples(dense, result.input, result.label)
    facts = distortion.facts_of(dense, samples)
    options = rc.SearchOptions(method="decision", budget=300)
    return distortion.shortened(dense, result, at, facts, options, batch_size=batch_size)


def test_going_on_keeps_what_is_nearer_and_leaves_the_others(dense: Any, dense_result: SearchResult) -> None:
    """From examples that were made three times as long; batches do not matter."""
    x, points = dense_result.input, dense_result.adversarial
    longer = np.clip(x + 3.0 * (points - x), 0, 1).astype(np.float32)
    length = np.sqrt(np.sum((longer - x).astype(float) ** 2, axis=(1, 2)))
    far = replace(dense_result, adversarial=longer, l2=np.where(dense_result.found, length, dense_result.l2))
    at = np.flatnonzero(far.found)[:7]
    after = shortened(dense, far, at, 100)
    assert (after.l2[at] < far.l2[at]).all()
    assert (after.l2[at] >= 0.99 * dense_result.l2[at]).all()
    others = np.setdiff1d(np.arange(len(far)), at)
    np.testing.assert_array_equal(after.l2[others], far.l2[others])
    np.testing.assert_array_equal(after.adversarial[others], far.adversarial[others])
    np.testing.assert_allclose(shortened(dense, far, at, 3).l2, after.l2, rtol=1e-3)
    # what is as near as it can be stays
    same = shortened(dense, dense_result, at, 100)
    assert (same.l2 <= dense_result.l2).all()
    assert np.median(same.l2[at] / dense_result.l2[at]) > 0.999
