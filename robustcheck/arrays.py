"""The types of arrays, by what they hold, and room for large ones; shapes stand in docstrings."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from typing import Any, TypeAlias

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


def blocks(chosen: Mask) -> Iterator[I64]:
    """Positions ``[B]`` of the chosen of some rows, block after block."""
    where = np.flatnonzero(chosen)
    return (where[start : start + BLOCK] for start in range(0, len(where), BLOCK))


def slices(count: int) -> Iterator[slice]:
    """All of so many rows, block after block."""
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))
