"""Examples as 8-bit integers over the box."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import robustcheck as rc
from robustcheck.levels import has_levels, levels_between, values_of
from robustcheck.measures import measure, parse_metric
from robustcheck.models import own_labels
from robustcheck.report._triples import caption, shown_example
from robustcheck.report._wording import length_tables
from robustcheck.samples import as_samples

LOWER, UPPER = np.zeros(3, np.float32), np.full(3, 255, np.float32)


def test_levels_by_hand() -> None:
    """In a box of 0 to 255 a level is its value; the way from 10.0 to 12.6 is 2.6 steps."""
    rows, points = np.array([[10, 10, 10]], np.float32), np.array([[12.6, 9.7, 10.2]], np.float32)
    assert levels_between(rows, points, LOWER, UPPER, 1.0, 0.5).tolist() == [[13, 10, 10]]
    assert levels_between(rows, points, LOWER, UPPER, 1.0, 0.7).tolist() == [[12, 10, 10]]
    assert levels_between(rows, points, LOWER, UPPER, 1.0, 0.25).tolist() == [[13, 9, 10]]
    assert levels_between(rows, points, LOWER, UPPER, 2.0, 0.5).tolist() == [[15, 9, 10]]
    assert levels_between(rows, np.full((1, 3), np.nan, np.float32), LOWER, UPPER, 1.0, 0.5).tolist() == [
        [10, 10, 10]
    ]
    each = np.array([1.0, 2.0])
    both = levels_between(np.repeat(rows, 2, 0), np.repeat(points, 2, 0), LOWER, UPPER, each, 0.5)
    assert both.tolist() == [[13, 10, 10], [15, 9, 10]]
    assert values_of(np.array([[0, 255]], np.uint8), LOWER[:2] - 1, UPPER[:2]).tolist() == [[-1, 255]]


def test_a_box_without_sides_has_none() -> None:
    free = np.array([True, True, False])
    assert has_levels(LOWER, np.array([1, 1, np.inf], np.float32), free)
    assert not has_levels(LOWER, np.array([1, np.inf, 1], np.float32), free)


def test_what_came_in_8_bits_is_shown_so_first(digit_models: list[Any], digits: Any) -> None:
    """The page's first length, row and picture are of the example that a file can hold."""
    stored = (digits[0][:12].astype(float) * 255 / 16).astype(np.uint8)
    first, last = (
        rc.audit(digit_models[0], x, digits[1][:12], options=rc.SearchOptions(budget=60))
        for x in (stored, (stored / 255).astype(np.float32))
    )
    assert first.data.data_range == [0.0, 255.0]
    assert last.data.data_range is None
    names = [[name for name, _ in length_tables(report)[0].rows] for report in (first, last)]
    assert [row[0] for row in names] == ["8-bit L2", "L2"]
    row = int(np.flatnonzero(first.samples.found)[0])
    lengths = [caption(report, report.samples, row).lengths for report in (first, last)]
    assert [lengths[0][0][0], lengths[1][-1][0]] == ["8-bit L2", "8-bit L2"]
    drawn = shown_example(first, first.samples, row) * 255
    np.testing.assert_allclose(drawn, np.rint(drawn), atol=1e-4)
    assert np.abs(drawn - 255 * first.samples.adversarial[row]).max() > 0.01
    exact = shown_example(last, last.samples, row)
    np.testing.assert_array_equal(exact, last.samples.adversarial[row])


def test_they_hold_after_a_png(digit_models: list[Any], digits: Any) -> None:
    """Written as 8-bit pictures and read as 8-bit data, the examples are misclassified all the same."""
    x = (digits[0][:30].astype(float) * 255 / 16).astype(np.uint8)
    report = rc.audit(digit_models[0], x, digits[1][:30], options=rc.SearchOptions(budget=100))
    result, sides = report.samples, report.conditions
    at = np.flatnonzero(result.found & np.isfinite(result.distance8))
    assert len(at) == result.found.sum()
    levels = levels_between(
        result.rows[at], result.points[at], sides.lower, sides.upper, result.scale8[at], result.threshold8[at]
    )
    read = []
    for picture in levels.reshape(-1, 8, 8):
        stored = io.BytesIO()
        Image.fromarray(picture).save(stored, "PNG")
        read.append(np.asarray(Image.open(stored)))
    classifier = rc.wrap(digit_models[0])
    samples = as_samples(classifier, np.stack(read), result.label[at])
    assert (own_labels(classifier, samples.rows) != result.label[at]).all()
    length = np.sqrt(np.sum((samples.rows.astype(float) - result.rows[at]) ** 2, axis=1))
    np.testing.assert_allclose(length, result.distance8[at], rtol=1e-6)
    # rounding is seldom shorter than what was searched, and never by more than its own steps
    assert np.median(result.distance8[at]) < 1.1 * np.median(result.distance[at])
    figure = measure(parse_metric("distortion8.l2.median"), report.evidence)
    assert figure == report.measures["distortion8.l2.median"]
    assert figure.value == pytest.approx(np.median(result.distance8[result.correct]))
