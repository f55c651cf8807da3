"""One image file, if it is what its name and header say."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import DataRefused, InputRefused, one_line
from robustcheck.intake._loaded import Shape
from robustcheck.stored import open_regular
from robustcheck.text import option

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
_MODES = ("1", "L", "P", "RGB", "YCbCr", "CMYK", "HSV")
_MOST_PIXELS = 64_000_000


def read_image(path: Path, shape: Shape | None) -> NDArray[np.uint8]:
    """An image in the layout of a model that takes samples of a shape; nothing is resized.

    Raises:
        DataRefused: it cannot be read, or would have to be changed to be taken.
    """
    from PIL import Image, UnidentifiedImageError

    channels, first = _channels(path, shape)
    try:
        with (
            # the limit of pixels is here another than Pillow's
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            open_regular(path, "an image", DataRefused) as stream,
            Image.open(stream, formats=sorted(set(FORMATS.values()))) as image,
        ):
            _require_plain(path, image, shape, first=first)
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, InputRefused):
            raise
        raise DataRefused(f"{path}: expected an image, could not be read: {one_line(error)}") from error
    return np.moveaxis(pixels, -1, 0) if first and pixels.ndim == 3 else pixels


def _channels(path: Path, shape: Shape | None) -> tuple[int, bool]:
    """How many channels a model takes, and whether they come first.

    Raises:
        DataRefused: it takes no images.
    """
    if shape is None or len(shape) not in (2, 3):
        raise DataRefused(
            f"{path}: expected a model that takes images, got one that takes "
            f"{'what it does not tell' if shape is None else shape}; {option('input_shape')} says it"
        )
    first = len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)
    channels = 1 if len(shape) == 2 else shape[0] if first else shape[-1]
    if channels not in (1, 3):
        raise DataRefused(
            f"{path}: expected a model that takes 1 or 3 channels, got {shape}; "
            f"{option('input_shape')} says it"
        )
    return channels, first


def _require_plain(path: Path, image: Any, shape: Shape | None, *, first: bool) -> None:
    """Refuse an image by its header, before it is decoded."""
    said = FORMATS[path.suffix.lower()]
    if image.format != said:
        raise DataRefused(f"{path}: expected {said}, as its name says, got {image.format}")
    if image.width * image.height > _MOST_PIXELS:
        raise DataRefused(f"{path}: expected at most {_MOST_PIXELS} pixels, got {image.size}")
    rows, columns = (shape or ())[-2:] if first else (shape or ())[:2]
    if (rows or image.height, columns or image.width) != (image.height, image.width):
        raise DataRefused(
            f"{path}: expected an image of {columns} x {rows}, as the model takes, got {image.width} x "
            f"{image.height}; none is resized"
        )
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise DataRefused(f"{path}: expected one image, got {frames} frames")
    if image.mode not in _MODES or "transparency" in image.info:
        raise DataRefused(
            f"{path}: expected 8 bits a channel without transparency, got mode {image.mode}; convert "
            "the images, since a choice made here would change what is measured"
        )
