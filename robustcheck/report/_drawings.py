"""One function a figure; each returns SVG text or PNG bytes. Colours come from the page, by class."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F64
from robustcheck.results import Point

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 280, 56, 44, 12, 12
_BINS = 30
_CLASS_HEIGHT = 22
# of lengths, where nothing else is said
UNIT = "box units"


@dataclass(frozen=True)
class _Axes:
    """A drawing area whose x runs from 0 to ``largest`` and y from 0 to ``top``, in the figure's units."""

    largest: float
    top: float
    height: int = _HEIGHT
    left: int = _LEFT

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point in the units of the drawing."""
        across = self.left + (_WIDTH - self.left - _RIGHT) * x / self.largest
        return across, _TOP + (self.height - _TOP - _BOTTOM) * (1 - y / self.top)

    def opening(self, label: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {self.height}" role="img" '
            f'aria-label="{label}" class="figure">'
        )

    def across(self, label: str) -> str:
        """Ticks and title of the x axis."""
        parts = []
        for value in round_steps(self.largest):
            x, _ = self.place(value, 0)
            # in the middle of the right edge it would be cut off
            anchor = "end" if x > _WIDTH - 2 * _RIGHT else "middle"
            parts.append(_text(x, self.height - 24, f"{value:.3g}", anchor))
        return "".join([*parts, _text((self.left + _WIDTH) / 2, self.height - 4, label, "middle")])

    def up(self, values: Sequence[float], shown: Sequence[str]) -> str:
        """Grid lines and ticks of the y axis."""
        parts = []
        for value, text in zip(values, shown, strict=True):
            _, y = self.place(0, value)
            right = _WIDTH - _RIGHT
            parts.append(f'<line class="grid" x1="{self.left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
            parts.append(_text(self.left - 8, y + 4, text, "end"))
        return "".join(parts)

    def path(self, points: Sequence[tuple[float, float]], css: str) -> str:
        placed = [self.place(*point) for point in points]
        d = " ".join(f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(placed))
        return f'<path class="{css}" d="{d}" fill="none"/>'


def round_steps(largest: float) -> list[float]:
    """Some five round numbers from 0 to at most ``largest``."""
    rough = largest / 6
    unit = 10.0 ** np.floor(np.log10(rough))
    step = unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough * 0.999)
    return [float(step * number) for number in range(int(largest / step * 1.0001) + 1)]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def curve_svg(curve: Sequence[Point], noise: Sequence[Point] = (), norm: str = "L2", unit: str = UNIT) -> str:
    """Robust accuracy against the radius in a norm, by its title, and accuracy on noise of that length."""
    axes = _Axes(max(curve[-1].radius, np.finfo(float).tiny), 1.0)
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    control = ", with accuracy on noise of that length" if noise else ""
    label = f"Robust accuracy against the {norm} radius{control}"
    parts = [axes.opening(label), axes.up(shares, [f"{share:.0%}" for share in shares])]
    parts.append(axes.across(f"{norm} radius, {unit}"))
    if noise:
        parts.append(axes.path([(point.radius, point.accuracy) for point in noise], "noise"))
    parts.append(axes.path([(point.radius, point.accuracy) for point in curve], "curve"))
    return "".join([*parts, "</svg>"])


def two_curves_svg(curve: Sequence[Point], other: Sequence[Point], norm: str = "L2", unit: str = UNIT) -> str:
    """Robust accuracy of two models against the radius in a norm; the other's is dashed."""
    axes = _Axes(max(curve[-1].radius, other[-1].radius, np.finfo(float).tiny), 1.0)
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    parts = [axes.opening(f"Robust accuracy of two models against the {norm} radius")]
    parts += [axes.up(shares, [f"{share:.0%}" for share in shares]), axes.across(f"{norm} radius, {unit}")]
    parts += [
        axes.path([(point.radius, point.accuracy) for point in points], css)
        for points, css in ((other, "noise"), (curve, "curve"))
    ]
    return "".join([*parts, "</svg>"])


def histogram_svg(values: F64, what: str = "L2 distance", unit: str = UNIT) -> str:
    """How many samples lie at each value; all values 0 or more and finite, at least one."""
    largest = max(float(values.max()), np.finfo(float).tiny)
    counts, edges = np.histogram(values, bins=_BINS, range=(0.0, largest))
    axes = _Axes(largest, max(int(counts.max()), 1))
    ticks = sorted({0, int(axes.top) // 2, int(axes.top)})
    parts = [axes.opening(f"Samples at each {what}"), axes.up(ticks, [f"{tick}" for tick in ticks])]
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        (x, y), (end, floor) = axes.place(left, float(count)), axes.place(right, 0)
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{max(end - x - 1, 0.5):.1f}" '
            f'height="{floor - y:.1f}"/>'
        )
    return "".join([*parts, axes.across(f"{what}, {unit}"), "</svg>"])


def classes_svg(classes: Sequence[tuple[str, F64]], norm: str = "L2", unit: str = UNIT) -> str:
    """For each class, by name, the middle 90 % and 50 % of its distances and their median."""
    largest = max([float(distances.max()) for _, distances in classes if len(distances)] or [1.0])
    axes = _Axes(
        max(largest, np.finfo(float).tiny), 1.0, _TOP + _BOTTOM + _CLASS_HEIGHT * len(classes), left=120
    )
    parts = [axes.opening(f"{norm} distances of each class: 5, 25, 50, 75 and 95 %")]
    for row, (name, values) in enumerate(classes):
        middle = _TOP + _CLASS_HEIGHT * (row + 0.5)
        parts.append(_text(axes.left - 8, middle + 4, name if len(name) < 17 else name[:15] + "..", "end"))
        if not len(values):
            continue
        p05, p25, median, p75, p95 = (
            axes.place(float(cut), 0)[0] for cut in np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
        )
        parts.append(f'<line class="whisker" x1="{p05:.1f}" y1="{middle}" x2="{p95:.1f}" y2="{middle}"/>')
        width = max(p75 - p25, 1.0)
        parts.append(
            f'<rect class="bar" x="{p25:.1f}" y="{middle - 6}" width="{width:.1f}" height="12"/>'
            f'<line class="median" x1="{median:.1f}" y1="{middle - 8}" x2="{median:.1f}" y2="{middle + 8}"/>'
        )
    return "".join([*parts, axes.across(f"{norm} distance, {unit}"), "</svg>"])


def is_image(shape: Sequence[int]) -> bool:
    """Whether samples of this shape can be shown: (H, W), (H, W, 1|3) or (1|3, H, W), 4 pixels or more."""
    if len(shape) == 3 and (shape[2] in (1, 3) or shape[0] in (1, 3)):
        return min(sorted(shape)[1:]) >= 4
    return len(shape) == 2 and min(shape) >= 4


def image_pixels(values: NDArray[np.floating], lower: float, upper: float) -> NDArray[np.uint8]:
    """A sample as 8 bit pixels ``[H, W]`` or ``[H, W, 3]``, from ``lower`` = black to ``upper`` = white."""
    image = np.asarray(values, np.float64)
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    width = upper - lower if upper > lower else 1.0
    return np.clip(np.rint(255 * (image - lower) / width), 0, 255).astype(np.uint8)


def image_png(values: NDArray[np.floating], lower: float, upper: float) -> bytes:
    """A sample as PNG; small images are enlarged."""
    return _png(image_pixels(values, lower, upper))


def side_by_side(images: Sequence[NDArray[np.uint8]]) -> bytes:
    """Images of one size as one PNG."""
    return _png(np.concatenate(images, axis=1))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    factor = max(1, 96 // pixels.shape[0])
    pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
