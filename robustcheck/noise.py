"""Random noise of a given length: the control that distances and transfer are read against.

Directions are uniform on the unit sphere of a norm, by the density ``exp(-|r_i|^p)`` of each feature for the
p-norm (Schechtman and Zinn 1990): Gaussian in L2, uniform in Linf, Laplace in L1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32
from robustcheck.config import SearchedNorm
from robustcheck.models import Predictor
from robustcheck.norms import NORMS


def _normal(draw: np.random.Generator, shape: tuple[int, int], dtype: Any) -> NDArray[Any]:
    return draw.standard_normal(shape, dtype)


def _uniform(draw: np.random.Generator, shape: tuple[int, int], dtype: Any) -> NDArray[Any]:
    numbers: NDArray[Any] = 2 * draw.random(shape, dtype) - 1
    return numbers


def _laplace(draw: np.random.Generator, shape: tuple[int, int], dtype: Any) -> NDArray[Any]:
    signs = draw.integers(0, 2, shape, np.int8) * 2 - 1
    numbers: NDArray[Any] = draw.standard_exponential(shape, dtype) * signs
    return numbers


_SPHERES: Mapping[SearchedNorm, Callable[[np.random.Generator, tuple[int, int], Any], NDArray[Any]]] = {
    "l2": _normal,
    "linf": _uniform,
    "l1": _laplace,
}


def directions(
    draw: np.random.Generator,
    predictor: Predictor,
    count: int,
    dtype: type[np.floating[Any]] = np.float32,
    norm: SearchedNorm = "l2",
) -> NDArray[Any]:
    """Random directions that cost 1 in a norm, in the features that may change, ``[count, D]``.

    Drawn row after row: those of blocks of rows are those of all the rows at once.
    """
    noise = _SPHERES[norm](draw, (count, predictor.layout.width), dtype) * predictor.free
    length = NORMS[norm].length(noise, predictor.features)[:, None]
    scaled: NDArray[Any] = noise / np.maximum(length, np.finfo(dtype).tiny) / predictor.cost
    return scaled


def moved(predictor: Predictor, rows: F32, r: NDArray[Any]) -> F32:
    """Rows ``[B, D]`` with perturbations ``[B, D]``, clipped to the box; what may not change stays."""
    lower, upper = predictor.bounds(rows)
    clipped: F32 = np.clip((rows + r).astype(np.float32), lower, upper)
    return clipped
