"""Load a folder of images, a sub-folder a class."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import DataRefused, InputRefused, one_line
from robustcheck.intake._files import sha256
from robustcheck.intake._loaded import LoadedData

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
_MODES = ("1", "L", "P", "RGB", "YCbCr", "CMYK", "HSV")
_MOST_PIXELS = 64_000_000


def load_image_folder(
    folder: Path,
    input_shape: tuple[int, ...],
    classes: int,
    class_names: tuple[str, ...] | None,
    limit: int | None,
    seed: int,
) -> LoadedData:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    order = _class_order(folder, names, classes, class_names)
    files = [
        (path, order[name])
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.is_file() and path.suffix.lower() in _FORMATS
    ]
    if not files:
        raise DataRefused(f"{folder}: expected images ({', '.join(_FORMATS)}), got none")
    label = np.array([one for _, one in files], np.int64)
    chosen = np.arange(len(files)) if limit is None else _stratified(label, limit, seed)
    digest = hashlib.sha256()
    for path, _ in files:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    images = [_image(files[i][0], input_shape) for i in chosen]
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise DataRefused(f"{folder}: expected images of one size, got {sorted(sizes)[:4]}; none is resized")
    by_class = {number: name for name, number in order.items()}
    return LoadedData(
        x=np.stack(images),
        y=label[chosen],
        index=chosen,
        path=str(folder),
        sha256=digest.hexdigest(),
        class_names=class_names or tuple(by_class[i] for i in range(classes)),
    )


def _class_order(
    folder: Path, names: list[str], classes: int, class_names: tuple[str, ...] | None
) -> dict[str, int]:
    if class_names is not None:
        unknown = [name for name in names if name not in class_names]
        if unknown:
            raise DataRefused(f"{folder}: expected folders named after the classes, got {unknown[:5]}")
        return {name: class_names.index(name) for name in names}
    if len(names) != classes:
        raise DataRefused(
            f"{folder}: expected {classes} sub-folders, one a class of the model, got {len(names)}; "
            "--class-names FILE tells which folder is which class"
        )
    return {name: number for number, name in enumerate(names)}


def _stratified(label: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Positions of a seeded draw with the classes in proportion, in source order."""
    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(len(label))
    # the k-th of a class's m samples gets the place (k + 1/2) / m: the smallest places are stratified
    place = np.empty(len(label))
    for one in np.unique(label):
        members = shuffled[label[shuffled] == one]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:limit])


def _image(path: Path, input_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    first = len(input_shape) == 3 and input_shape[0] in (1, 3) and input_shape[2] not in (1, 3)
    channels = 1 if len(input_shape) == 2 else input_shape[0] if first else input_shape[-1]
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
