"""Gaussian noise of a given length: the control that distances and transfer are read against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32
from robustcheck.models import Predictor


def directions(
    draw: np.random.Generator, predictor: Predictor, count: int, dtype: type[np.floating[Any]] = np.float32
) -> NDArray[Any]:
    """Random directions of L2 length 1 in the features that may change, ``[count, D]``.

    Drawn row after row: those of blocks of rows are those of all the rows at once.
    """
    noise = draw.standard_normal((count, predictor.layout.width), dtype) * predictor.free
    length = np.linalg.norm(noise, axis=1, keepdims=True)
    scaled: NDArray[Any] = noise / np.maximum(length, np.finfo(dtype).tiny)
    return scaled


def moved(predictor: Predictor, rows: F32, r: NDArray[Any]) -> F32:
    """Rows ``[B, D]`` with perturbations ``[B, D]``, clipped to the box; what may not change stays."""
    lower, upper = predictor.bounds(rows)
    clipped: F32 = np.clip((rows + r).astype(np.float32), lower, upper)
    return clipped
