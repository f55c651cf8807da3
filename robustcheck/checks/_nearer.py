"""Whether something that needs no search shows that there is a nearer example, or that scores say nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32, I64, Mask
from robustcheck.checks._limits import LIMITS
from robustcheck.checks._shared import graded
from robustcheck.distortion import spread
from robustcheck.models import Classifier, Predictor, logits_of, own_labels
from robustcheck.norms import NORMS
from robustcheck.results import Check, SearchResult
from robustcheck.text import percent

# shares of the way from a sample to its example that scores are asked for: close together about its end
_ON_THE_WAY = (*np.linspace(0.0, 0.8, 5), *np.linspace(0.85, 1.1, 16))
# halvings of the way to another class
_HALVINGS = 8


def finite(classifier: Classifier, result: SearchResult) -> Check:
    """Whether scores are numbers on the way from samples to their examples, and a little beyond."""
    at = spread(np.flatnonzero(result.found), LIMITS.on_the_way)
    if not len(at):
        return Check(id="finite", outcome="SKIP", detail="there is no example to go to")
    x, r = result.rows[at], result.points[at] - result.rows[at]
    lower, upper = classifier.bounds(x)
    none = np.zeros(len(at), bool)
    for share in _ON_THE_WAY:
        there = np.clip(x + np.float32(share) * r, lower, upper)
        none |= ~np.isfinite(logits_of(classifier, there)).all(axis=1)
    share = float(none.mean())
    detail = f"scores are numbers on the way to all of {len(at)} examples"
    if none.any():
        detail = (
            f"scores are no numbers somewhere on the way to {percent(share)} of {len(at)} examples, and what "
            "is no number is not taken for a mistake"
        )
    return Check(id="finite", outcome="WARN" if none.any() else "PASS", detail=detail)


def other_class(classifier: Classifier, result: SearchResult) -> Check:
    """No example may be further than the boundary on the way to the nearest known sample of another class."""
    if classifier.votes is not None:
        detail = "examples of a random model lie beyond its boundary, where draws that were not seen err too"
        return Check(id="other_class", outcome="SKIP", detail=detail)
    at = spread(np.flatnonzero(result.correct), LIMITS.on_the_way)
    other, there = _nearest_of_another(result, at)
    at = at[there]
    if not len(at):
        return Check(id="other_class", outcome="SKIP", detail="all samples are of one class")
    x = result.rows[at]
    lower, upper = classifier.bounds(x)
    reached = _boundary(classifier, result, at, np.clip(result.rows[other[there]], lower, upper))
    length = NORMS[result.norm].distance(x, reached, classifier.features, classifier.cost)
    further = result.distance[at] > (1 + LIMITS.nearer_class) * length
    share = float(further.mean())
    detail = f"no distance of {len(at)} samples exceeds that to the boundary towards another class"
    if further.any():
        detail = (
            f"the boundary on the way to a sample of another class is nearer than the example of "
            f"{percent(share)} of {len(at)} samples"
        )
    return Check(id="other_class", outcome=graded(share, 0.0, LIMITS.nearer_fail), detail=detail)


def _nearest_of_another(result: SearchResult, at: I64) -> tuple[I64, Mask]:
    """The nearest sample that is right and of a class that is wanted, and where there is one."""
    right = spread(np.flatnonzero(result.correct), LIMITS.known)
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


def transferred(predictor: Predictor, result: SearchResult, made_for: Mapping[str, SearchResult]) -> Check:
    """Whether examples made for another model fool this one nearer to the sample than its own."""
    nearer = np.zeros(len(result), bool)
    for other in made_for.values():
        if other.norm != result.norm:
            continue
        shorter = np.flatnonzero(other.found & (other.distance < (1 - LIMITS.nearer) * result.distance))
        shorter = shorter[result.correct[shorter]]
        now = result.label.copy()
        if len(shorter):
            now[shorter] = own_labels(predictor, other.points[shorter])
        nearer |= result.reached(now) & (now != result.label)
    if not made_for:
        return Check(id="transferred", outcome="SKIP", detail="no reference model was attacked")
    share = float(nearer[result.correct].mean())
    detail = "no example made for a reference fools the model nearer to the sample than its own"
    if nearer.any():
        detail = (
            f"for {percent(share)} of the samples an example made for a reference is nearer than their own"
        )
    return Check(id="transferred", outcome=graded(share, 0.0, LIMITS.nearer_fail), detail=detail)


def saturated(classifier: Classifier, result: SearchResult) -> Check:
    """Whether scores are lost in rounded probabilities, or decide otherwise than the output they are of."""
    at = spread(np.flatnonzero(result.correct), LIMITS.slopes)
    if classifier.ends_in.recovered is False:
        share = float(np.mean(result.confidence_before[at] >= 1.0 - 2.0**-23)) if len(at) else 0.0
        made = "scores are made of probabilities, and those"
        detail = f"{made} of {percent(share)} of the samples are rounded to 1"
        return Check(id="saturated", outcome=graded(share, 0.0, LIMITS.flat_fail), detail=detail)
    detail = f"scores are those before any saturation that the graph shows ({classifier.head})"
    if not classifier.ends_in.left_out or classifier.votes is not None or not len(at):
        return Check(id="saturated", outcome="PASS", detail=detail)
    rows = result.rows[at]
    apart = float(np.mean(logits_of(classifier, rows).argmax(axis=1) != own_labels(classifier, rows)))
    if apart > LIMITS.otherwise:
        detail += f", but give {percent(apart)} of {len(at)} samples another class than the output"
    return Check(id="saturated", outcome=graded(apart, LIMITS.otherwise, LIMITS.flat_fail), detail=detail)
