"""What decides and has no gradient: a function of an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import robustcheck as rc
from robustcheck.errors import ConfigError, Incomplete, ModelRefused
from robustcheck.models import by_decisions, own_labels, own_labels_singly

BY_DECISIONS = rc.SearchOptions(method="decision", budget=3000)
# three classes of points in the square; the boundaries of the first are planes
WEIGHTS = np.array([[1.0, -1.0, 0.2], [0.5, 0.4, -1.0]], np.float32)


def scores(x: np.ndarray) -> np.ndarray:
    return (x - 0.5) @ WEIGHTS


def made(predict: Any = scores, **changes: Any) -> rc.Predictor:
    return rc.predictor(predict, **{"classes": 3, "name": "planes", "input_shape": (2,), **changes})


def points(count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((count, 2), np.float32)
    return x, scores(x).argmax(axis=1)


def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance to the nearest of the planes, without the box."""
    z = scores(x.astype(float))
    gaps = z[np.arange(len(x)), y][:, None] - z
    lengths = np.linalg.norm(WEIGHTS[:, y].T[:, :, None] - WEIGHTS[None], axis=1)
    gaps[np.arange(len(x)), y], lengths[np.arange(len(x)), y] = np.inf, 1.0
    return (gaps / lengths).min(axis=1)


def test_a_search_by_decisions_finds_the_planes() -> None:
    x, y = points()
    wide = made(box=(-10.0, 10.0))
    found = rc.minimal_distortion(wide, x, y, options=BY_DECISIONS)
    assert found.found.all()
    ratio = found.l2 / exact(x, y)
    assert ratio.min() > 0.999
    assert np.median(ratio) < 1.01
    assert (found.gradient_evaluations == 0).all()


def test_labels_do_as_well_as_scores() -> None:
    x, y = points()
    by_label = made(lambda rows: scores(rows).argmax(axis=1), returns="labels")
    first, second = (rc.minimal_distortion(model, x, y, options=BY_DECISIONS) for model in (made(), by_label))
    np.testing.assert_array_equal(first.l2, second.l2)


def test_costs_are_minded() -> None:
    """What is dear changes less: lengths are of cost times change."""
    x, y = points()
    priced = made(box=(-10.0, 10.0), cost=np.array([1.0, 4.0]))
    found = rc.minimal_distortion(priced, x, y, options=BY_DECISIONS)
    moved = (found.adversarial - x) * [1.0, 4.0]
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), found.l2, rtol=1e-5)
    assert found.found.all()


def test_a_model_of_another_library(digits: Any) -> None:
    x = (digits[0].reshape(len(digits[0]), -1) / 16).astype(np.float32)
    fitted = LogisticRegression(max_iter=2000).fit(x, digits[1])
    model = rc.predictor(fitted.predict_proba, classes=10, name="scikit-learn", input_shape=(64,))
    found = rc.minimal_distortion(model, x[:10], digits[1][:10], options=BY_DECISIONS)
    assert found.found.sum() == found.correct.sum() > 5
    assert (fitted.predict(found.adversarial[found.found]) != found.label[found.found]).all()


def test_other_searches_need_a_gradient() -> None:
    with pytest.raises(ConfigError, match=r"planes: expected .*decision.* no gradient, got 'boundary'"):
        rc.minimal_distortion(made(), *points())


def test_a_batch_of_one_size_is_filled_up() -> None:
    sizes: list[int] = []

    def of_four(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        return scores(rows)

    x, y = points(10)
    model = made(of_four, batch_size=4)
    np.testing.assert_array_equal(own_labels(model, x), y)
    np.testing.assert_array_equal(own_labels_singly(model, x), y)
    assert set(sizes) == {4}


def test_rows_are_asked_about_once_and_no_more_than_allowed() -> None:
    asked: list[int] = []

    def counted(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return scores(rows)

    x, y = points(10)
    model = made(counted, max_calls=12)
    for _ in range(3):
        np.testing.assert_array_equal(own_labels(model, np.concatenate([x, x[:3]])), np.append(y, y[:3]))
    assert sum(asked) == 10
    with pytest.raises(Incomplete, match=r"10 rows were asked about, and 3 more exceed the limit of 12"):
        own_labels(model, x[:3] + 0.01)
    assert sum(asked) == 10


@pytest.mark.parametrize(
    ("predict", "changes", "message"),
    [
        (lambda rows: scores(rows)[:, :2], {}, r"scores of shape \(5, 3\), got float32 of shape \(5, 2\)"),
        (scores, {"returns": "labels"}, r"expected classes 0 to 2 of shape \(5,\), got float32"),
        (lambda rows: np.full(len(rows), 3), {"returns": "labels"}, r"shape \(5,\), 3 to 3"),
        (lambda _: 1 / 0, {}, "failed on a batch of 5: .*division by zero"),
    ],
)  # fmt: skip
def test_what_a_function_gives_is_looked_at(predict: Any, changes: Any, message: str) -> None:
    with pytest.raises(ModelRefused, match=message):
        own_labels(made(predict, **changes), points(5)[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "classes: expected a whole number of at least 2, got 1"),
        ({"batch_size": 0}, "batch_size: expected"),
        ({"returns": "logits"}, "returns: expected 'scores' or 'labels'"),
        ({"predict": 3}, "predict: expected a function of a batch, got int"),
    ],
)
def test_arguments_that_make_no_sense(changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**changes)


def test_two_classes_of_one_score() -> None:
    one = rc.predictor(lambda rows: rows[:, :1] - 0.5, classes=2, name="one", input_shape=(2,))
    x = np.array([[0.4, 0.0], [0.6, 0.0]], np.float32)
    assert own_labels(one, x).tolist() == [0, 1]
    # scores of 1 for the decision and 0 else
    assert by_decisions(one).logits(x_of(x)).numpy().tolist() == [[1, 0], [0, 1]]


def x_of(rows: np.ndarray) -> Any:
    import tensorflow as tf

    return tf.constant(rows)
