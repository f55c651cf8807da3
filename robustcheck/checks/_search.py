"""Whether the search found what there is to find."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import blocks
from robustcheck.checks._limits import LIMITS
from robustcheck.checks._shared import graded, noisy_blocks
from robustcheck.levels import has_levels
from robustcheck.measures import count, last_doubling
from robustcheck.models import Classifier, Predictor, own_labels
from robustcheck.noise import moved
from robustcheck.results import Check, SearchResult
from robustcheck.text import percent


def search(result: SearchResult, *, stable: bool) -> Check:
    """Whether every sample has an example; ``stable``: whether the model gives the same answer twice."""
    counts = count(result)
    share = counts.found / counts.correct
    detail = f"an example was found for {counts.found} of {counts.correct} samples"
    if share < LIMITS.found_warn:
        why = "the budget may be too small, or gradients masked"
        why = (
            why if stable else "the model's answers change (see the check stable), so none can be held on to"
        )
        detail += f", while the whole box was allowed: {why}"
    return Check(id="search", outcome=graded(-share, -LIMITS.found_warn, -LIMITS.found_fail), detail=detail)


def budget(result: SearchResult) -> Check:
    """Whether a larger budget would find shorter distances."""
    fell = last_doubling(result).value
    if fell is None:
        return Check(id="budget", outcome="SKIP", detail="the method does not tell what half the budget gave")
    detail = f"the last doubling of the budget shortened the median distance by {percent(fell)}"
    if fell > LIMITS.doubling_warn:
        detail += ", so twice as much of it may well shorten it by about half of that again"
    return Check(id="budget", outcome=graded(fell, LIMITS.doubling_warn, LIMITS.doubling_fail), detail=detail)


def verified(predictor: Predictor, result: SearchResult) -> Check:
    """Every stored example once more, as a reader of ``samples.npz`` would classify it."""
    found = result.found
    if not found.any():
        return Check(id="verified", outcome="SKIP", detail="there is no example to classify")
    now = result.label.copy()
    for block in blocks(found):
        now[block] = own_labels(predictor, result.points[block])
    wrong = result.reached(now)[found]
    detail = f"{int(wrong.sum())} of {len(wrong)} stored examples are misclassified by the plain model"
    return Check(id="verified", outcome="PASS" if wrong.all() else "FAIL", detail=detail)


def noise(predictor: Predictor, result: SearchResult, seed: int) -> Check:
    """Whether noise as long as each example fools the model as well: then the search found nothing."""
    if not result.found.any():
        return Check(id="noise", outcome="SKIP", detail="there is no example to compare with")
    lengths, now = result.distance.astype(np.float32), result.label.copy()
    for block, direction in noisy_blocks(predictor, result.found, seed, result.norm):
        noisy = moved(predictor, result.rows[block], lengths[block, None] * direction)
        now[block] = own_labels(predictor, noisy)
    share = float(np.mean(result.reached(now)[result.found]))
    detail = f"random noise as long as each example fools the model for {percent(share)} of the samples"
    return Check(id="noise", outcome=graded(share, LIMITS.noise_warn, LIMITS.noise_fail), detail=detail)


def eight_bit(classifier: Classifier, result: SearchResult) -> Check:
    """How many samples have an example that can be stored as 8-bit integers over the box."""
    if not result.found.any() or not has_levels(classifier.lower, classifier.upper, classifier.free):
        reason = "there is no example" if not result.found.any() else "the box has infinite sides"
        return Check(id="eight_bit", outcome="SKIP", detail=reason)
    at = np.flatnonzero(result.found)
    if np.isnan(result.distance8[at]).all():
        return Check(id="eight_bit", outcome="SKIP", detail="examples on 256 levels were not looked for")
    there = np.isfinite(result.distance8[at])
    rounded = float(np.mean(there & (result.scale8[at] == 1) & (result.threshold8[at] == 0.5)))
    share = float(there.mean())
    detail = f"{percent(share)} of the examples have one on 256 levels of the box beside them"
    if there.any():
        longer = np.median(result.distance8[at][there]) / np.median(result.distance[at][there]) - 1.0
        detail += f", {percent(max(float(longer), 0.0))} longer in the median; rounding alone gives "
        detail += f"{percent(rounded)} of them"
    return Check(id="eight_bit", outcome="PASS" if share >= LIMITS.eight_bit_warn else "WARN", detail=detail)
