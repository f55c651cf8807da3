"""A sample drawn in the terminal: half blocks in colour, or letters where there is neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from robustcheck.report import _drawings
from robustcheck.report._triples import shown_range, triple_values
from robustcheck.results import AuditReport, SearchResult

_RAMP = " .:-=+*#%@"
_GAP = 2


class Picture:
    """Original, perturbation and example of a row side by side, as wide as the console allows."""

    def __init__(self, report: AuditReport, result: SearchResult, row: int) -> None:
        low, high = shown_range(report, result, np.array([row]))
        parts, self.factor = triple_values(report, result, row, low, high)
        self._images = [_drawings.image_pixels(*part) for part in parts]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = (options.max_width - _GAP * (len(self._images) - 1)) // len(self._images)
        plain = console.color_system is None or console.no_color or options.ascii_only
        images = [_shrunk(image, max(width, 1)) for image in self._images]
        lines = [_in_letters(image) if plain else _in_colour(image) for image in images]
        for parts in zip(*lines, strict=True):
            yield Text(" " * _GAP).join(parts)


def picture(report: AuditReport, result: SearchResult, row: int) -> Picture | None:
    """A picture of a row with an example; None where samples are no images."""
    drawn = _drawings.is_image(result.input.shape[1:]) and bool(result.found[row])
    return Picture(report, result, row) if drawn else None


def _shrunk(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Every k-th pixel, so that it fits; never larger than it is."""
    step = -(-pixels.shape[1] // width)
    return pixels[::step, ::step]


def _in_colour(pixels: NDArray[np.uint8]) -> list[Text]:
    """Two rows of pixels a line, as the upper half block in front of a background."""
    colour = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    if len(colour) % 2:
        colour = np.concatenate([colour, colour[-1:]])
    lines = []
    for upper, lower in zip(colour[::2], colour[1::2], strict=True):
        line = Text()
        for front, back in zip(upper.tolist(), lower.tolist(), strict=True):
            style = "rgb({},{},{}) on rgb({},{},{})".format(*front, *back)
            line.append("\u2580", style)
        lines.append(line)
    return lines


def _in_letters(pixels: NDArray[np.uint8]) -> list[Text]:
    """A letter a pixel, every second row left out since letters are twice as high as wide."""
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    levels = (grey[::2].astype(int) * len(_RAMP)) // 256
    return [Text("".join(_RAMP[level] for level in row)) for row in levels]
