"""Examples that can be stored in 8 bits, near those that were found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, F64, I64, Mask, blocks
from robustcheck.levels import has_levels, levels_between, values_of
from robustcheck.models import Classifier, logits_of, own_labels, own_labels_singly
from robustcheck.norms import NORMS
from robustcheck.results import SearchResult

# (how far on the way to the example, part of a step that is made whole), from plain rounding on: further out,
# where rounding undid the example; and less than half a step made whole, where all of its steps are small
_TRIES = (
    *((scale, 0.5) for scale in (1, 1.002, 1.005, 1.01, 1.02, 1.03, 1.04, 1.05, 1.07, 1.1, 1.15, 1.2, 1.3)),
    *((scale, 0.5) for scale in (1.5, 2, 3)),
    *((scale, part) for scale in (1, 1.05, 1.2, 1.5, 2.5) for part in (0.4, 0.3, 0.2, 0.1, 0.05)),
)


def on_levels(classifier: Classifier, result: SearchResult) -> SearchResult:
    """The result with the nearest example of each sample that was found on 256 levels of the box.

    Rounding is no search: what is tried are points a little further out and other ways to round, 41 of them,
    each a forward evaluation, and only while it could be nearer. Nothing is done where the box has infinite
    sides.
    """
    distance, scale, threshold = np.full((3, len(result)), np.nan)
    if has_levels(classifier.lower, classifier.upper, classifier.free):
        distance[result.correct] = np.inf
        for block in blocks(result.found):
            distance[block], scale[block], threshold[block] = _nearest(classifier, result, block)
    return replace(result, distance8=distance, scale8=scale, threshold8=threshold)


def _nearest(classifier: Classifier, result: SearchResult, block: I64) -> tuple[F64, F64, F64]:
    best = np.full(len(block), np.inf)
    scale, threshold = np.full((2, len(block)), np.nan)
    for far, part in _TRIES:
        points = _points(classifier, result, block, far, part)
        rows = result.rows[block]
        length = NORMS[result.norm].distance(rows, points, classifier.features, classifier.cost)
        nearer = np.flatnonzero(length < best)
        if not len(nearer):
            continue
        nearer = nearer[_holds(classifier, result, block[nearer], points[nearer])]
        best[nearer], scale[nearer], threshold[nearer] = length[nearer], far, part
    return best, scale, threshold


def example_levels(classifier: Classifier, result: SearchResult, at: I64) -> NDArray[np.uint8]:
    """The levels ``[M, D]`` of the examples on levels of samples at these positions that have one."""
    return _levels(classifier, result, at, result.scale8[at], result.threshold8[at])


def _levels(
    classifier: Classifier, result: SearchResult, at: I64, scale: float | F64, threshold: float | F64
) -> NDArray[np.uint8]:
    box = classifier.lower, classifier.upper
    return levels_between(result.rows[at], result.points[at], *box, scale, threshold)


def _points(
    classifier: Classifier, result: SearchResult, at: I64, scale: float | F64, threshold: float | F64
) -> F32:
    rows, lower, upper = result.rows[at], classifier.lower, classifier.upper
    levels = _levels(classifier, result, at, scale, threshold)
    # what may not change stays as it is, on a level or not
    return np.where(classifier.free, values_of(levels, lower, upper), rows)


def _holds(classifier: Classifier, result: SearchResult, at: I64, points: F32) -> Mask:
    """Which points are the wanted mistake, in a batch and alone."""
    now = own_labels(classifier, points)
    holds: Mask = result.reached(now, at) & np.isfinite(logits_of(classifier, points)).all(axis=1)
    some = np.flatnonzero(holds)
    if len(some):
        holds[some] = own_labels_singly(classifier, points[some]) == now[some]
    return holds
