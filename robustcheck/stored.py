"""Read stored things that may be hostile: with limits, and refusals that name the file."""

from __future__ import annotations

import contextlib
import json
import math
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ConfigError, ReportRefused, RobustcheckError, one_line

T = TypeVar("T")

# settings and policies; what is larger or deeper is none
_MOST_TOML, _DEEPEST = 2**20, 32
# no report or baseline that robustcheck wrote is larger, and no archive of arrays unpacks to more
_MOST_JSON, _MOST_UNPACKED = 256 * 2**20, 32 * 2**30
# the header of a member of a zip archive, which its name and extra fields follow; and what marks a secret one
_LOCAL, _ENCRYPTED = struct.Struct("<4s5H3I2H"), 0x1
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# what NumPy raises on an archive that is not what it seems
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


def read_toml(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    """The tables of a TOML file, and its bytes.

    Raises:
        ConfigError: the file cannot be read, is too large, not TOML, or tables in tables without end.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_TOML + 1)
        if len(content) > _MOST_TOML:
            raise ConfigError(f"{path}: expected {what} of at most {_MOST_TOML >> 20} MiB")
        stored = tomllib.loads(content.decode("utf-8"))
    except ConfigError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected {what} in TOML: {one_line(error)}") from error
    if _is_deeper(stored, _DEEPEST):
        raise ConfigError(f"{path}: expected {what} in TOML, got tables in tables without end")
    return stored, content


def _is_deeper(value: Any, most: int) -> bool:
    """Whether tables and arrays are nested deeper; without recursion, which has a limit of its own."""
    level = [value]
    for _ in range(most):
        inner = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, (dict, list))
        ]
        level = [item for group in inner for item in group]
    return any(isinstance(item, (dict, list)) for item in level)


def read_json(
    path: Path,
    what: str,
    *,
    schema: str,
    validate: Callable[[dict[str, Any], str], T],
    older: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
) -> T:
    """A document that robustcheck wrote, in strict JSON: no NaN, nothing infinite.

    Args:
        path: the file.
        what: is expected there, for messages.
        schema: the value that its key ``schema`` must have.
        validate: makes something of the document, given as values and as text; it may raise pydantic's
            ``ValidationError``, of which the first fault is told.
        older: for each schema that is read besides, what makes a document of the present one of it.

    Raises:
        ReportRefused: the file cannot be read, is too large, or is not such a document.
    """
    from pydantic import ValidationError

    try:
        if path.stat().st_size > _MOST_JSON:
            raise ReportRefused(f"{path}: expected {what} of at most {_MOST_JSON >> 20} MiB")
        text = path.read_text("utf-8")
        stored = json.loads(text, parse_constant=_not_json, parse_float=_finite)
        name = stored.get("schema") if isinstance(stored, dict) else None
        if isinstance(name, str) and name in (older or {}):
            stored = (older or {})[name](stored)
            text = json.dumps(stored)
        elif name != schema:
            raise ReportRefused(f"{path}: expected {what} of schema {schema}")
        return validate(stored, text)
    except ReportRefused:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ReportRefused(f"{path}: expected {what} of schema {schema}: {where}: {first['msg']}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ReportRefused(f"{path}: expected {what} in JSON: {one_line(error)}") from error


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def require_archive(
    path: Path, what: str, refuse: type[RobustcheckError], *, most: int = _MOST_UNPACKED
) -> None:
    """Refuse a file that is not a zip archive, or one that unpacks to more than ``most`` bytes: 32 GiB."""
    if not path.exists():
        raise refuse(f"{path}: expected {what}, got nothing there")
    if not zipfile.is_zipfile(path):
        raise refuse(f"{path}: expected {what}, got a file that is not one")
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > most:
        gib = 2**30
        raise refuse(f"{path}: expected at most {most / gib:.3g} GiB unpacked, got {unpacked / gib:.3g} GiB")


@contextlib.contextmanager
def open_arrays(path: Path, what: str, refuse: type[RobustcheckError]) -> Iterator[Any]:
    """The arrays of an ``.npz`` by name, each unpacked when it is asked for; no pickles.

    Raises:
        RobustcheckError: of the type given: the file or one of its arrays cannot be read.
    """
    try:
        require_archive(path, what, refuse)
        with np.load(path, allow_pickle=False) as stored:
            yield stored
    except _UNREADABLE as error:
        if isinstance(error, RobustcheckError):
            raise
        raise refuse(f"{path}: expected {what}: {one_line(error)}") from error


def mapped_array(path: Path, name: str) -> NDArray[Any] | None:
    """An array of an ``.npz`` that is stored as it is, mapped and not read.

    None where that cannot be: it is compressed, or no array. The file must be an archive that was checked.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.NameToInfo.get(f"{name}.npy")
        if member is None or member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
            return None
        with path.open("rb") as stream:
            # the local header has names and extra fields of its own lengths
            stream.seek(member.header_offset)
            header = stream.read(_LOCAL.size)
            named, extra = _LOCAL.unpack(header)[-2:]
            stream.seek(member.header_offset + _LOCAL.size + named + extra)
            with contextlib.suppress(ValueError, KeyError):
                return _mapped(path, stream, member.file_size)
    return None


def _mapped(path: Path, stream: BinaryIO, size: int) -> NDArray[Any]:
    """The array that begins where a stream stands, of so many bytes with its header."""
    begun = stream.tell()
    shape, fortran, kind = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if kind.hasobject:
        raise ValueError("arrays of objects are not read")
    if math.prod(shape) * kind.itemsize != size - (stream.tell() - begun):
        raise ValueError(f"expected {size} bytes, got a header of an array of shape {shape}")
    if not math.prod(shape):
        return np.empty(shape, kind)
    mapped: NDArray[Any] = np.memmap(
        path, kind, "r", offset=stream.tell(), shape=shape, order="F" if fortran else "C"
    )
    return mapped


def map_array_file(path: Path, what: str, refuse: type[RobustcheckError]) -> NDArray[Any]:
    """The array of an ``.npy``, mapped and not read.

    Raises:
        RobustcheckError: of the type given: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _mapped(path, stream, path.stat().st_size)
    except _UNREADABLE as error:
        raise refuse(f"{path}: expected {what}: {one_line(error)}") from error


def read_array(path: Path, what: str, refuse: type[RobustcheckError]) -> NDArray[Any] | None:
    """The array of an ``.npy``; None where the file is an archive of arrays.

    Raises:
        RobustcheckError: of the type given: the file cannot be read.
    """
    try:
        if zipfile.is_zipfile(path):
            return None
        stored: NDArray[Any] = np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise refuse(f"{path}: expected {what}: {one_line(error)}") from error
    return stored
