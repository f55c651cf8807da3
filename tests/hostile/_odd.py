"""Inputs that are odd, and are taken all the same."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hostile._case import (
    MODEL,
    Case,
    images,
    keras_file,
    model_members,
    on_data,
    on_model,
    with_good,
    write_archive,
)


def harmless() -> Iterator[Case]:
    """Odd, and taken all the same."""
    own = ("--labels", "model")

    def model(name: str, make: Callable[[Path], Any], **more: Any) -> Case:
        return on_model(name, make, more=own, code=0, **more)

    def data(name: str, make: Callable[[Path], Any], more: tuple[str, ...] = (), **fields: Any) -> Case:
        return on_data(name, make, more=(*more, *own), code=0, **fields)

    yield model(
        "a link",
        lambda folder: (
            shutil.copy(MODEL, folder / "real.keras"),
            (folder / "model.keras").symlink_to("real.keras"),
        ),
    )
    yield model(
        "a name with a space and letters",
        lambda folder: shutil.copy(MODEL, folder / "mod\u00e8le n\u00b01.keras"),
        model="mod\u00e8le n\u00b01.keras",
    )
    yield model(
        "a member more, and a comment", keras_file(lambda m: m.update({"notes.txt": b"trained on Monday"}))
    )
    yield model(
        "stored as it is",
        lambda folder: write_archive(folder / "model.keras", model_members(), zipfile.ZIP_STORED),
    )
    yield data(
        "an array more",
        lambda folder: np.savez(
            folder / "bad.npz",
            x=np.random.default_rng(0).random((12, 8, 8)),
            y=np.arange(12) % 10,
            notes=np.array(["a", "b"]),
        ),
    )
    yield data(
        "columns first, big-endian",
        lambda folder: np.savez(
            folder / "bad.npz",
            x=np.asfortranarray(np.random.default_rng(0).random((12, 8, 8))).astype(">f8"),
            y=(np.arange(12) % 10).astype(">i2"),
        ),
    )
    yield data(
        "compressed a thousand times",
        lambda folder: np.savez_compressed(
            folder / "bad.npz",
            x=np.concatenate([np.random.default_rng(0).random((12, 8, 8)), np.zeros((500, 8, 8))]).astype(
                np.float32
            ),
            y=np.arange(512) % 10,
        ),
        more=("--limit", "12", "--sample", "first"),
    )
    yield data(
        "images that end in .JPEG and .PNG",
        images(lambda path: (path.unlink(), Image.new("L", (8, 8), 60).save(path.with_suffix(".JPEG")))),
        data="photos",
    )
    yield data(
        "an image with a palette",
        images(lambda path: Image.new("L", (8, 8), 60).convert("P").save(path)),
        data="photos",
    )
    yield data(
        "what a desktop leaves",
        images(
            lambda path: (
                (path.parent / "Thumbs.db").write_bytes(b"x"),
                (path.parent / ".DS_Store").write_bytes(b"x"),
            )
        ),
        data="photos",
    )
    yield data(
        "class names from Windows",
        with_good(
            lambda folder: (folder / "names.txt").write_bytes(
                "\ufeff".encode() + b"\r\n".join(b"c%d" % i for i in range(10)) + b"\r\n"
            )
        ),
        data="data.npz",
        more=("--class-names", "names.txt"),
    )
    yield data(
        "settings from Windows",
        with_good(
            lambda folder: (folder / "robustcheck.toml").write_bytes("\ufeff".encode() + b"limit = 12\r\n")
        ),
        data="data.npz",
    )
