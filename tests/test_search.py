"""The penalty method on linear models, whose minimal distortions are known, and tfp's L-BFGS behind it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from exact import linear_distance

import robustcheck as rc
from robustcheck.search import _lbfgs

WIDTH = 40


def linear_ratios(loss_scale: Any) -> np.ndarray:
    """Found over exact distance on 200 random linear problems, 2 to 10 classes, half of x on a bound."""
    draw = np.random.default_rng(7)
    ratios = []
    for classes in (2, 3, 5, 7, 10):
        model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(classes)])
        classifier = rc.wrap(model)
        for _ in range(4):
            weights = draw.standard_normal((WIDTH, classes)).astype(np.float32)
            bias = (0.3 * draw.standard_normal(classes)).astype(np.float32)
            model.set_weights([weights, bias])
            x = np.where(
                draw.random((10, WIDTH)) < 0.5,
                draw.integers(0, 2, (10, WIDTH)),
                draw.random((10, WIDTH)),
            ).astype(np.float32)
            y = (x @ weights + bias).argmax(axis=1)
            options = rc.SearchOptions(loss_scale=loss_scale)
            result = rc.minimal_distortion(classifier, x, y, options=options)
            exact = [linear_distance(weights, bias, *pair) for pair in zip(x, y, strict=True)]
            ratios.append(result.l2 / np.array(exact))
    return np.concatenate(ratios)


def told(loss_scale: str, ratio: np.ndarray) -> None:
    close, largest = np.mean(ratio <= 1.02), ratio.max()
    print(f"\nloss_scale {loss_scale}: within 2 % {close:.1%}, median {np.median(ratio):.5f}, {largest=:.4f}")


def test_linear_models_exactly() -> None:
    ratio = linear_ratios("auto")
    told("auto", ratio)
    assert len(ratio) == 200
    assert ratio.min() >= 1 - 1e-5  # nothing is nearer than the exact distance
    assert np.mean(ratio <= 1.02) >= 0.95


def test_the_papers_letter_is_biased_on_linear_models() -> None:
    ratio = linear_ratios(1.0)
    told("1.0", ratio)
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
    result = rc.minimal_distortion(rc.wrap(model), x, y)
    found = result.found
    weights, bias = model.get_weights()
    exact = np.array([linear_distance(weights, bias, *pair) for pair in zip(x[found], y[found], strict=True)])
    ratio = result.l2[found] / exact
    print(f"\nMNIST softmax regression: median {np.median(ratio):.5f}, 95 % {np.quantile(ratio, 0.95):.4f}")
    assert found.sum() == result.correct.sum()
    assert ratio.min() >= 1 - 1e-5
    assert np.median(ratio) <= 1.01


def test_lbfgs_minimises_row_by_row_and_counts() -> None:
    centre = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    asked = []

    def bowl(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(rows))
        away = points - centre[rows]
        return np.sum(away**2, axis=1), 2 * away

    start = np.zeros_like(centre)
    position, evaluations = _lbfgs.minimize(bowl, start, iterations=8, line_search=4, history=5)
    np.testing.assert_allclose(position, centre, atol=1e-2)
    assert evaluations.sum() == sum(asked)
    assert evaluations.max() <= _lbfgs.most_evaluations(8)


def test_lbfgs_skips_rows_at_rest() -> None:
    def half_done(points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steep = np.where(rows[:, None] == 0, 0.0, 1.0).astype(np.float32)  # row 0 is flat
        value = np.sum(steep * (points - 3) ** 4, axis=1).astype(np.float32)
        return value, (4 * steep * (points - 3) ** 3).astype(np.float32)

    _, evaluations = _lbfgs.minimize(
        half_done, np.zeros((2, 2), np.float32), iterations=8, line_search=4, history=5
    )
    assert evaluations[0] < evaluations[1]


def test_an_error_in_the_objective_comes_through_as_it_is() -> None:
    def broken(*_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise MemoryError("no room for 2 rows")

    with pytest.raises(MemoryError, match="no room for 2 rows"):
        _lbfgs.minimize(broken, np.zeros((2, 2), np.float32), iterations=2, line_search=2, history=2)
    assert not _lbfgs._running
