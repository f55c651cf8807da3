"""The types of arrays, by what they hold, and room for large ones; shapes stand in docstrings."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

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
