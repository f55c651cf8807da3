"""What several checks need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from robustcheck.arrays import F32, I64, Mask, blocks
from robustcheck.config import SearchedNorm
from robustcheck.models import Predictor
from robustcheck.noise import directions


def graded(value: float, warn: float, fail: float) -> Literal["PASS", "WARN", "FAIL"]:
    """FAIL above one limit, WARN above the other."""
    return "FAIL" if value > fail else "WARN" if value > warn else "PASS"


def noisy_blocks(
    predictor: Predictor, chosen: Mask, seed: int, norm: SearchedNorm
) -> Iterator[tuple[I64, F32]]:
    """Blocks of the chosen samples: positions ``[B]``, and for each a random direction of length 1."""
    draw = np.random.default_rng((seed, 1))
    for block in blocks(chosen):
        yield block, directions(draw, predictor, len(block), norm=norm)
