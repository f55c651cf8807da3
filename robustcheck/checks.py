"""Signs that a number cannot be trusted, and the control that every distance is read against.

Each check is one question about the search or the data that the figures alone do not answer. A check that
cannot be made is there as SKIP with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.measures import count, last_doubling
from robustcheck.models import Classifier, own_labels
from robustcheck.results import CHECKS, Check, CurvePoint, SearchResult, Status
from robustcheck.text import percent

Rows = NDArray[np.float32]

_BLOCK = 1024
_NOISE_POINTS = 17
# samples whose gradient is looked at
_GRADIENTS = 128

# limits, each between "nothing to see" and "this figure says little"
_FOUND_FAIL, _FOUND_WARN = 0.95, 1.0
_DOUBLING_WARN, _DOUBLING_FAIL = 0.01, 0.1
_NOISE_WARN, _NOISE_FAIL = 0.1, 0.5
_FLAT_WARN, _FLAT_FAIL = 0.0, 0.1
_EIGHT_BIT_WARN = 0.25


def run_checks(
    classifier: Classifier, result: SearchResult, *, seed: int, unlabelled: bool = False
) -> list[Check]:
    """All checks of what a search found for a model, in the order of ``CHECKS``.

    ``unlabelled``: the labels are the model's own predictions.
    """
    none = Check(id="labels", outcome="SKIP", detail="the labels are the model's own predictions")
    return [
        none if unlabelled else _labels(classifier, result),
        _search(result),
        _budget(result),
        _verified(classifier, result),
        _gradient(classifier, result),
        _noise(classifier, result, seed),
        _eight_bit(classifier, result),
    ]


def skipped(reason: str) -> list[Check]:
    """All checks as not run."""
    return [Check(id=name, outcome="SKIP", detail=reason) for name in CHECKS]


def noise_curve(
    classifier: Classifier, result: SearchResult, curve: list[CurvePoint], *, seed: int
) -> list[CurvePoint]:
    """Accuracy on Gaussian noise of each L2 length, clipped to the box: what chance does at that radius.

    One direction a sample, the same at every length; 17 lengths over the range of ``curve``.
    """
    radii = np.linspace(0.0, curve[-1].l2, _NOISE_POINTS)
    finite = ~result.is_(Status.NON_FINITE)
    right = np.zeros(len(radii))
    for rows, direction, label in _noisy_blocks(classifier, result, finite, seed):
        for at, radius in enumerate(radii):
            right[at] += np.sum(own_labels(classifier, _moved(classifier, rows, radius * direction)) == label)
    return [
        CurvePoint(float(radius), float(hits / finite.sum()))
        for radius, hits in zip(radii, right, strict=True)
    ]


def _noisy_blocks(
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


def _moved(classifier: Classifier, rows: Rows, perturbation: Rows) -> Rows:
    lower, upper = classifier.bounds(rows)
    moved: Rows = np.clip(rows + perturbation, lower, upper).astype(np.float32)
    return moved


def _labels(classifier: Classifier, result: SearchResult) -> Check:
    counts = count(result)
    tried = counts.correct + counts.already_wrong
    detail = f"{counts.correct} of {tried} samples are classified right"
    if classifier.classes < 3 or counts.correct > 2 * tried / classifier.classes:
        return Check(id="labels", outcome="PASS", detail=detail)
    return Check(
        id="labels",
        outcome="FAIL",
        detail=f"only {detail}, about what chance would give: do the labels, the order of the classes and "
        "the range of the data fit the model?",
    )


def _search(result: SearchResult) -> Check:
    counts = count(result)
    share = counts.found / counts.correct
    detail = f"an example was found for {counts.found} of {counts.correct} samples"
    if share < _FOUND_WARN:
        detail += ", while the whole box was allowed: the budget may be too small, or gradients masked"
    return Check(id="search", outcome=_graded(-share, -_FOUND_WARN, -_FOUND_FAIL), detail=detail)


def _budget(result: SearchResult) -> Check:
    fell = last_doubling(result).value
    if fell is None:
        return Check(id="budget", outcome="SKIP", detail="the method does not tell what half the budget gave")
    detail = f"the last doubling of the budget shortened the median L2 by {percent(fell)}"
    return Check(id="budget", outcome=_graded(fell, _DOUBLING_WARN, _DOUBLING_FAIL), detail=detail)


def _verified(classifier: Classifier, result: SearchResult) -> Check:
    """Every stored example once more, as a reader of ``samples.npz`` would classify it."""
    found = result.found
    if not found.any():
        return Check(id="verified", outcome="SKIP", detail="there is no example to classify")
    now = result.label.copy()
    now[found] = own_labels(classifier, result.adversarial[found].reshape(int(found.sum()), -1))
    wrong = result.reached(now)[found]
    detail = f"{int(wrong.sum())} of {len(wrong)} stored examples are misclassified by the plain model"
    return Check(id="verified", outcome="PASS" if wrong.all() else "FAIL", detail=detail)


def _gradient(classifier: Classifier, result: SearchResult) -> Check:
    """Gradients of the margin at the samples; where they vanish a search cannot see (masked gradients)."""
    where = np.flatnonzero(result.correct)[:_GRADIENTS]
    rows = tf.constant(result.input[where].reshape(len(where), -1))
    label = tf.constant(result.label[where].astype(np.int32))
    untargeted = tf.fill([len(where)], -1)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        margin = numerics.adversarial_margin(classifier.logits(rows), label, untargeted)
    zero = tf.UnconnectedGradients.ZERO
    slope = tape.gradient(margin, rows, unconnected_gradients=zero).numpy()[:, classifier.free]
    flat = float(np.mean(~np.isfinite(slope).all(axis=1) | ~slope.any(axis=1)))
    detail = f"the gradient vanishes or is not finite at {percent(flat)} of {len(where)} samples"
    return Check(id="gradient", outcome=_graded(flat, _FLAT_WARN, _FLAT_FAIL), detail=detail)


def _noise(classifier: Classifier, result: SearchResult, seed: int) -> Check:
    """Whether noise as long as each example fools the model as well: then the search found nothing."""
    if not result.found.any():
        return Check(id="noise", outcome="SKIP", detail="there is no example to compare with")
    lengths = result.l2[result.found].astype(np.float32)
    hits = done = 0
    for rows, direction, label in _noisy_blocks(classifier, result, result.found, seed):
        perturbation = lengths[done : done + len(rows), None] * direction
        hits += int(np.sum(own_labels(classifier, _moved(classifier, rows, perturbation)) != label))
        done += len(rows)
    share = hits / done
    detail = f"random noise as long as each example fools the model for {percent(share)} of the samples"
    return Check(id="noise", outcome=_graded(share, _NOISE_WARN, _NOISE_FAIL), detail=detail)


def _eight_bit(classifier: Classifier, result: SearchResult) -> Check:
    """How many examples survive being stored as 8 bit integers over the box."""
    lower, upper, free = classifier.lower, classifier.upper, classifier.free
    if not result.found.any() or not (np.isfinite(lower[free]).all() and np.isfinite(upper[free]).all()):
        reason = "there is no example" if not result.found.any() else "the box has infinite sides"
        return Check(id="eight_bit", outcome="SKIP", detail=reason)
    points = result.adversarial[result.found].reshape(int(result.found.sum()), -1).copy()
    step = np.where(upper[free] > lower[free], (upper[free] - lower[free]) / 255, 1.0).astype(np.float32)
    points[:, free] = lower[free] + np.rint((points[:, free] - lower[free]) / step) * step
    share = float(np.mean(own_labels(classifier, points) != result.label[result.found]))
    detail = f"{percent(share)} of the examples stay misclassified when rounded to 256 levels of the box"
    return Check(id="eight_bit", outcome="PASS" if share >= _EIGHT_BIT_WARN else "WARN", detail=detail)


def _graded(value: float, warn: float, fail: float) -> Literal["PASS", "WARN", "FAIL"]:
    return "FAIL" if value > fail else "WARN" if value > warn else "PASS"
