"""Look at a zip archive before anything of it is unpacked."""

from __future__ import annotations

import contextlib
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from robustcheck.errors import RobustcheckError, one_line
from robustcheck.stored._files import open_regular

# of an archive: members, bytes that they unpack to, and how many times its size that is, where it is much
MOST_MEMBERS, MOST_UNPACKED, MOST_RATIO, _MUCH = 20_000, 32 * 2**30, 200, 256 * 2**20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1
# what is raised by an archive that is not what it seems
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)


@contextlib.contextmanager
def open_archive(
    path: Path,
    what: str,
    refuse: type[RobustcheckError],
    *,
    most: int = MOST_UNPACKED,
    named: Path | None = None,
) -> Iterator[tuple[zipfile.ZipFile, BinaryIO]]:
    """A zip archive whose members may be unpacked, and the file that it is read from.

    Args:
        path: of the archive.
        what: is expected there, for messages.
        refuse: the error to raise, also for what goes wrong while it is read.
        most: bytes that it may unpack to.
        named: in messages, where that is not the path.

    Raises:
        RobustcheckError: of the type given: it is no archive, or its members have names that lead elsewhere,
            are encrypted, or unpack to too much.
    """
    named = named or path
    with open_regular(path, what, refuse) as stream:
        try:
            if not zipfile.is_zipfile(stream):
                raise refuse(f"{named}: expected {what}, got a file that is not one")
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                fault = _fault(archive.infolist(), most)
                if fault is not None:
                    raise refuse(f"{named}: expected {what}: {fault}")
                yield archive, stream
        except UNREADABLE as error:
            if isinstance(error, RobustcheckError):
                raise
            raise refuse(f"{named}: expected {what}: {one_line(error)}") from error


def _fault(members: list[zipfile.ZipInfo], most: int) -> str | None:
    """What is wrong with an archive by what it says of itself."""
    if len(members) > MOST_MEMBERS:
        return f"expected at most {MOST_MEMBERS} members, got {len(members)}"
    for member in members:
        fault = _fault_of(member)
        if fault is not None:
            return f"member {member.filename[:100]!r} {fault}"
    twice = [name for name, count in Counter(member.filename for member in members).items() if count > 1]
    if twice:
        return f"member {twice[0][:100]!r} is there twice"
    # what is stored as it is takes no more than it does now
    packed_members = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    unpacked = sum(member.file_size for member in packed_members)
    packed = sum(member.compress_size for member in members)
    gib = 2**30
    if unpacked > most:
        return f"expected at most {most / gib:.3g} GiB unpacked, got {unpacked / gib:.3g} GiB"
    if unpacked > max(_MUCH, MOST_RATIO * packed):
        return (
            f"{packed} bytes unpack to {unpacked / gib:.3g} GiB, more than {MOST_RATIO} times as much; what "
            "is stored as it is, as by numpy.savez, is taken"
        )
    return None


def _fault_of(member: zipfile.ZipInfo) -> str | None:
    name = member.filename
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or "\0" in name:
        return "leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in _METHODS:
        return f"is compressed by method {member.compress_type}, which is not read"
    if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
        return f"is stored as it is in {member.compress_size} bytes, and claims {member.file_size}"
    return None
