"""Load a folder of images, a sub-folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import room
from robustcheck.errors import DataRefused, Incomplete
from robustcheck.intake._files import sha256_of
from robustcheck.intake._image_file import FORMATS, read_image
from robustcheck.intake._loaded import LoadedData, Wanted
from robustcheck.intake._sampling import choose_rows
from robustcheck.stored import DROPPINGS
from robustcheck.text import option


def load_image_folder(folder: Path, wanted: Wanted) -> LoadedData:
    """The images of a folder with a sub-folder a class."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    order = _class_order(folder, names, wanted.class_names)
    files = [
        (path, order[name])
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in FORMATS
    ]
    if not files:
        raise DataRefused(f"{folder}: expected images ({', '.join(FORMATS)}), got none")
    if wanted.class_names is None:
        require_folders(str(folder), len(names), wanted.classes)
    label = np.array([number for _, number in files], np.int64)
    chosen, how = choose_rows(label, len(files), wanted.limit, wanted.sample, wanted.seed)
    images, bad = _read_all(folder, [files[i][0] for i in chosen], wanted)
    read = np.delete(chosen, list(bad))
    return LoadedData(
        x=images,
        y=label[read],
        index=read,
        path=str(folder),
        sha256=sha256_of(folder, [path for path, _ in files]),
        class_names=wanted.class_names or tuple(names),
        sample=how,
        strata=label,
        folders=None if wanted.class_names is not None else len(names),
        notes=_notes(bad, folder) + _passed_over(folder, names),
        left_out=len(bad),
    )


def _notes(bad: dict[int, Path], folder: Path) -> tuple[str, ...]:
    if not bad:
        return ()
    first = next(iter(bad.values())).relative_to(folder).as_posix()
    return (f"{len(bad)} images could not be read and are left out, the first {first}",)


def _passed_over(folder: Path, names: list[str]) -> tuple[str, ...]:
    """A note on files that are no images by their names."""
    others = [
        path
        for name in names
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() not in FORMATS and path.name[0] != "." and path.name not in DROPPINGS
    ]
    if not others:
        return ()
    first = others[0].relative_to(folder).as_posix()
    known = ", ".join(sorted(set(FORMATS.values())))
    return (f"{len(others)} files are none of {known} and are passed over, the first {first}",)


def _read_all(folder: Path, files: list[Path], wanted: Wanted) -> tuple[NDArray[np.uint8], dict[int, Path]]:
    """All images as one array, which may be larger than memory; and by their row those left out.

    Raises:
        DataRefused: an image that cannot be read, or more of them than fit.
        Incomplete: too many are left out.
    """
    sizes: set[tuple[int, ...]] = set()
    bad: dict[int, Path] = {}
    for row, file in enumerate(files):
        try:
            image = read_image(file, wanted.shape)
        except DataRefused as error:
            if not wanted.skip_bad:
                raise
            bad[row] = file
            if len(bad) > wanted.max_bad * len(files):
                raise Incomplete(
                    f"{folder}: {len(bad)} of {len(files)} images could not be read, which is more than "
                    f"{option('max_bad')} allows, {wanted.max_bad:g}; the last: {error}"
                ) from error
            continue
        if not sizes:
            size = len(files) * image.nbytes
            if size > wanted.max_data_bytes:
                raise DataRefused(
                    f"{folder}: expected images of at most {wanted.max_data_bytes} bytes in all "
                    f"({option('max_data_bytes')}), got {len(files)} of {image.shape}"
                )
            images = room((len(files), *image.shape), np.uint8)
        sizes.add(image.shape)
        if len(sizes) == 1:
            images[row - len(bad)] = image
    if len(sizes) > 1:
        raise DataRefused(f"{folder}: expected images of one size, got {sorted(sizes)[:4]}; none is resized")
    if not sizes:
        raise DataRefused(f"{folder}: expected images, got none that can be read")
    return images[: len(files) - len(bad)], bad


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
