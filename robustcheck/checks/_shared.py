"""What several checks need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robustcheck.models import Predictor
from robustcheck.noise import directions

Rows = NDArray[np.float32]

_BLOCK = 1024


def graded(value: float, warn: float, fail: float) -> Literal["PASS", "WARN", "FAIL"]:
    """FAIL above one limit, WARN above the other."""
    return "FAIL" if value > fail else "WARN" if value > warn else "PASS"


def noisy_blocks(
    predictor: Predictor, chosen: NDArray[np.bool_], seed: int
) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """Blocks of the chosen samples: their positions ``[B]``, and a random direction of length 1 for each."""
    draw = np.random.default_rng((seed, 1))
    where = np.flatnonzero(chosen)
    for start in range(0, len(where), _BLOCK):
        block = where[start : start + _BLOCK]
        yield block, directions(draw, predictor, len(block))
