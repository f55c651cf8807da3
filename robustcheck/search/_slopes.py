"""Whether a classifier's gradient is that of its scores, held against their differences.

A gradient that is stopped, replaced or lost leaves a search to find what it comes upon by chance (masked
gradients: Athalye, Carlini and Wagner 2018, arXiv:1802.00420). Along random directions the scores themselves
tell what the gradient should be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.models import Classifier, Slope, logits_of
from robustcheck.search._constraint import margin_slope

# steps of the differences, in shares of the range of each feature: rounding hides what is small, and large
# ones are bent
STEPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
_DIRECTIONS, _SEED = 6, 7
# a gradient that is further from the differences at every step is none; honest models are within 0.25
MISLEADS = 0.4
# which of the steps is a thousandth; slopes that fit at smaller ones alone, and so many times as steep there,
# lead nowhere
_COARSE = 2
SHATTERS = 3.0
# twice the length of the larger is as far as two of them can be apart
_MOST_OFF = 2.0
# a gradient is taken instead of the declared one if it is that much nearer to the differences
_NEARER = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """How far slopes are from differences of the scores, at steps ``S`` and samples ``N``.

    Attributes:
        apart: distance of the two over the length of the larger, ``[S, N]``; infinite where there is none.
        steepness: root mean square of the differences over the step, ``[S, N]``.
        with_it: inner product of both over the length of the differences squared, ``[S, N]``.
    """

    apart: F64
    steepness: F64
    with_it: F64

    @property
    def off(self) -> float:
        """Median over the samples of the distance at the step where it is least."""
        return float(np.median(np.minimum(self.apart.min(axis=0), _MOST_OFF)))

    @property
    def shattered(self) -> float:
        """How many times as steep the scores are where the slopes fit as at steps of a thousandth; median.

        1 where they fit at such steps or at larger ones.
        """
        fits = int(np.median(self.apart, axis=1).argmin())
        coarse = np.maximum(self.steepness[_COARSE], np.finfo(float).tiny)
        return float(np.median(self.steepness[fits] / coarse)) if fits > _COARSE else 1.0

    @property
    def misleads(self) -> bool:
        """Whether the gradient does not show where the scores fall."""
        return self.off > MISLEADS or self.shattered > SHATTERS

    @property
    def fault(self) -> str:
        """What is wrong, in a word or two."""
        best = self.apart.argmin(axis=0), np.arange(self.apart.shape[1])
        along = float(np.median(self.with_it[best]))
        if self.off <= MISLEADS:
            return "shattered" if self.shattered > SHATTERS else "right"
        if np.abs(along) < 1e-3 and self.off > 0.99:
            return "missing" if np.median(np.abs(self.with_it)) < 1e-6 else "too small or too large"
        return "of the wrong sign" if along < -0.5 else "wrong, noisy or missing in part"


def agreement(classifier: Classifier, rows: F32) -> Agreement:
    """Compare the slopes that searches follow with differences of the scores at rows ``[N, D]``."""
    width = classifier.upper - classifier.lower
    width = np.where(classifier.free, np.where(np.isfinite(width), width, 1.0), 0.0).astype(np.float32)
    compared = [_compared(classifier, rows, width, step) for step in STEPS]
    apart, steepness, with_it = (np.stack(part) for part in zip(*compared, strict=True))
    return Agreement(apart=apart, steepness=steepness, with_it=with_it)


def _compared(classifier: Classifier, rows: F32, width: F32, step: float) -> tuple[F64, F64, F64]:
    """At one step: how far apart, how steep, how much of the differences the slopes have; each ``[N]``."""
    lower, upper = classifier.bounds(rows)
    inside = np.clip(rows, lower + step * width, upper - step * width).astype(np.float32)
    scores = logits_of(classifier, inside)
    label = scores.argmax(axis=1)
    slope = margin_slope(classifier, inside, label, np.full(len(rows), -1)).astype(np.float64)
    np.put_along_axis(scores, label[:, None], -np.inf, axis=1)
    target = scores.argmax(axis=1)
    draw = np.random.default_rng(_SEED)
    differences, expected = np.zeros((2, _DIRECTIONS, len(rows)))
    for number in range(_DIRECTIONS):
        move = step * width * draw.choice(np.array([-1, 1], np.float32), size=rows.shape)
        # clipped, since rounding may lead out of the box
        ahead, behind = (np.clip(point, lower, upper) for point in (inside + move, inside - move))
        differences[number] = _margin(classifier, ahead, label, target) - _margin(
            classifier, behind, label, target
        )
        with np.errstate(invalid="ignore", over="ignore"):
            expected[number] = np.einsum("nd,nd->n", slope, ahead.astype(np.float64) - behind)
    with np.errstate(invalid="ignore", over="ignore"):
        true, declared = (np.sqrt(np.sum(part**2, axis=0)) for part in (differences, expected))
        larger = np.maximum(np.maximum(true, declared), np.finfo(float).tiny)
        apart = np.sqrt(np.sum((differences - expected) ** 2, axis=0)) / larger
        along = np.sum(differences * expected, axis=0) / np.maximum(true**2, np.finfo(float).tiny)
    # where neither has a slope they do not agree, they say nothing
    says = np.isfinite(apart) & ((true > 0) | (declared > 0))
    return np.where(says, apart, np.inf), np.nan_to_num(true / step), np.nan_to_num(along)


def _margin(classifier: Classifier, rows: F32, label: I64, target: I64) -> F64:
    scores = logits_of(classifier, rows).astype(np.float64)
    at = np.arange(len(rows))
    margin: F64 = scores[at, label] - scores[at, target]
    return margin


def best_slope(classifier: Classifier, rows: F32) -> Slope:
    """The gradient that searches should follow, judged at rows ``[N, D]``.

    The declared one, unless it misleads and that of what is computed is nearer to the differences.
    """
    declared = agreement(classifier.by("declared"), rows)
    if not declared.misleads:
        return "declared"
    try:
        computed = agreement(classifier.by("computed"), rows)
    except Exception:
        # a graph that cannot be made again: what is declared is all there is
        return "declared"
    return "computed" if computed.off < _NEARER * declared.off else "declared"
