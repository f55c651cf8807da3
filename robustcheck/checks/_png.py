"""Whether examples on 8-bit levels come back from an image file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustcheck.arrays import F32, I64
from robustcheck.checks._given import ON_THE_WAY, Given
from robustcheck.distortion import example_levels, spread
from robustcheck.levels import values_of
from robustcheck.results import Check, judged, not_asked

# channels that a PNG of 8 bits may have
_CHANNELS = (1, 3)


def png(given: Given) -> Check:
    """Write, read and classify some of them."""
    result = given.result
    shape = (*given.classifier.input_shape, 1)[:3] if len(given.classifier.input_shape) > 1 else ()
    if len(given.classifier.input_shape) > 3 or len(shape) < 3 or shape[2] not in _CHANNELS:
        return not_asked("png", "samples are no images of 1 or 3 channels")
    at = spread(np.flatnonzero(result.found & np.isfinite(result.distance8)), ON_THE_WAY)
    if not len(at):
        return not_asked("png", "there is no example on 256 levels")
    share = float(given.fooled(at, _read_again(given, at, shape)).mean())
    detail = (
        f"{round(share * len(at))} of {len(at)} 8-bit examples are misclassified when read from a PNG file"
    )
    return judged("png", share, detail)


def _read_again(given: Given, at: I64, shape: tuple[int, ...]) -> F32:
    """The rows ``[M, D]`` of what a PNG of each example holds."""
    levels = example_levels(given.classifier, given.result, at)
    read = np.stack([_through_png(image.reshape(shape)).reshape(-1) for image in levels])
    return values_of(read, given.classifier.lower, given.classifier.upper)


def _through_png(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, format="PNG")
    stream.seek(0)
    with Image.open(stream) as image:
        return np.asarray(image)
