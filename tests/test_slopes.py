"""Slopes held against differences of the scores: exact for what is linear, and a word for each fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import robustcheck as rc
from robustcheck.models import Classifier
from robustcheck.search import agreement, choose_slope

D = 30
DRAW = np.random.default_rng(0)
WEIGHTS = DRAW.normal(size=(D, 4)).astype(np.float32)
ROWS = DRAW.random((12, D), np.float32)


def linear(x: Any) -> Any:
    return x @ WEIGHTS


def declaring(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The linear model with its gradient changed."""

    @tf.custom_gradient
    def handed_on(x: Any) -> Any:
        return tf.identity(x), change

    return lambda x: linear(handed_on(x))


def wrapped(model: Callable[[Any], Any]) -> Classifier:
    return rc.wrap(model, input_shape=(D,), head="logits", name="m")


def test_a_linear_model_agrees() -> None:
    found = agreement(wrapped(linear), ROWS)
    assert (found.apart < 1e-4).all()
    assert found.steps.tolist() == [1e-2]  # one step is enough to tell
    assert not found.misleads
    # differences of the margin along random signs: its weights, but for the step of both sides
    scores = ROWS @ WEIGHTS
    order = np.argsort(-scores, axis=1)
    normal = WEIGHTS.T[order[:, 0]] - WEIGHTS.T[order[:, 1]]
    steepness = 2 * np.sqrt(6) * np.linalg.norm(normal, axis=1)
    assert np.median(found.steepness[0] / steepness) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda dy: dy, "right"),
        (lambda dy: 0.0 * dy, "missing"),
        (lambda dy: -dy, "of the wrong sign"),
        (lambda dy: 1e20 * dy, "too large"),
        (lambda dy: 1e-20 * dy, "too small"),
        (lambda dy: tf.reverse(dy, [1]), "wrong, noisy or missing in part"),
    ],
)
def test_faults_of_a_gradient(change: Callable[[Any], Any], fault: str) -> None:
    chosen = choose_slope(wrapped(declaring(change)), ROWS)
    assert chosen.declared.fault == fault
    assert chosen.slope == ("declared" if fault == "right" else "computed")
    assert chosen.followed.off < 1e-3


def test_a_shattered_gradient_is_right_where_nobody_goes() -> None:
    chosen = choose_slope(wrapped(lambda x: linear(x + 1e-3 * tf.sin(1e4 * x))), ROWS)
    assert (chosen.slope, chosen.declared.fault) == ("declared", "shattered")
    assert chosen.followed.misleads


def test_steps_say_nothing_where_they_are_flat() -> None:
    """Differences within a step are zero, and so are the slopes: that is no agreement."""
    found = agreement(wrapped(lambda x: linear(tf.round(4.3 * x) / 4.3) + 0.0 * tf.reduce_sum(x)), ROWS)
    assert np.isinf(found.apart).any()
    assert found.misleads
    assert found.fault == "missing"


def test_it_asks_about_nothing_outside_the_box() -> None:
    seen: list[Any] = []

    def model(x: Any) -> Any:
        tf.py_function(lambda value: seen.append(value.numpy()), [x], [])
        return linear(x)

    agreement(wrapped(model), np.round(ROWS))
    values = np.concatenate([part.reshape(-1) for part in seen])
    assert values.min() >= 0
    assert values.max() <= 1
