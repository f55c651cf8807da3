from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from robustcheck.report import _drawings
from robustcheck.results import CurvePoint


@pytest.mark.parametrize(
    ("largest", "steps"),
    [
        (1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (2.68, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]),
        (0.0071, [0.0, 0.002, 0.004, 0.006]),
        (255.0, [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]),
    ],
)
def test_ticks_are_round(largest: float, steps: list[float]) -> None:
    assert _drawings.round_steps(largest) == pytest.approx(steps)


def test_figures_are_well_formed_and_stay_inside() -> None:
    distances = np.array([0.1, 0.5, 0.5, 2.0])
    curve = [CurvePoint(0.0, 1.0), CurvePoint(1.0, 0.5), CurvePoint(2.0, 0.0)]
    for svg in (
        _drawings.curve_svg(curve, curve),
        _drawings.histogram_svg(distances),
        _drawings.histogram_svg(np.zeros(3)),
        _drawings.classes_svg(
            [("<b>", distances), ("none", np.zeros(0)), ("a name too long to show", distances)]
        ),
    ):
        root = ElementTree.fromstring(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
            assert 0 <= float(rect.attrib["x"]) <= width - float(rect.attrib["width"]) + 1
            assert 0 <= float(rect.attrib["y"]) <= height
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(text.attrib["x"]) <= width


def test_a_histogram_counts_every_sample() -> None:
    draw = np.random.default_rng(0).random(500)
    root = ElementTree.fromstring(_drawings.histogram_svg(draw))
    bars = [float(rect.attrib["height"]) for rect in root.iter("{http://www.w3.org/2000/svg}rect")]
    counts, _ = np.histogram(draw, bins=len(bars), range=(0, draw.max()))
    np.testing.assert_allclose(np.array(bars) / max(bars), counts / counts.max(), atol=1e-3)


def test_pixels_and_png() -> None:
    grey = _drawings.image_pixels(np.array([[0.0, 0.5], [1.0, 2.0]]), 0.0, 1.0)
    assert grey.tolist() == [[0, 128], [255, 255]]
    first = np.zeros((3, 4, 5))
    assert _drawings.image_pixels(first, 0, 1).shape == (4, 5, 3)
    with Image.open(io.BytesIO(_drawings.image_png(np.eye(8), 0, 1))) as image:
        assert (image.format, image.size) == ("PNG", (96, 96))
    with Image.open(io.BytesIO(_drawings.side_by_side([grey, grey, grey]))) as image:
        assert image.size == (3 * 96, 96)
