"""What every check is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, I64, Mask, blocks
from robustcheck.config import SearchedNorm
from robustcheck.distortion import spread
from robustcheck.models import Classifier, Predictor, logits_of, own_labels
from robustcheck.noise import directions
from robustcheck.remedies import Walk
from robustcheck.results import Check, DeployedRows, NormFacts, SearchResult

# samples whose way to somewhere is looked at, where that takes several evaluations
ON_THE_WAY = 64
# what is worse comes later; a check that could not be made is worse than one that passed
GRAVITY = ("PASS", "SKIP", "WARN", "FAIL")


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """A model, and what was found for it by the search in one norm.

    Attributes:
        classifier: the model.
        result: what the search found.
        seed: of the audit; draws of checks depend on it.
        unlabelled: the labels are the model's own predictions.
        strata: class of every row of the source that the samples were drawn from.
        walk: by decisions alone, after the search.
        walked: whether such a walk was given all samples in some norm.
        made_for: what searches found for references, by name.
        facts: what the search came to, with accuracy under noise.
        forms: what deployed forms make of the samples, by name.
        before: the checks that were made, by name.
    """

    classifier: Classifier
    result: SearchResult
    seed: int
    unlabelled: bool = False
    strata: NDArray[Any] | None = None
    walk: Walk | None = None
    walked: bool = False
    made_for: Mapping[str, SearchResult] = field(default_factory=dict)
    facts: NormFacts | None = None
    forms: Mapping[str, DeployedRows] = field(default_factory=dict)
    before: Mapping[str, Check] = field(default_factory=dict)

    def found(self, most: int) -> I64:
        """Positions of so many samples with an example at most, evenly spread."""
        return spread(np.flatnonzero(self.result.found), most)

    def fooled(self, at: I64, points: F32) -> Mask:
        """Which points ``[M, D]`` are the mistake wanted of the samples at these positions.

        What the model gives no numbers for is none.
        """
        wrong = self.result.reached(own_labels(self.classifier, points), at)
        some = np.flatnonzero(wrong)
        if len(some):
            wrong[some] = np.isfinite(logits_of(self.classifier, points[some])).all(axis=1)
        return wrong


def noisy_blocks(
    predictor: Predictor, chosen: Mask, seed: int, norm: SearchedNorm
) -> Iterator[tuple[I64, F32]]:
    """Blocks of the chosen samples: positions ``[B]``, and for each a random direction of length 1."""
    draw = np.random.default_rng((seed, 1))
    for block in blocks(chosen):
        yield block, directions(draw, predictor, len(block), norm=norm)
