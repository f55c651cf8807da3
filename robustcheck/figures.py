"""One function a figure; each returns SVG text or PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robustcheck.results import CurvePoint

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 280, 56, 44, 12, 12


def curve_svg(curve: Sequence[CurvePoint]) -> str:
    """Robust accuracy against the L2 radius. Colours come from the page by class."""
    largest = max(curve[-1].l2, np.finfo(float).tiny)
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(l2: float, accuracy: float) -> tuple[float, float]:
        return _LEFT + inner_width * l2 / largest, _TOP + inner_height * (1 - accuracy)

    path = " ".join(
        f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}"
        for i, (x, y) in enumerate(place(point.l2, point.accuracy) for point in curve)
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-label="Robust accuracy against the L2 radius" class="figure">'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        _, y = place(0, share)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        )
    for step in range(5):
        radius = largest * step / 4
        x, _ = place(radius, 0)
        anchor = "middle" if step < 4 else "end"  # in the middle of the right edge it would be cut off
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 24}" text-anchor="{anchor}">{radius:.3g}</text>'
        )
    parts.append(
        f'<text class="tick" x="{_LEFT + inner_width / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">'
        "L2 radius, box units</text>"
    )
    parts.append(f'<path class="curve" d="{path}" fill="none"/></svg>')
    return "".join(parts)


def is_image(shape: Sequence[int]) -> bool:
    """Whether samples of this shape can be shown: (H, W), (H, W, 1|3) or (1|3, H, W), 4 pixels or more."""
    if len(shape) == 3 and (shape[2] in (1, 3) or shape[0] in (1, 3)):
        return min(sorted(shape)[1:]) >= 4
    return len(shape) == 2 and min(shape) >= 4


def image_png(values: NDArray[np.floating], lower: float, upper: float) -> bytes:
    """A sample as PNG, from ``lower`` = black to ``upper`` = white; small images are enlarged."""
    from PIL import Image

    image = np.asarray(values, np.float64)
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    width = upper - lower if upper > lower else 1.0
    pixels = np.clip(np.rint(255 * (image - lower) / width), 0, 255).astype(np.uint8)
    factor = max(1, 96 // max(pixels.shape[:2]))
    pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
