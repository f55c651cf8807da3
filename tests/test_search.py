"""Both methods on linear models, whose minimal distortions are known, and tfp's L-BFGS behind them."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from exact import linear_distance

import robustcheck as rc
from robustcheck.config import SearchedNorm
from robustcheck.search import _lbfgs
from robustcheck.search._polish import polish
from robustcheck.search._polish_l2 import POLISH_L2
from robustcheck.search._rows import Goal, Rows

WIDTH = 40
# the search asks for a quarter more than the lead that a decision needs
LEAD = 1.25 * 4e-6
# one feature decides over a length in Linf, and with it float32's rounding of that feature
RESOLUTION = {"l2": 0.0, "linf": 2.0**-23, "l1": 0.0}


def linear_ratios(options: rc.SearchOptions) -> tuple[np.ndarray, np.ndarray]:
    """Found over exact distance, and over the exact distance at which the decision has its lead.

    On 200 random linear problems of 2 to 10 classes with half of x on a bound.
    """
    draw = np.random.default_rng(7)
    ratios: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for classes in (2, 3, 5, 7, 10):
        model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(classes)])
        classifier = rc.wrap(model)
        for _ in range(2):
            weights = draw.standard_normal((WIDTH, classes)).astype(np.float32)
            bias = (0.3 * draw.standard_normal(classes)).astype(np.float32)
            model.set_weights([weights, bias])
            x = np.where(
                draw.random((20, WIDTH)) < 0.5,
                draw.integers(0, 2, (20, WIDTH)),
                draw.random((20, WIDTH)),
            ).astype(np.float32)
            y = (x @ weights + bias).argmax(axis=1)
            result = rc.minimal_distortion(classifier, x, y, options=options)
            for lead, of_lead in zip((0.0, LEAD), ratios, strict=True):
                exact = [
                    linear_distance(weights, bias, *pair, lead, options.norm)
                    for pair in zip(x, y, strict=True)
                ]
                # with its lead a point is as near as float32 can tell apart in values up to 1
                rounding = RESOLUTION[options.norm] if lead else 0.0
                of_lead.append((result.distance - rounding) / np.array(exact))
    return np.concatenate(ratios[0]), np.concatenate(ratios[1])


def said(what: str, ratio: np.ndarray) -> None:
    close, largest = np.mean(ratio <= 1.02), ratio.max()
    print(f"\n{what}: within 2 % {close:.1%}, median {np.median(ratio):.5f}, {largest=:.4f}")


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_boundary_on_linear_models(norm: SearchedNorm) -> None:
    ratio, with_lead = linear_ratios(rc.SearchOptions(norm=norm))
    said(f"boundary, {norm}", ratio)
    assert len(ratio) == 200
    assert ratio.min() >= 1 - 1e-5  # nothing is nearer than the exact distance
    assert with_lead.max() <= 1.001


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_szegedy_on_linear_models(norm: SearchedNorm) -> None:
    ratio, _ = linear_ratios(rc.SearchOptions(method="szegedy", norm=norm))
    said(f"szegedy, {norm}, loss_scale auto", ratio)
    assert ratio.min() >= 1 - 1e-5
    assert np.mean(ratio <= 1.02) >= 0.95


def test_the_papers_letter_is_biased_on_linear_models() -> None:
    ratio, _ = linear_ratios(rc.SearchOptions(method="szegedy", loss_scale=1.0))
    said("szegedy, loss_scale 1.0", ratio)
    assert ratio.min() >= 1 - 1e-5
    assert np.mean(ratio <= 1.02) < 0.95


@pytest.mark.slow
def test_softmax_regression_on_mnist(mnist: dict[str, np.ndarray]) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x_train = mnist["x_train"][:20000].reshape(-1, 784) / 255.0
    model.fit(x_train, mnist["y_train"][:20000], epochs=3, batch_size=128, verbose=0)
    x, y = (mnist["x_test"][:100].reshape(-1, 784) / 255.0).astype(np.float32), mnist["y_test"][:100]
    weights, bias = model.get_weights()
    exact, with_lead = (
        np.array([linear_distance(weights, bias, *pair, lead) for pair in zip(x, y, strict=True)])
        for lead in (0.0, LEAD)
    )
    classifier = rc.wrap(model)
    for options in (rc.SearchOptions(), rc.SearchOptions(method="szegedy")):
        result = rc.minimal_distortion(classifier, x, y, options=options)
        found = result.found
        ratio = result.l2[found] / exact[found]
        said(f"MNIST softmax regression, {options.method}", ratio)
        assert found.sum() == result.correct.sum()
        assert ratio.min() >= 1 - 1e-5
        assert np.median(ratio) <= 1.01
        if options.method == "boundary":
            assert (result.l2[found] <= 1.001 * with_lead[found]).mean() >= 0.99


def effort(most: int) -> _lbfgs.Effort:
    return _lbfgs.Effort(iterations=8, line_search=4, most=most)


def test_lbfgs_minimises_row_by_row_and_counts() -> None:
    centre = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    asked = []

    def bowl(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(rows))
        away = points - centre[rows]
        return np.sum(away**2, axis=1), 2 * away

    start = np.zeros_like(centre)
    position, evaluations = _lbfgs.minimize(bowl, start, effort(40), history=5)
    np.testing.assert_allclose(position, centre, atol=1e-2)
    assert evaluations.sum() == sum(asked)
    assert evaluations.max() <= 40


def test_lbfgs_keeps_to_what_a_row_may_spend() -> None:
    def kinked(points: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.abs(points - 1).sum(axis=1), np.sign(points - 1)

    start = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
    position, evaluations = _lbfgs.minimize(kinked, start, effort(7), history=5)
    assert evaluations.max() == 7
    assert np.isfinite(position).all()


def test_lbfgs_skips_rows_at_rest() -> None:
    def half_done(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steep = np.where(rows[:, None] == 0, 0.0, 1.0).astype(np.float32)  # row 0 is flat
        value = np.sum(steep * (points - 3) ** 4, axis=1).astype(np.float32)
        return value, (4 * steep * (points - 3) ** 3).astype(np.float32)

    _, evaluations = _lbfgs.minimize(half_done, np.zeros((2, 2), np.float32), effort(40), history=5)
    assert evaluations[0] < evaluations[1]


def test_an_error_in_the_objective_comes_through_as_it_is() -> None:
    def broken(*_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise MemoryError("no room for 2 rows")

    with pytest.raises(MemoryError, match="no room for 2 rows"):
        _lbfgs.minimize(broken, np.zeros((2, 2), np.float32), effort(9), history=2)
    assert not _lbfgs._running


ON_ONE_CORE = """
import os
os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})
import keras, numpy as np, robustcheck as rc
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
x = np.random.default_rng(0).random((5, 6), np.float32)
result = rc.minimal_distortion(rc.wrap(model), x, None)
print(result.gradient_evaluations.max())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot bind a process to a core")
def test_a_machine_with_one_core_does_not_hang() -> None:
    """TensorFlow then has one thread: a callback out of its graph must not hold it while the model runs."""
    ended = subprocess.run(
        [sys.executable, "-c", ON_ONE_CORE], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 100


@pytest.mark.parametrize("scale", [1.0, 1e-22])  # the squares of 1e-22 underflow
def test_polish_follows_facets(scale: float) -> None:
    """The nearest point may lie on an edge of the boundary, where one linearisation is not enough."""
    normals = np.array([[1.0, 0.3, 0.0], [1.0, -0.3, 0.1], [1.0, 0.0, -0.4]], np.float32)

    class Facets(keras.layers.Layer):
        def call(self, x: tf.Tensor) -> tf.Tensor:
            lead = tf.reduce_min(x @ tf.constant(normals.T), axis=1) - 1.0
            return scale * tf.stack([tf.zeros_like(lead), lead], axis=1)

    classifier = rc.wrap(keras.Sequential([keras.Input((3,)), Facets()]), box=(-5.0, 5.0))
    x, z = np.zeros((1, 3), np.float32), np.array([[2.5, 0.5, 1.0]], np.float32)
    target, label = np.ones(1, np.int32), np.zeros(1, np.int32)
    goal = Goal(label, target, wanted=-target, relative=4e-6, absolute=0.0)
    rows = Rows(x=x, lower=x - 5, upper=x + 5, goal=goal)
    polished = polish(classifier, POLISH_L2, rows, z, z, 12).point
    # the nearest point of {a_i . z >= 1}: the vertex or edge found by scanning all active sets
    best = min(
        np.linalg.norm(np.linalg.pinv(normals[list(some)]) @ np.ones(len(some)))
        for some in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
        if (normals @ (np.linalg.pinv(normals[list(some)]) @ np.ones(len(some))) >= 1 - 1e-6).all()
    )
    assert best <= np.linalg.norm(polished) <= 1.002 * best
