"""Whether random noise fools the model where the example is, or nearer: then the search found nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustcheck.checks._given import Given, noisy_blocks
from robustcheck.models import Predictor, own_labels
from robustcheck.noise import directions, moved
from robustcheck.results import POINTS, Check, Point, SearchResult, Status, judged, not_asked
from robustcheck.text import percent

# draws in all on some samples, in shares of what the search asked of the model, and in shares of the distance
_DRAWS, _SAMPLES, _EFFORT, _NEARER = 10_000, 20, 0.05, 0.95
# a gradient is about so many forward passes
_A_GRADIENT = 3
# of these samples that a draw may fool before the search is taken to have found nothing
_FOOLED = 0.05
_CURVE_POINTS = 17


def noise(given: Given) -> Check:
    """A draw as long as each example, and many that are shorter on some samples."""
    result = given.result
    if not result.found.any():
        return not_asked("noise", "there is no example to compare with")
    lengths, fooled = result.distance.astype(np.float32), np.zeros(len(result), bool)
    for block, direction in noisy_blocks(given.classifier, result.found, given.seed, result.norm):
        noisy = moved(given.classifier, result.rows[block], lengths[block, None] * direction)
        fooled[block] = given.fooled(block, noisy)
    share = float(np.mean(fooled[result.found]))
    detail = f"random noise as long as each example fools the model for {percent(share)} of the samples"
    draws, hits = _nearer(given)
    detail += f"; of {draws} draws of {_NEARER} of that length about {len(hits)} samples {int(hits.sum())} do"
    check = judged("noise", share, detail)
    hit = float(np.mean(hits > 0))
    if hit > _FOOLED:
        return judged("noise", 1.0, detail)
    return Check(id="noise", outcome="WARN", detail=detail) if hit and check.outcome == "PASS" else check


def _nearer(given: Given) -> tuple[int, NDArray[np.int64]]:
    """Draws of noise that is shorter than the example, and how many fool each of some samples."""
    result, at = given.result, given.found(_SAMPLES)
    asked = _A_GRADIENT * result.gradient_evaluations.sum() + result.forward_evaluations.sum()
    each = max(int(min(_DRAWS, _EFFORT * asked)) // len(at), 1)
    draw = np.random.default_rng((given.seed, 2))
    hits = np.zeros(len(at), np.int64)
    for number, position in enumerate(at):
        r = np.float32(_NEARER * result.distance[position]) * directions(
            draw, given.classifier, each, norm=result.norm
        )
        where = np.full(each, position)
        hits[number] = given.fooled(where, moved(given.classifier, result.rows[where], r)).sum()
    return each * len(at), hits


def noise_curve(predictor: Predictor, result: SearchResult, curve: list[Point], *, seed: int) -> list[Point]:
    """Accuracy on random noise of each length, clipped to the box: what chance does at that radius.

    One direction a sample, the same at every length; 17 lengths over the range of ``curve``.
    """
    radii = np.linspace(0.0, curve[-1].radius, _CURVE_POINTS)
    finite = ~result.is_(Status.NON_FINITE)
    right = np.zeros(len(radii))
    for block, direction in noisy_blocks(predictor, finite, seed, result.norm):
        rows, label = result.rows[block], result.label[block]
        for at, radius in enumerate(radii):
            right[at] += np.sum(own_labels(predictor, moved(predictor, rows, radius * direction)) == label)
    return [
        POINTS[result.norm](float(radius), float(hits / finite.sum()))
        for radius, hits in zip(radii, right, strict=True)
    ]
