"""The types of arrays, by what they hold, and room for large ones; shapes stand in docstrings."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

# rows looked at together, so that no array of all is made besides those that are there; a multiple of the
# rows that a model is asked about at once
BLOCK = 1024
# bytes of an array that is still held in memory
MOST_IN_MEMORY = 2**30


def room(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """An array to be filled; one that is large lies in a file without a name, in the temporary folder.

    Raises:
        OSError: there is no room for the file.
    """
    size = math.prod(shape) * np.dtype(kind).itemsize
    if size <= MOST_IN_MEMORY:
        return np.empty(shape, kind)
    with tempfile.TemporaryFile(prefix="robustcheck-") as file:
        if hasattr(os, "posix_fallocate"):
            # told now: a disk that fills up later would end the process
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, kind, "w+", shape=shape)


class Growing:
    """Rows that come block after block, as one array in the end; of many see ``room``."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._first: NDArray[Any] | None = None
        self._count = 0
        self.size = 0  # bytes

    def add(self, rows: NDArray[Any]) -> None:
        """The next rows, ``[B, ...]``.

        Raises:
            ValueError: of another shape than those before, or of a type that theirs cannot hold.
            OSError: there is no room for the file.
        """
        if self._first is None:
            self._first = rows[:0].copy()
        kind, shape = self._first.dtype, self._first.shape[1:]
        if rows.shape[1:] != shape or not np.can_cast(rows.dtype, kind, "safe"):
            raise ValueError(f"expected {kind} of shape {shape}, got {rows.dtype} of shape {rows.shape[1:]}")
        rows = rows.astype(kind, copy=False)
        self._count, self.size = self._count + len(rows), self.size + rows.nbytes
        if self._file is not None:
            self._file.write(rows.tobytes())
            return
        self._blocks.append(rows)
        if self.size > MOST_IN_MEMORY and not kind.hasobject:
            self._file = tempfile.TemporaryFile(prefix="robustcheck-")  # noqa: SIM115  # stays open
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._blocks = []

    def array(self) -> NDArray[Any]:
        """All rows, ``[N, ...]``; at least one block was added."""
        assert self._first is not None
        if self._file is None:
            return np.concatenate(self._blocks)
        with self._file as file:
            file.flush()
            return np.memmap(file, self._first.dtype, "r+", shape=(self._count, *self._first.shape[1:]))


def blocks(chosen: Mask) -> Iterator[I64]:
    """Positions ``[B]`` of the chosen of some rows, block after block."""
    where = np.flatnonzero(chosen)
    return (where[start : start + BLOCK] for start in range(0, len(where), BLOCK))


def slices(count: int) -> Iterator[slice]:
    """All of so many rows, block after block."""
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))
