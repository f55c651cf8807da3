"""What users hand over as samples and labels: adapted and said, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robustcheck.errors import ConfigError, DataRefused
from robustcheck.samples import as_samples


@pytest.fixture(scope="module")
def labels(digits: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return digits[1]


def test_ways_to_store_the_same_samples(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    plain = as_samples(dense, pixels, labels)
    read_only = pixels.copy()
    read_only.setflags(write=False)
    for x in (pixels.astype(np.float64), np.asfortranarray(pixels), read_only, list(pixels)):
        same = as_samples(dense, x, labels)
        np.testing.assert_array_equal(same.rows, plain.rows)
        assert same.rows.dtype == np.float32
        assert same.notes == ()


def test_the_users_array_is_never_written_to(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    x = pixels.copy()
    samples = as_samples(dense, x, labels)
    samples.rows[:] = 7
    np.testing.assert_array_equal(x, pixels)


def test_uint8_and_a_data_range(
    dense: Any, digits: tuple[np.ndarray, np.ndarray], pixels: np.ndarray
) -> None:
    x, y = digits
    np.testing.assert_allclose(as_samples(dense, x, y, data_range=(0, 16)).rows, pixels.reshape(60, -1))
    np.testing.assert_allclose(as_samples(dense, x, y).rows, x.reshape(60, -1) / 255.0, rtol=1e-6)
    centred = as_samples(dense, pixels * 2 - 1, y, data_range=(-1, 1))
    np.testing.assert_allclose(centred.rows, pixels.reshape(60, -1), atol=1e-7)


def test_a_channel_axis_more_or_less(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    for x in (pixels[..., None], pixels[:, None]):
        samples = as_samples(dense, x, labels)
        np.testing.assert_array_equal(samples.rows, pixels.reshape(60, -1))
        assert "an axis of size 1 differs" in samples.notes[0]


def test_label_shapes(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    for y in (labels[:, None], labels.astype(float), labels.astype(np.int8), list(labels)):
        np.testing.assert_array_equal(as_samples(dense, pixels, y).label, labels)
    one_hot = as_samples(dense, pixels, np.eye(10)[labels])
    np.testing.assert_array_equal(one_hot.label, labels)
    assert one_hot.notes == ("one-hot labels of 10 classes were taken as class numbers",)


def test_without_labels_the_model_gives_them(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    samples = as_samples(dense, pixels, None)
    assert np.mean(samples.label == labels) > 0.9


def test_rows_that_are_not_finite_are_kept(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    x = pixels.copy()
    x[3, 0, 0], x[5, 1, 1] = np.nan, np.inf
    samples = as_samples(dense, x, labels)
    assert np.flatnonzero(~samples.finite).tolist() == [3, 5]
    assert "2 samples hold a NaN or an infinity" in samples.notes[0]


def test_float64_beyond_float32_is_not_finite(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    x = pixels.astype(np.float64)
    x[0, 0, 0] = 1e300
    assert not as_samples(dense, x, labels).finite[0]


def test_rounding_outside_the_box_is_clipped(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    samples = as_samples(dense, pixels + np.float32(1e-7), labels)
    assert samples.rows.max() <= 1


X_REFUSED: dict[str, tuple[Any, str]] = {
    "outside": (lambda x: x * 255, r"expected values in the box \[0, 1\], got 0 to 255"),
    "shape": (lambda x: x[:, :7], r"expected shape \('N', 8, 8\), got \(60, 7, 8\)"),
    "empty": (lambda x: x[:0], "expected at least one, got shape"),
    "text": (lambda x: x.astype(str), "expected numbers, got dtype <U"),
    "objects": (lambda x: x.astype(object), "expected numbers, got dtype object"),
    "all NaN": (lambda x: x * np.nan, "got a NaN or an infinity in all 60"),
}


@pytest.mark.parametrize("kind", X_REFUSED)
def test_samples_refused(dense: Any, pixels: np.ndarray, labels: np.ndarray, kind: str) -> None:
    change, text = X_REFUSED[kind]
    with pytest.raises(DataRefused, match=text) as refused:
        as_samples(dense, change(pixels), labels)
    assert refused.value.exit_code == 3


Y_REFUSED: dict[str, tuple[Any, str]] = {
    "too large": (lambda y: y + 5, r"expected classes 0 to 9 \(the model has 10\), got 5 to 14"),
    "negative": (lambda y: y.astype(int) - 1, "got -1 to 8"),
    "count": (lambda y: y[:-1], r"expected shape \(60,\) or one-hot \(60, 10\), got \(59,\)"),
    "wide": (lambda y: np.eye(12)[y], r"got \(60, 12\)"),
    "soft": (lambda _: np.full((60, 10), 0.1), r"got soft labels \(60, 10\)"),
    "fractions": (lambda y: y + 0.5, "got fractions or NaN"),
    "names": (lambda y: y.astype(str), "expected whole numbers, got dtype <U"),
}


@pytest.mark.parametrize("kind", Y_REFUSED)
def test_labels_refused(dense: Any, pixels: np.ndarray, labels: np.ndarray, kind: str) -> None:
    change, text = Y_REFUSED[kind]
    with pytest.raises(DataRefused, match=text):
        as_samples(dense, pixels, change(labels))


def test_a_data_range_needs_a_finite_box(digit_models: list[Any], digits: tuple[np.ndarray, ...]) -> None:
    import robustcheck as rc

    boundless = rc.wrap(digit_models[0], box=(-np.inf, np.inf))
    with pytest.raises(ConfigError, match="cannot be mapped to a box with infinite sides"):
        as_samples(boundless, *digits)
    with pytest.raises(ConfigError, match=r"--data-range.: expected finite low < high"):
        as_samples(rc.wrap(digit_models[0]), *digits, data_range=(1, 1))


def test_uint8_that_does_not_use_its_range_is_pointed_out(dense: Any, digits: tuple[np.ndarray, ...]) -> None:
    assert "the largest is 16" in as_samples(dense, *digits).notes[0]
    assert as_samples(dense, *digits, data_range=(0, 16)).notes == ()


def test_a_value_outside_is_named(dense: Any, pixels: np.ndarray, labels: np.ndarray) -> None:
    x = pixels.copy()
    x[7, 1, 2] = 1.5
    with pytest.raises(DataRefused, match=r"sample 7, feature 10: 1\.5 is not in \[0, 1\]"):
        as_samples(dense, x, labels)
