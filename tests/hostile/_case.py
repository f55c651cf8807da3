"""What a case is, and the files that several kinds of cases are made of."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from robustcheck import assets

CANARY = "canary"


MODEL = assets.path(assets.MODELS[0])


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input: what is typed in a folder of its own, and what comes of it.

    Attributes:
        name: of the case.
        make: writes the files into the folder.
        words: of the command.
        code: exit code.
        says: parts of the one line that is said.
        heavy: whether a process of its own must try it to see what is wrong.
        by_keras: whether Keras must, which needs TensorFlow.
    """

    name: str
    make: Callable[[Path], Any]
    words: tuple[str, ...]
    code: int = 3
    says: tuple[str, ...] = field(default=())
    heavy: bool = False
    by_keras: bool = False


def model_members() -> dict[str, bytes]:
    with zipfile.ZipFile(MODEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def keras_file(change: Callable[[dict[str, bytes]], Any]) -> Callable[[Path], None]:
    """A model file whose members were changed."""

    def make(folder: Path) -> None:
        members = model_members()
        change(members)
        write_archive(folder / "model.keras", members)

    return make


class Opens:
    def __reduce__(self) -> Any:
        return open, (CANARY, "w")


def flagged(path: Path, *, method: int | None = None, encrypted: bool = False) -> None:
    """Have the first member of an archive say another method, or that it is encrypted."""
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + at
        flags, old = struct.unpack_from("<HH", content, place)
        struct.pack_into("<HH", content, place, flags | encrypted, old if method is None else method)
    path.write_bytes(bytes(content))


def bomb(path: Path, name: str, size: int, begin: bytes = b"") -> None:
    """A member of less than 4 GiB of zeros, whose sum is wrong: nobody should come so far as to see that."""
    block = 2**24
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b"\0" * block) + packer.flush(zlib.Z_FULL_FLUSH)
    content = first + piece * (size // block) + packer.flush()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, content)
        place = archive.getinfo(name).header_offset
    archive_bytes = bytearray(path.read_bytes())
    for at in (place + 8, archive_bytes.rindex(b"PK\x01\x02", 0, archive_bytes.rindex(name.encode())) + 10):
        struct.pack_into("<H", archive_bytes, at, zipfile.ZIP_DEFLATED)
        struct.pack_into("<L", archive_bytes, at + 14, len(begin) + size // block * block)
    path.write_bytes(bytes(archive_bytes))


def good(folder: Path) -> None:
    """Samples that any of the models takes."""
    draw = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=draw.random((12, 8, 8), np.float32), y=np.arange(12) % 10)


def with_good(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        good(folder)
        make(folder)

    return both


def npy_header(shape: str, *, descr: str = "'<f4'", padding: int = 0) -> bytes:
    """The beginning of an ``.npy`` that claims a shape."""
    text = (
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b" " * padding + b"\n"
    )
    if len(text) < 2**16:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text


def members_npz(
    name: str, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED
) -> Callable[[Path], None]:
    return lambda folder: write_archive(folder / name, members, method)


def labels() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4) % 3)
    return buffer.getvalue()


def pickle_file(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(pickle.dumps(Opens()))


def images(change: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Two images a class for ten classes, one of which was changed."""

    def make(folder: Path) -> None:
        for number in range(10):
            (folder / "photos" / str(number)).mkdir(parents=True)
            for copy in range(2):
                Image.new("L", (8, 8), 20 * number + copy).save(
                    folder / "photos" / str(number) / f"{copy}.png"
                )
        change(folder / "photos" / "3" / "1.png")

    return make


_AUDIT = (
    "audit",
    "model.keras",
    "--data",
    "data.npz",
    "--budget",
    "20",
    "--noise-draws",
    "1",
    "--transfer",
    "one-way",
)


ON_DATA = ("audit", str(MODEL), "--data")


SHORT = ("--budget", "20", "--noise-draws", "1")


def on_model(
    name: str,
    make: Callable[[Path], Any],
    *says: str,
    model: str = "model.keras",
    more: tuple[str, ...] = (),
    **fields: Any,
) -> Case:
    words = (*(model if word == "model.keras" else word for word in _AUDIT), *more)
    return Case(name=f"model: {name}", make=with_good(make), words=words, says=says, **fields)


def on_data(
    name: str,
    make: Callable[[Path], Any],
    *says: str,
    data: str = "bad.npz",
    more: tuple[str, ...] = (),
    **fields: Any,
) -> Case:
    return Case(name=f"data: {name}", make=make, words=(*ON_DATA, data, *SHORT, *more), says=says, **fields)


# faults of a file are told one by one, 20 of them, and a line says how many more there are
MOST_LINES = 21
