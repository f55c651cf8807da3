from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import robustcheck as rc
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.results import SearchResult

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
    matrix = rc.transfer_matrix(models, pixels, digits[1], {"a": dense_result, "constant": dense_result})
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
