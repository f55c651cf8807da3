"""Arrays in ``.npz`` and ``.npy`` files; what a header claims is compared with what is there."""

from __future__ import annotations

import contextlib
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import RobustcheckError, one_line
from robustcheck.stored._archive import MOST_UNPACKED, UNREADABLE, open_archive
from robustcheck.stored._files import open_regular

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# bytes and brackets of a header; that of an array of numbers has some 100 and 2
_LONGEST, _BRACKETS = 10_000, 64
# the header of a member of a zip archive, which its name and extra fields follow
_LOCAL = struct.Struct("<4s5H3I2H")
# bytes that are unpacked at a time
_PIECE = 2**20
# numbers, truth values, text; no objects, no records
_KINDS = "biufcUS"
_BROKEN = (*UNREADABLE, struct.error, RecursionError, MemoryError, TypeError)


class Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of an archive by name; each is read when it is asked for.

    Raises:
        ValueError: one that is not what its header claims.
    """

    def __init__(self, archive: zipfile.ZipFile, stream: BinaryIO) -> None:
        self._archive, self._stream = archive, stream
        self._members = {
            member.filename.removesuffix(".npy"): member
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        with _told(name), self._archive.open(member) as stream:
            shape, fortran, kind = _header(stream, member.file_size)
            values = np.empty(math.prod(shape), kind)
            room, filled = values.view(np.uint8).data, 0
            while filled < len(room):
                part = stream.read(min(_PIECE, len(room) - filled))
                if not part:
                    raise ValueError(f"expected {len(room)} bytes of values, got {filled}")
                room[filled : filled + len(part)] = part
                filled += len(part)
            return values.reshape(shape, order="F" if fortran else "C")

    def mapped(self, name: str) -> NDArray[Any]:
        """The array, mapped and not read where it is stored as it is."""
        member = self._members[name]
        if member.compress_type != zipfile.ZIP_STORED:
            return self[name]
        with _told(name):
            # the local header has a name and extra fields of its own lengths
            self._stream.seek(member.header_offset)
            named, extra = _LOCAL.unpack(self._stream.read(_LOCAL.size))[-2:]
            self._stream.seek(member.header_offset + _LOCAL.size + named + extra)
            return _mapped(self._stream, member.file_size)


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """What is wrong with an array names it."""
    try:
        yield
    except _BROKEN as error:
        text = str(error) if isinstance(error, ValueError) else one_line(error)
        raise ValueError(f"{name[:100]!r}: {text}") from error


@contextlib.contextmanager
def open_arrays(
    path: Path, what: str, refuse: type[RobustcheckError], *, most: int = MOST_UNPACKED
) -> Iterator[Arrays]:
    """The arrays of an ``.npz``.

    Raises:
        RobustcheckError: of the type given: the file or one of its arrays cannot be read.
    """
    with open_archive(path, what, refuse, most=most) as (archive, stream):
        try:
            yield Arrays(archive, stream)
        except ValueError as error:
            if isinstance(error, RobustcheckError):
                raise
            raise refuse(f"{path}: expected {what}: {error}") from error


def _header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the array where a stream stands, of ``size`` bytes with its header.

    Raises:
        ValueError: it is no array of numbers or text, or not of that size.
    """
    begun = stream.tell()
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"expected an array in version 1 or 2 of the format, got {version}")
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, _LONGEST))
    if length > _LONGEST or sum(map(text.count, (b"(", b"[", b"{"))) > _BRACKETS:
        raise ValueError(f"expected an array, got a header of {length} bytes")
    stream.seek(begun + 6 + 2)
    try:
        shape, fortran, kind = _HEADERS[version](stream)
    except Exception as error:  # NumPy lets errors of the tokenizer through
        raise ValueError(f"expected an array, got a header that says nothing: {one_line(error)}") from error
    if kind.hasobject or kind.kind not in _KINDS:
        raise ValueError(f"expected an array of numbers, got {kind} (nothing is unpickled)")
    if any(side < 0 for side in shape) or math.prod(shape) * kind.itemsize != size - (stream.tell() - begun):
        there = size - (stream.tell() - begun)
        raise ValueError(f"expected {there} bytes of values, got a header of {kind} of shape {shape}")
    return shape, fortran, kind


def _mapped(stream: BinaryIO, size: int) -> NDArray[Any]:
    """The array that begins where the stream of a file stands."""
    shape, fortran, kind = _header(stream, size)
    if not math.prod(shape):
        return np.empty(shape, kind)
    order: Any = "F" if fortran else "C"
    mapped: NDArray[Any] = np.memmap(stream, kind, "r", offset=stream.tell(), shape=shape, order=order)
    return mapped


def map_array_file(path: Path, what: str, refuse: type[RobustcheckError]) -> NDArray[Any]:
    """The array of an ``.npy``, mapped and not read.

    Raises:
        RobustcheckError: of the type given: the file cannot be read.
    """
    with open_regular(path, what, refuse) as stream:
        try:
            size = stream.seek(0, 2)
            stream.seek(0)
            return _mapped(stream, size)
        except _BROKEN as error:
            raise refuse(f"{path}: expected {what}: {one_line(error)}") from error


def read_array(path: Path, what: str, refuse: type[RobustcheckError]) -> NDArray[Any] | None:
    """The array of an ``.npy``; None where the file is an archive of arrays.

    Raises:
        RobustcheckError: of the type given: the file cannot be read.
    """
    with open_regular(path, what, refuse) as stream:
        if zipfile.is_zipfile(stream):
            return None
    return np.array(map_array_file(path, what, refuse))
