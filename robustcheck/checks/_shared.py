"""What several checks need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robustcheck.models import Classifier
from robustcheck.results import SearchResult

Rows = NDArray[np.float32]

_BLOCK = 1024


def graded(value: float, warn: float, fail: float) -> Literal["PASS", "WARN", "FAIL"]:
    """FAIL above one limit, WARN above the other."""
    return "FAIL" if value > fail else "WARN" if value > warn else "PASS"


def noisy_blocks(
    classifier: Classifier, result: SearchResult, chosen: NDArray[np.bool_], seed: int
) -> Iterator[tuple[Rows, Rows, NDArray[np.int64]]]:
    """Blocks of the chosen samples ``[B, D]``, a random direction of length 1 for each, and their labels."""
    draw = np.random.default_rng((seed, 1))
    where = np.flatnonzero(chosen)
    flat = result.input.reshape(len(result), -1)
    for start in range(0, len(where), _BLOCK):
        block = where[start : start + _BLOCK]
        noise = draw.standard_normal((len(block), flat.shape[1]), np.float32) * classifier.free
        length = np.linalg.norm(noise, axis=1, keepdims=True)
        yield flat[block], noise / np.maximum(length, np.finfo(np.float32).tiny), result.label[block]


def moved(classifier: Classifier, rows: Rows, perturbation: Rows) -> Rows:
    """Perturbed rows, clipped to the box; what may not change stays."""
    lower, upper = classifier.bounds(rows)
    clipped: Rows = np.clip(rows + perturbation, lower, upper).astype(np.float32)
    return clipped
