"""What is reported holds, whatever was searched; and the laws that answers obey."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import robustcheck as rc
from robustcheck import distortion
from robustcheck.errors import DataRefused
from robustcheck.results import SearchResult, join
from robustcheck.samples import as_samples
from robustcheck.search import METHODS, Answer, _boxed

Digits = tuple[np.ndarray, np.ndarray]


def test_every_example_holds(dense_result: SearchResult, digit_models: list[Any], digits: Digits) -> None:
    result, model = dense_result, digit_models[0]
    assert result.found.sum() == result.correct.sum() > 50
    examples, label = result.adversarial[result.found], result.label[result.found]
    assert examples.dtype == np.float32
    assert ((examples >= 0) & (examples <= 1)).all()
    for batch_size in (1, 7, 256):
        predicted = model.predict(examples, batch_size=batch_size, verbose=0).argmax(axis=1)
        assert (predicted != label).all()
        np.testing.assert_array_equal(predicted, result.predicted[result.found])
    np.testing.assert_array_equal(result.label, digits[1])


def test_norms_are_those_of_the_stored_arrays(dense_result: SearchResult) -> None:
    result = dense_result
    r = (result.adversarial.astype(np.float64) - result.input).reshape(len(result), -1)
    np.testing.assert_allclose(result.l2, np.linalg.norm(r, axis=1), rtol=1e-12)
    np.testing.assert_allclose(result.rms, result.l2 / 8, rtol=1e-12)
    np.testing.assert_allclose(result.linf, np.abs(r).max(axis=1))
    np.testing.assert_allclose(result.l1, np.abs(r).sum(axis=1))
    np.testing.assert_array_equal(result.l0, (r != 0).sum(axis=1))


def test_confidences(dense_result: SearchResult, digit_models: list[Any], pixels: np.ndarray) -> None:
    before = digit_models[0].predict(pixels, verbose=0).max(axis=1)
    np.testing.assert_allclose(dense_result.confidence_before, before, rtol=1e-4)
    found = dense_result.found
    assert (dense_result.confidence_after[found] < 0.51).all()  # on the boundary no class has a half


def test_already_wrong_is_a_status_of_its_own(dense: Any, pixels: np.ndarray, digits: Digits) -> None:
    y = digits[1].copy()
    y[:3] = (y[:3] + 1) % 10
    result = rc.minimal_distortion(dense, pixels[:6], y[:6])
    assert result.status[:3].tolist() == ["ALREADY_WRONG"] * 3
    np.testing.assert_array_equal(result.l2[:3], 0)
    np.testing.assert_array_equal(result.adversarial[:3], result.input[:3])
    np.testing.assert_array_equal(result.gradient_evaluations[:3], 0)
    np.testing.assert_array_equal(result.predicted[:3], digits[1][:3])


def test_permutation(dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits) -> None:
    order = np.random.default_rng(0).permutation(len(pixels))
    permuted = rc.minimal_distortion(dense, pixels[order], digits[1][order], batch_size=17)
    np.testing.assert_array_equal(permuted.status, dense_result.status[order])
    # batch mates change sums in the last bit, and L-BFGS carries that on: 1 % was not exceeded
    np.testing.assert_allclose(permuted.l2, dense_result.l2[order], rtol=0.01)


def test_a_nan_sample_harms_no_other(
    dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    x = pixels.copy()
    x[4, 2, 2] = np.nan
    result = rc.minimal_distortion(dense, x, digits[1])
    others = np.arange(len(x)) != 4
    assert result.status[4] == "NON_FINITE"
    assert np.isinf(result.l2[4])
    assert np.isnan(result.adversarial[4]).all()
    assert result.predicted[4] == -1
    np.testing.assert_array_equal(result.status[others], dense_result.status[others])
    np.testing.assert_allclose(result.l2[others], dense_result.l2[others], rtol=1e-4)


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_the_scale_of_the_logits_does_not_matter(
    digit_models: list[Any], dense_result: SearchResult, pixels: np.ndarray, digits: Digits, factor: float
) -> None:
    model = keras.models.clone_model(digit_models[0])
    model.set_weights(digit_models[0].get_weights())
    last = model.layers[-1]
    last.set_weights([weight * factor for weight in last.get_weights()])
    scaled = rc.minimal_distortion(rc.wrap(model), pixels, digits[1])
    assert (scaled.status == dense_result.status).mean() == 1.0
    np.testing.assert_allclose(scaled.l2, dense_result.l2, rtol=0.01)


def test_softmax_and_logits_give_the_same(
    digit_models: list[Any], dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    x = keras.Input((8, 8))
    model = digit_models[0]
    hidden = model.layers[-2](model.layers[-3](x))
    bare = keras.Model(x, keras.layers.Dense(10, name="bare")(hidden))
    bare.layers[-1].set_weights(model.layers[-1].get_weights())
    result = rc.minimal_distortion(rc.wrap(bare), pixels, digits[1])
    np.testing.assert_allclose(result.l2, dense_result.l2, rtol=0.01)


def test_distances_scale_with_the_box(
    digit_models: list[Any], dense_result: SearchResult, digits: Digits
) -> None:
    x = keras.Input((8, 8))
    in_pixels = keras.Model(x, digit_models[0](keras.layers.Rescaling(1 / 16)(x)))
    result = rc.minimal_distortion(rc.wrap(in_pixels, box=(0, 16)), digits[0].astype(float), digits[1])
    np.testing.assert_allclose(result.l2 / 16, dense_result.l2, rtol=0.01)


def test_an_affine_change_of_the_data_range_scales_distances(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    x = keras.Input((8, 8))
    signed = keras.Model(x, digit_models[0](keras.layers.Rescaling(0.5, offset=0.5)(x)))
    classifier = rc.wrap(signed, box=(-1, 1))
    stored = np.round(100 * pixels) + 50  # stored from 50 to 150, not on the grid that pixels were on
    mapped = rc.minimal_distortion(classifier, stored, digits[1], data_range=(50, 150))
    direct = rc.minimal_distortion(rc.wrap(digit_models[0]), np.round(100 * pixels) / 100, digits[1])
    np.testing.assert_array_equal(mapped.status, direct.status)
    np.testing.assert_allclose(mapped.l2 / 2, direct.l2, rtol=0.01)


def test_float64_gives_the_same_to_half_a_percent(
    digit_models: list[Any], dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    def in_double(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float64"})

    model = keras.models.clone_model(digit_models[0], clone_function=in_double)
    model.set_weights(digit_models[0].get_weights())
    assert model.layers[-1].compute_dtype == "float64"
    result = rc.minimal_distortion(rc.wrap(model), pixels, digits[1])
    np.testing.assert_array_equal(result.status, dense_result.status)
    np.testing.assert_allclose(result.l2, dense_result.l2, rtol=0.005)


def test_every_graph_is_traced_once(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    classifier = rc.wrap(digit_models[1])
    for count in (3, 7, 12):
        before = dict(classifier.traces)
        rc.minimal_distortion(
            classifier, pixels[:count], digits[1][:count], options=rc.SearchOptions(budget=60)
        )
        # a graph takes every number of rows, so no other was made
        assert not before or classifier.traces == before
    assert list(classifier.traces) == ["gap"]


def test_an_infinite_box_allows_shorter_distortions(
    digit_models: list[Any], dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    boundless = rc.wrap(digit_models[0], box=(-np.inf, np.inf))
    result = rc.minimal_distortion(boundless, pixels, digits[1])
    found = result.found
    assert found.sum() == dense_result.found.sum()
    assert np.median(result.l2[found] / dense_result.l2[found]) < 0.99


def test_a_targeted_run_reaches_its_target(
    digit_models: list[Any], dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    target = (digits[1].astype(int) + 3) % 10
    result = rc.minimal_distortion(dense, pixels, digits[1], targets=target)
    found = result.found
    assert found.sum() >= 0.95 * result.correct.sum()
    predicted = digit_models[0].predict(result.adversarial[found], verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(predicted, target[found])
    np.testing.assert_array_equal(result.target, target)
    # one class is never nearer than the nearest of all, up to the search's precision
    assert (result.l2[found] >= 0.99 * dense_result.l2[found]).all()


def test_frozen_features_do_not_change(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    freeze = np.zeros((8, 8), bool)
    freeze[:, :4] = True
    result = rc.minimal_distortion(rc.wrap(digit_models[0], freeze=freeze), pixels, digits[1])
    assert result.found.any()
    same = result.adversarial[result.found][:, freeze] == result.input[result.found][:, freeze]
    assert same.all()


@pytest.mark.parametrize(
    ("method", "budgets"), [("boundary", (20, 30, 100, 300)), ("szegedy", (60, 100, 300))]
)
def test_a_larger_budget_is_no_worse(
    dense: Any, pixels: np.ndarray, digits: Digits, method: Any, budgets: tuple[int, ...]
) -> None:
    distances = []
    for budget in budgets:
        options = rc.SearchOptions(budget=budget, method=method)
        result = rc.minimal_distortion(dense, pixels, digits[1], options=options)
        assert result.gradient_evaluations.max() <= budget
        distances.append(result.l2)
    for less, more in pairwise(distances):
        assert (more <= less * (1 + 1e-6)).all()


def test_half_the_budget_gives_what_is_told_as_halfway(
    dense: Any, pixels: np.ndarray, digits: Digits
) -> None:
    whole, half = (
        rc.minimal_distortion(dense, pixels, digits[1], options=rc.SearchOptions(budget=budget))
        for budget in (200, 100)
    )
    found = whole.found
    np.testing.assert_allclose(whole.halfway[found], half.l2[found], rtol=1e-3)


def test_starts_agree_where_there_is_one_valley(dense_result: SearchResult) -> None:
    found = dense_result.found
    assert (dense_result.starts_agreed[found] >= 1).all()
    assert np.median(dense_result.starts_agreed[found]) >= 2


def test_found_from_the_other_side_where_the_gradient_says_nothing(pixels: np.ndarray) -> None:
    """A model that rounds its input has no gradient almost everywhere; a sample of the other class helps."""

    @tf.custom_gradient
    def steps(x: Any) -> Any:
        return tf.round(2 * x) / 2, lambda upstream: 0.0 * upstream

    direction = tf.constant(np.random.default_rng(0).standard_normal((64, 2)), tf.float32)
    classifier = rc.wrap(lambda x: 9 * steps(tf.reshape(x, (-1, 64))) @ direction, input_shape=(8, 8))
    result = rc.minimal_distortion(classifier, pixels, None)
    assert 0 < result.label.sum() < len(pixels)
    assert result.found.all()


def test_the_check_outside_the_search_believes_nothing(
    dense: Any, pixels: np.ndarray, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def liar(_: Any, problem: Any, *__: Any) -> Answer:
        none = np.zeros(len(problem.rows), np.int64)
        return Answer(
            point=problem.rows,
            halfway=none.astype(float),
            agreed=none,
            gradient_evaluations=none,
            forward_evaluations=none,
        )

    monkeypatch.setitem(METHODS, "boundary", liar)
    result = rc.minimal_distortion(dense, pixels, digits[1])
    assert not result.found.any()
    assert np.isinf(result.l2[result.correct]).all()
    assert np.isnan(result.adversarial[result.correct]).all()


def test_a_constant_model_is_not_found(pixels: np.ndarray) -> None:
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.set_weights([np.zeros((64, 3)), np.array([2.0, 0.0, 0.0])])
    result = rc.minimal_distortion(rc.wrap(model), pixels[:4], np.zeros(4, int))
    assert result.status.tolist() == ["NOT_FOUND"] * 4
    assert np.isinf(result.l2).all()


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        (12, "expected classes 0 to 9, got 12 to 12"),
        ([1, 2], "expected one class or 60 of them, got int64 of shape"),
        ("three", "expected one class or 60"),
        (3, "expected another class than the label"),
    ],
)
def test_targets_are_checked(dense: Any, pixels: np.ndarray, digits: Digits, targets: Any, text: str) -> None:
    with pytest.raises(DataRefused, match=text):
        rc.minimal_distortion(dense, pixels, digits[1], targets=targets)


def test_progress_is_told(dense: Any, pixels: np.ndarray, digits: Digits) -> None:
    progress: list[tuple[str, int, int]] = []
    options = rc.SearchOptions(budget=60)
    rc.minimal_distortion(
        dense,
        pixels[:20],
        digits[1][:20],
        options=options,
        batch_size=8,
        on_progress=lambda *at: progress.append(at),
    )
    done = [at for _, at, _ in progress]
    assert done == sorted(done)
    assert {0, 8, 16, 20} <= set(done)
    assert set(progress) == {("search", at, 20) for at in done}


def test_from_the_function_to_lbfgs_it_is_seven_calls(dense: Any, pixels: np.ndarray, digits: Digits) -> None:
    """The way down that a reader has to go, for both methods."""
    calls: list[list[str]] = []
    minimize = _boxed.minimize

    def look(*given: Any, **options: Any) -> Any:
        frame, names = inspect.currentframe(), []
        while frame is not None and not (names and names[-1] == "minimal_distortion"):
            frame = frame.f_back
            assert frame is not None
            if "robustcheck" in frame.f_code.co_filename:
                names.append(frame.f_code.co_name)
        calls.append(names[::-1])
        return minimize(*given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_boxed, "minimize", look)
        for method in ("boundary", "szegedy"):
            options = rc.SearchOptions(method=method, budget=100)
            rc.minimal_distortion(dense, pixels[:4], digits[1][:4], options=options)
    assert calls
    for names in calls:
        assert names[0] == "minimal_distortion"
        assert len(names) <= 7, " -> ".join(names)


def test_ranges_of_a_set_end_as_the_whole(dense: Any, pixels: np.ndarray, digits: Digits) -> None:
    """A part of the samples, searched anywhere with the facts of all, gives what the whole gives for it."""
    options = rc.SearchOptions(budget=60)
    whole = rc.minimal_distortion(dense, pixels[:20], digits[1][:20], options=options)
    samples = as_samples(dense, pixels[:20], digits[1][:20])
    facts, any_class = distortion.facts_of(dense, samples), np.full(20, -1)
    parts = [
        distortion.search_range(dense, samples.take(at), any_class[at], facts, options)
        for at in (np.arange(12, 20), np.arange(5), np.arange(5, 12))
    ]
    joined = join([parts[1], parts[2], parts[0]])
    np.testing.assert_array_equal(joined.status, whole.status)
    np.testing.assert_array_equal(joined.sample_id, whole.sample_id)
    np.testing.assert_allclose(joined.l2, whole.l2, rtol=1e-3)
