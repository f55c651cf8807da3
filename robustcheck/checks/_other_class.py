"""Whether the boundary towards another class is nearer than the example that was found."""

from __future__ import annotations

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32, I64, Mask
from robustcheck.checks._given import ON_THE_WAY, Given
from robustcheck.distortion import spread
from robustcheck.models import Classifier, logits_of, own_labels
from robustcheck.norms import NORMS
from robustcheck.results import Check, SearchResult, judged, not_asked
from robustcheck.text import percent

# samples of other classes that are looked for
_KNOWN = 256
# halvings of the way to another class
_HALVINGS = 8
# a boundary that is found without the lead that examples have counts if it is nearer by so much
_NEARER = 0.05


def other_class(given: Given) -> Check:
    """No example may be further than the boundary on the way to the nearest known sample of another class."""
    result, classifier = given.result, given.classifier
    if classifier.votes is not None:
        reason = "examples of a random model lie beyond its boundary, where draws that were not seen err too"
        return not_asked("other_class", reason)
    at = spread(np.flatnonzero(result.correct), ON_THE_WAY)
    other, there = _nearest_of_another(result, at)
    at = at[there]
    if not len(at):
        return not_asked("other_class", "all samples are of one class")
    x = result.rows[at]
    lower, upper = classifier.bounds(x)
    reached = _boundary(classifier, result, at, np.clip(result.rows[other[there]], lower, upper))
    length = NORMS[result.norm].distance(x, reached, classifier.features, classifier.cost)
    further = result.distance[at] > (1 + _NEARER) * length
    share = float(further.mean())
    detail = f"no distance of {len(at)} samples exceeds that to the boundary towards another class"
    if further.any():
        detail = (
            f"the boundary on the way to a sample of another class is nearer than the example of "
            f"{percent(share)} of {len(at)} samples"
        )
    return judged("other_class", share, detail)


def _nearest_of_another(result: SearchResult, at: I64) -> tuple[I64, Mask]:
    """The nearest sample that is right and of a class that is wanted, and where there is one."""
    right = spread(np.flatnonzero(result.correct), _KNOWN)
    x, known = result.rows[at], result.rows[right]
    squares = np.sum(x * x, axis=1)[:, None] + np.sum(known * known, axis=1) - 2 * x @ known.T
    label, target = result.label[right], result.target[at][:, None]
    usable = np.where(target >= 0, label == target, label != result.label[at][:, None])
    return right[np.where(usable, squares, np.inf).argmin(axis=1)], usable.any(axis=1)


def _boundary(classifier: Classifier, result: SearchResult, at: I64, other: F32) -> F32:
    """Points that the model takes for another class on the way from samples to others, ``[M, D]``."""
    x = result.rows[at]
    low, high = np.zeros(len(at), np.float32), np.ones(len(at), np.float32)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        now = result.label.copy()
        there = x + middle[:, None] * (other - x)
        now[at] = own_labels(classifier, there)
        wrong = result.reached(now)[at] & _leads(classifier, result, at, there)
        low, high = np.where(wrong, low, middle), np.where(wrong, middle, high)
    return x + high[:, None] * (other - x)


def _leads(classifier: Classifier, result: SearchResult, at: I64, points: F32) -> Mask:
    """Where the mistake leads by as much as half precision needs, ``[M]``; nowhere where scores are none."""
    scores = logits_of(classifier, points)
    label, target = result.label[at].astype(np.int32), result.target[at].astype(np.int32)
    needed = numerics.needed_margin(scores, 0.0, classifier.rounding)
    leads: Mask = numerics.adversarial_margin(scores, label, target) > needed
    return leads & np.isfinite(scores).all(axis=1)
