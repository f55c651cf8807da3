"""Open files, and nothing that only looks like one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from robustcheck.errors import RobustcheckError, one_line

# files that a desktop leaves wherever somebody looked
DROPPINGS = {".DS_Store", "Thumbs.db", "desktop.ini"}
# what is no regular file: reading it may wait for ever, never end, or do something
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path, what: str, refuse: type[RobustcheckError]) -> BinaryIO:
    """Open a regular file, or the one that a link leads to.

    What was opened is looked at once more, since something else may have been put in its place.

    Args:
        path: of the file.
        what: is expected there, for messages.
        refuse: the error to raise.
    """
    try:
        _require_regular(path, os.stat(path), what, refuse)
        handle = os.open(path, _FLAGS)
        try:
            _require_regular(path, os.fstat(handle), what, refuse)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
    except FileNotFoundError as error:
        raise refuse(f"{path}: expected {what}, got nothing there") from error
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        if isinstance(error, RobustcheckError):
            raise
        raise refuse(f"{path}: expected {what}: {one_line(error)}") from error


def _require_regular(path: Path, found: os.stat_result, what: str, refuse: type[RobustcheckError]) -> None:
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise refuse(f"{path}: expected {what}, got {name}")


def read_limited(path: Path, what: str, refuse: type[RobustcheckError], *, most: int) -> bytes:
    """The content of a regular file of at most ``most`` bytes.

    Raises:
        RobustcheckError: of the type given: no file, one that cannot be read, or a larger one.
    """
    with open_regular(path, what, refuse) as stream:
        try:
            content = stream.read(most + 1)
        except OSError as error:
            raise refuse(f"{path}: expected {what}: {one_line(error)}") from error
    if len(content) > most:
        size = f"{most >> 20} MiB" if most >= 2**20 else f"{most >> 10} KiB"
        raise refuse(f"{path}: expected {what} of at most {size}, got more")
    return content
