"""Data, boxes and masks that are hostile or broken."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hostile._case import (
    Case,
    Opens,
    bomb,
    flagged,
    good,
    images,
    labels,
    members_npz,
    npy_header,
    on_data,
    pickle_file,
    with_good,
    write_archive,
)
from hostile._models import with_module

_DEEP = "(" * 10_000 + ")" * 10_000


_CLAIMS = {"x.npy": npy_header("(1000000000000, 8, 8)"), "y.npy": labels()}


def _flagged_npz(name: str, **flags: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        np.savez(
            folder / name, x=np.zeros((4, 8, 8)), lower=np.zeros(1), upper=np.ones(1), freeze=np.zeros((8, 8))
        )
        flagged(folder / name, **flags)

    return make


def _bomb_npz(name: str, member: str, count: int, width: int) -> Callable[[Path], None]:
    """An archive of some MB that unpacks to GB: ``count`` rows of 8 x ``width`` float32."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("y.npy", labels())
        bomb(folder / name, f"{member}.npy", count * 8 * width * 4, npy_header(f"({count}, 8, {width})"))

    return make


def _pickled(folder: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([Opens()], object), allow_pickle=True)
    write_archive(folder / "bad.npz", {"x.npy": content.getvalue(), "y.npy": labels()})


def _truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-30])


def _claims_pixels(path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def _animated(path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def _many_pixels(folder: Path) -> None:
    for number in range(10):
        (folder / "photos" / str(number)).mkdir(parents=True)
    large = Image.new("L", (7900, 7900))
    first = folder / "photos" / "0" / "0.png"
    large.save(first)
    for number in range(120):
        with_number = folder / "photos" / str(number % 10) / f"{number}.png"
        if with_number != first:
            os.link(first, with_number)


def data() -> Iterator[Case]:
    yield on_data("an array that claims 1e12 rows", members_npz("bad.npz", _CLAIMS), "'x'")
    yield on_data("the same, stored as it is", members_npz("bad.npz", _CLAIMS, zipfile.ZIP_STORED), "'x'")
    yield on_data(
        "an .npy that claims 1e12 rows",
        lambda folder: (folder / "bad.npy").write_bytes(_CLAIMS["x.npy"]),
        data="bad.npy",
    )
    yield on_data(
        "an array that claims less than nothing",
        members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header("(-1, 8, 8)")}),
        "'x'",
    )
    yield on_data(
        "a header nested without end", members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header(_DEEP)}), "'x'"
    )
    yield on_data(
        "a header of 100 MB",
        members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header("(4, 8, 8)", padding=10**8)}),
        "'x'",
    )
    yield on_data(
        "a type of records without end",
        members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header("(4, 8, 8)", descr="[('a', '<f4')]")}),
        "'x'",
    )
    yield on_data("encrypted", _flagged_npz("bad.npz", encrypted=True), "encrypted")
    yield on_data("another compression", _flagged_npz("bad.npz", method=99), "method 99")
    yield on_data(
        "13 MB that unpack to 3 GB", _bomb_npz("bad.npz", "x", 12 * 2**20, 8), "unpack", more=("--limit", "2")
    )
    yield on_data("objects", _pickled, "'x'")
    yield on_data("a pickle", pickle_file("bad.npz"))
    yield on_data("a pickle as .npy", pickle_file("bad.npy"), data="bad.npy")
    yield on_data(
        "cut short",
        lambda folder: (
            good(folder),
            (folder / "bad.npz").write_bytes((folder / "data.npz").read_bytes()[:-100]),
        ),
    )
    yield on_data("a pipe", lambda folder: os.mkfifo(folder / "bad.npz"), "a pipe")
    yield on_data(
        "a link to a device", lambda folder: (folder / "bad.npz").symlink_to("/dev/zero"), "a device"
    )
    yield on_data(
        "a million members",
        lambda folder: write_archive(
            folder / "bad.npz", {f"a{i}.npy": b"" for i in range(100_000)}, zipfile.ZIP_STORED
        ),
        "members",
    )
    yield on_data("named hf://user/data", with_module("hf"), data="hf://user/data")
    yield on_data("a name with a line break", lambda _: None, data="x\nerror: all is well.npz")
    photos = {"data": "photos"}
    yield on_data("an image cut short", images(_truncated), "1.png", **photos)
    yield on_data(
        "an image in another format",
        images(lambda path: Image.new("L", (8, 8)).save(path, "JPEG")),
        "1.png",
        "JPEG",
        **photos,
    )
    yield on_data("an image that claims 60000 x 60000", images(_claims_pixels), "1.png", "60000", **photos)
    yield on_data("an image that moves", images(_animated), "1.png", "frames", **photos)
    yield on_data(
        "an image of 16 bits",
        images(lambda path: Image.fromarray(np.zeros((8, 8), np.uint16)).save(path)),
        "1.png",
        **photos,
    )
    yield on_data(
        "an image that is a pipe", images(lambda path: (path.unlink(), os.mkfifo(path))), "1.png", **photos
    )
    yield on_data("120 images just under the limit", _many_pixels, "7900", **photos)
    names = {"data": "data.npz", "more": ("--class-names", "names.txt")}
    yield on_data(
        "class names of a device",
        with_good(lambda folder: (folder / "names.txt").symlink_to("/dev/zero")),
        "names.txt",
        **names,
    )
    yield on_data(
        "class names of 100 MB",
        with_good(lambda folder: (folder / "names.txt").write_bytes(b"a" * 10**8)),
        "names.txt",
        **names,
    )
    box = {"data": "data.npz", "more": ("--box", "bad.npz"), "code": 2}
    yield on_data(
        "a box that claims 1e12 values",
        with_good(members_npz("bad.npz", {"lower.npy": _CLAIMS["x.npy"], "upper.npy": _CLAIMS["x.npy"]})),
        "'lower'",
        **box,
    )
    yield on_data(
        "a box that unpacks to 3 GB", with_good(_bomb_npz("bad.npz", "lower", 12 * 2**20, 8)), "unpack", **box
    )
    yield on_data("an encrypted box", with_good(_flagged_npz("bad.npz", encrypted=True)), "encrypted", **box)
    yield on_data(
        "a box that is a pipe", with_good(lambda folder: os.mkfifo(folder / "bad.npz")), "a pipe", **box
    )
    freeze = {"data": "data.npz", "more": ("--freeze", "bad.npz"), "code": 2}
    yield on_data(
        "a mask that claims 1e12 values",
        with_good(members_npz("bad.npz", {"freeze.npy": _CLAIMS["x.npy"]})),
        "'freeze'",
        **freeze,
    )
    yield on_data(
        "a mask with another compression",
        with_good(_flagged_npz("bad.npz", method=99)),
        "method 99",
        **freeze,
    )
