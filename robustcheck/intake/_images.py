"""Load a folder of images, a sub-folder a class."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import room
from robustcheck.errors import DataRefused, InputRefused, one_line
from robustcheck.intake._files import sha256
from robustcheck.intake._loaded import LoadedData, Shape, Wanted
from robustcheck.intake._sampling import choose_rows
from robustcheck.text import option

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
_MODES = ("1", "L", "P", "RGB", "YCbCr", "CMYK", "HSV")
_MOST_PIXELS = 64_000_000


def load_image_folder(folder: Path, wanted: Wanted) -> LoadedData:
    """The images of a folder with a sub-folder a class."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    order = _class_order(folder, names, wanted.class_names)
    files = [
        (path, order[name])
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.is_file() and path.suffix.lower() in _FORMATS
    ]
    if not files:
        raise DataRefused(f"{folder}: expected images ({', '.join(_FORMATS)}), got none")
    if wanted.class_names is None:
        require_folders(str(folder), len(names), wanted.classes)
    label = np.array([number for _, number in files], np.int64)
    chosen, how = choose_rows(label, len(files), wanted.limit, wanted.sample, wanted.seed)
    digest = hashlib.sha256()
    for path, _ in files:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return LoadedData(
        x=_read_all(folder, [files[i][0] for i in chosen], wanted.shape),
        y=label[chosen],
        index=chosen,
        path=str(folder),
        sha256=digest.hexdigest(),
        class_names=wanted.class_names or tuple(names),
        sample=how,
        strata=label,
        folders=None if wanted.class_names is not None else len(names),
    )


def _read_all(folder: Path, files: list[Path], shape: Shape | None) -> NDArray[np.uint8]:
    """All images as one array, which may be larger than memory."""
    sizes: set[tuple[int, ...]] = set()
    for row, file in enumerate(files):
        image = _image(file, shape)
        if not sizes:
            images = room((len(files), *image.shape), np.uint8)
        sizes.add(image.shape)
        if len(sizes) == 1:
            images[row] = image
    if len(sizes) > 1:
        raise DataRefused(f"{folder}: expected images of one size, got {sorted(sizes)[:4]}; none is resized")
    return images


def require_folders(folder: str, folders: int, classes: int | None) -> None:
    """Refuse a folder whose sub-folders cannot be matched with the classes by their order."""
    if classes is not None and folders != classes:
        raise DataRefused(
            f"{folder}: expected {classes} sub-folders, one a class of the model, got {folders}; "
            f"{option('class_names')} tells which folder is which class"
        )


def _class_order(folder: Path, names: list[str], class_names: tuple[str, ...] | None) -> dict[str, int]:
    if class_names is None:
        return {name: number for number, name in enumerate(names)}
    unknown = [name for name in names if name not in class_names]
    if unknown:
        raise DataRefused(f"{folder}: expected folders named after the classes, got {unknown[:5]}")
    return {name: class_names.index(name) for name in names}


def _image(path: Path, shape: Shape | None) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

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
    try:
        with Image.open(path, formats=sorted(set(_FORMATS.values()))) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise DataRefused(f"{path}: expected at most {_MOST_PIXELS} pixels, got {image.size}")
            if image.mode not in _MODES or "transparency" in image.info:
                raise DataRefused(
                    f"{path}: expected 8 bits a channel without transparency, got mode {image.mode}; convert "
                    "the images, since a choice made here would change what is measured"
                )
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputRefused):
            raise
        raise DataRefused(f"{path}: expected an image, could not be read: {one_line(error)}") from error
    return np.moveaxis(pixels, -1, 0) if first and pixels.ndim == 3 else pixels
