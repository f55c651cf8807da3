from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from evidence import result_of

import robustcheck as rc
from robustcheck import measures
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.results import SearchResult, Status
from robustcheck.samples import as_samples
from robustcheck.transfer import cross_errors

Digits = tuple[np.ndarray, np.ndarray]


def test_matrix_by_hand(
    digit_models: list[Any], dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    other = rc.wrap(digit_models[2], name="other")
    matrix = rc.transfer_matrix({"dense": dense, "other": other}, pixels, digits[1], {"dense": dense_result})
    label = digits[1]
    clean = digit_models[2].predict(pixels[..., None], verbose=0).argmax(axis=1) != label
    found = dense_result.found
    fooled = digit_models[2].predict(dense_result.adversarial[found][..., None], verbose=0).argmax(axis=1)
    row = matrix.rows[0]
    assert matrix.models == ["dense", "other"]
    assert matrix.clean_error[1] == clean.mean()
    assert (row.made_for, row.n) == ("dense", found.sum())
    assert row.error == [1.0, np.mean(fooled != label[found])]
    assert row.clean_error == [0.0, clean[found].mean()]
    assert row.excess[1] == row.error[1] - row.clean_error[1]
    assert row.rms == pytest.approx(dense_result.rms[found].mean())
    assert row.errors == [found.sum(), np.sum(fooled != label[found])]
    share = measures.share(row.errors[1], row.n)
    assert (row.low[1], row.high[1]) == (share.low, share.high)
    right = ~clean[found]
    assert row.right == [found.sum(), right.sum()]
    assert row.error_of_right[1] == np.mean((fooled != label[found])[right])
    assert matrix.rows[1].error[1] == 1.0  # the diagonal: a model is wrong on all of its own


def test_a_twin_gives_the_same_row(
    dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    known = {"a": dense_result, "twin": dense_result}
    matrix = rc.transfer_matrix({"a": dense, "twin": dense}, pixels, digits[1], known)
    assert matrix.rows[0].error == matrix.rows[1].error == [1.0, 1.0]


def test_a_constant_reference_has_no_excess(
    dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    constant = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    constant.set_weights([np.zeros((64, 10)), 3.0 * np.eye(10)[0]])
    models = {"a": dense, "constant": rc.wrap(constant)}
    made_for_constant = replace(dense_result, status=np.full(60, "NOT_FOUND"))
    matrix = rc.transfer_matrix(models, pixels, digits[1], {"a": dense_result, "constant": made_for_constant})
    assert matrix.rows[1].n == 0
    assert matrix.rows[1].error == [None, None]
    assert matrix.rows[0].excess[1] == 0.0
    assert matrix.rows[0].error[1] == matrix.rows[0].clean_error[1] > 0.5


def test_models_that_cannot_be_compared_are_refused(dense: Any, pixels: np.ndarray, digits: Digits) -> None:
    def linear(shape: tuple[int, ...], classes: int, box: tuple[float, float] = (0, 1)) -> Any:
        layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
        return rc.wrap(keras.Sequential(layers), box=box)

    for other, text in (
        (linear((7, 8), 10), r"expected inputs of shape \(8, 8\).*got \(7, 8\)"),
        (linear((8, 8), 9), "expected classes 10.*got 9"),
        (linear((8, 8), 10, (0, 2)), r"expected the box \[0, 1\].*got \[0, 2\]"),
    ):
        with pytest.raises(ModelRefused, match=text):
            rc.transfer_matrix({"a": dense, "b": other}, pixels, digits[1])
    with pytest.raises(ConfigError, match="at least one"):
        rc.transfer_matrix({}, pixels, digits[1])


def test_results_of_other_samples_are_refused(
    dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    order = np.arange(60)[::-1]
    for x, y in ((pixels[order], digits[1][order]), (pixels[:7], digits[1][:7])):
        with pytest.raises(DataRefused, match="results of 'a': expected those of the"):
            rc.transfer_matrix({"a": dense}, x, y, {"a": dense_result})


def test_an_unwrapped_model_is_told_so(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    with pytest.raises(
        ConfigError, match=r"expected a classifier, got Functional: pass robustcheck\.wrap\(model\)"
    ):
        rc.minimal_distortion(digit_models[0], pixels, digits[1])


def test_results_of_another_model_are_refused(
    digit_models: list[Any], dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    other = rc.wrap(digit_models[2], name="other")
    with pytest.raises(DataRefused, match="results of 'other': expected examples that all fool 'other'"):
        rc.transfer_matrix({"other": other}, pixels, digits[1], {"other": dense_result})


def test_noise_and_magnified_examples_have_the_stated_size(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    """Before clipping; a box without sides leaves it at that."""
    freeze = np.zeros((8, 8), bool)
    freeze[0] = True
    boundless = rc.wrap(digit_models[0], name="a", box=(-np.inf, np.inf), freeze=freeze)
    result = rc.minimal_distortion(boundless, pixels, digits[1], options=rc.SearchOptions(budget=60))
    options = rc.TransferOptions(rms=(0.1, 0.5))
    matrix = rc.transfer_matrix({"a": boundless}, pixels, digits[1], {"a": result}, transfer=options)
    for equal in matrix.equal:
        assert equal.rows[0].rms == pytest.approx(equal.rms, abs=1e-6)
        assert equal.rows[0].noise_rms == pytest.approx(equal.rms, abs=1e-6)
    row = matrix.rows[0]
    assert row.rms == pytest.approx(result.rms[result.found].mean(), abs=1e-6)
    assert row.noise_rms == pytest.approx(row.rms, abs=1e-6)


def test_equal_distortion_by_hand(
    digit_models: list[Any], dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    options = rc.TransferOptions(rms=(0.2,))
    models = {"a": dense, "other": rc.wrap(digit_models[2], name="other")}
    matrix = rc.transfer_matrix(models, pixels, digits[1], {"a": dense_result}, transfer=options)
    found = dense_result.found
    x = pixels[found].reshape(found.sum(), -1).astype(np.float64)
    r = dense_result.adversarial[found].reshape(x.shape) - x
    r *= 0.2 * np.sqrt(64) / np.linalg.norm(r, axis=1, keepdims=True)
    at = np.clip((x + r).astype(np.float32), 0, 1)
    reached = np.linalg.norm(at - x, axis=1).mean() / 8
    fooled = digit_models[2].predict(at.reshape(-1, 8, 8, 1), verbose=0).argmax(axis=1)
    row = matrix.equal[0].rows[0]
    assert row.error[1] == np.mean(fooled != digits[1][found])
    assert row.rms == pytest.approx(reached, abs=1e-6)
    assert row.rms < 0.2  # the box took some


def test_the_curve_goes_from_clean_to_the_examples_and_beyond(
    digit_models: list[Any], dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    models = {"a": dense, "other": rc.wrap(digit_models[2], name="other")}
    matrix = rc.transfer_matrix(models, pixels, digits[1], {"a": dense_result})
    row = matrix.rows[0]
    at = {point.scale: point for point in row.curve}
    assert at[1.0].error == row.error
    assert at[1.0].rms == row.rms
    assert at[0.25].error[0] == 0.0  # a quarter of the way no example can be wrong yet
    assert [point.rms for point in row.curve] == sorted(point.rms for point in row.curve)
    assert at[4.0].error[1] > row.error[1]


def test_the_same_seed_gives_the_same_noise(
    dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    def noise(seed: int) -> tuple[float | None, list[float | None]]:
        options = rc.TransferOptions(rms=(0.4,), seed=seed)
        matrix = rc.transfer_matrix({"a": dense}, pixels, digits[1], {"a": dense_result}, transfer=options)
        return matrix.equal[0].rows[0].noise_rms, matrix.equal[0].rows[0].noise_error

    assert noise(0) == noise(0) != noise(1)


def test_split_halves() -> None:
    y = np.random.default_rng(0).choice(5, 1001, p=[0.5, 0.3, 0.1, 0.09, 0.01])
    first, second = rc.split_halves(y, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(1001))
    in_each = [np.bincount(y[half], minlength=5) for half in (first, second)]
    assert np.abs(in_each[0] - in_each[1]).max() <= 1
    again, _ = rc.split_halves(y, seed=3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, rc.split_halves(y, seed=4)[0])
    with pytest.raises(DataRefused, match="expected at least two class numbers"):
        rc.split_halves(np.eye(3))


@pytest.mark.parametrize("rms", [0.0, -1.0, np.inf, np.nan])
def test_sizes_are_checked(rms: float) -> None:
    with pytest.raises(ConfigError, match=r"--transfer-rms.: expected a finite number above 0"):
        rc.TransferOptions(rms=(rms,))


def test_a_reference_with_preprocessing_of_its_own(
    digit_models: list[Any], dense: Any, dense_result: SearchResult, pixels: np.ndarray, digits: Digits
) -> None:
    """The same net behind two layers that undo each other: the same row."""
    x = keras.Input((8, 8, 1))
    centred = keras.layers.Rescaling(2.0, offset=-1.0)(x)
    back = keras.layers.Rescaling(0.5, offset=0.5)(centred)
    other = keras.Model(x, digit_models[0](keras.layers.Reshape((8, 8))(back)))
    models = {"a": dense, "preprocessed": rc.wrap(other)}
    matrix = rc.transfer_matrix(models, pixels, digits[1], {"a": dense_result, "preprocessed": dense_result})
    clean, error = matrix.rows[0].clean_error, matrix.rows[0].error
    assert clean[1] == clean[0]
    assert error[1] == 1.0  # examples lead by more than the detour rounds


def test_memory_does_not_grow_with_the_samples() -> None:
    """Beyond data and results a transfer needs room for a block of samples, however many there are."""
    draw = np.random.default_rng(0)
    slopes = [draw.standard_normal((400, 2)).astype(np.float32) for _ in range(3)]
    models = {
        f"m{i}": rc.wrap(lambda x, slope=slope: (x - 0.5) @ slope, input_shape=(400,), box=(-5, 5))
        for i, slope in enumerate(slopes)
    }
    peaks = []
    for count in (2048, 8192):
        x = draw.random((count, 400), np.float32)
        normal = slopes[0][:, 1] - slopes[0][:, 0]
        lead = (x - 0.5) @ normal
        points = (x - (1.02 * lead / (normal @ normal))[:, None] * normal).astype(np.float32)
        result = replace(result_of([Status.FOUND] * count, np.ones(count)), input=x, adversarial=points)
        tracemalloc.start()
        samples = as_samples(models["m0"], x, lead > 0)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        matrix = cross_errors(models, samples, {"m0": result}, rc.TransferOptions(draws=2, rms=(0.1,)))
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()
        assert matrix.rows[0].n == count
    assert peaks[1] <= 1.2 * peaks[0]
