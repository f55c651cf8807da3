"""A model file opened once: what is hashed, looked at and loaded is one private copy."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robustcheck.errors import ModelRefused, one_line
from robustcheck.stored import open_regular

_PIECE = 2**20


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file.

    Attributes:
        source: where it was, for messages.
        path: of the copy.
        sha256: of its content.
        size: in bytes.
    """

    source: Path
    path: Path
    sha256: str
    size: int


@contextlib.contextmanager
def private_copy(source: Path) -> Iterator[ModelFile]:
    """A copy of a model file in a folder that nobody else may write to, for the while.

    Whoever changes the file after it was opened changes nothing of what is loaded.

    Raises:
        ModelRefused: it is no regular file, or there is no room for the copy.
    """
    digest, size = hashlib.sha256(), 0
    with (
        open_regular(source, "a model file", ModelRefused) as stream,
        tempfile.TemporaryDirectory(prefix="robustcheck-") as folder,
    ):
        path = Path(folder) / f"model{source.suffix.lower()}"
        try:
            with path.open("wb") as copy:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
                    size += copy.write(piece)
        except OSError as error:
            raise ModelRefused(f"{source}: expected room for a copy to load: {one_line(error)}") from error
        yield ModelFile(source=source, path=path, sha256=digest.hexdigest(), size=size)
