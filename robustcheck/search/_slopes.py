"""Whether a classifier's gradient is that of its scores, held against their differences.

A gradient that is stopped, replaced or lost leaves a search to find what it comes upon by chance (masked
gradients: Athalye, Carlini and Wagner 2018, arXiv:1802.00420). Along random directions the scores themselves
tell what the gradient should be.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.models import Classifier, Slope, logits_of
from robustcheck.search._constraint import slope_towards

# steps of the differences, in shares of the range of each feature, in the order in which they are tried:
# rounding hides what is small, and large ones are bent
_STEPS = (1e-2, 1e-3, 1e-1, 1e-4, 1e-5)
_DIRECTIONS, _SEED = 6, 7
# a gradient that is further from the differences at every step is none; honest models are within 0.25
MISLEADS = 0.4
# slopes that agree so well at a step need no other
_AGREES = 0.25
# slopes that fit at steps below this alone, and are so many times as steep there as at it, lead nowhere
_COARSE = 1e-3
SHATTERS = 3.0
# twice the length of the larger is as far as two of them can be apart
_MOST_OFF = 2.0
# a gradient is taken instead of the declared one if it is that much nearer to the differences
_NEARER = 0.9
# slopes with such a cosine differ in length alone; those that are so short are none
_ALIKE, _NOTHING = 0.9, 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """How far slopes are from differences of the scores, at steps ``S`` and samples ``N``.

    Attributes:
        steps: in shares of the range of each feature, ``[S]``; those that it took to tell.
        apart: distance of the two over the length of the larger, ``[S, N]``; infinite where there is none.
        steepness: root mean square of the differences over the step, ``[S, N]``.
        cosine: of the two, ``[S, N]``; 0 where one is zero.
        ratio: length of the slopes over that of the differences, ``[S, N]``.
    """

    steps: F64
    apart: F64
    steepness: F64
    cosine: F64
    ratio: F64

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
        if self.steps[fits] >= _COARSE:
            return 1.0
        coarse = self.steepness[self.steps.tolist().index(_COARSE)]
        return float(np.median(self.steepness[fits] / np.maximum(coarse, np.finfo(float).tiny)))

    @property
    def misleads(self) -> bool:
        """Whether the gradient does not show where the scores fall."""
        return self.off > MISLEADS or self.shattered > SHATTERS

    @property
    def fault(self) -> str:
        """What is wrong, in a word or two."""
        if self.off <= MISLEADS:
            return "shattered" if self.shattered > SHATTERS else "right"
        best = self.apart.argmin(axis=0), np.arange(self.apart.shape[1])
        cosine, ratio = (float(np.median(values[best])) for values in (self.cosine, self.ratio))
        if cosine > _ALIKE:
            return "too small" if ratio < 1 else "too large"
        if ratio < _NOTHING:
            return "missing"
        return "of the wrong sign" if cosine < -_ALIKE else "wrong, noisy or missing in part"


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """The gradient that searches should follow, and how it and the declared one agree with the scores."""

    slope: Slope
    declared: Agreement
    followed: Agreement


# what was chosen last for each classifier, with the digest of the rows
_last: WeakKeyDictionary[Classifier, tuple[str, Chosen]] = WeakKeyDictionary()


def agreement(classifier: Classifier, rows: F32) -> Agreement:
    """Compare the slopes that searches follow with differences of the scores at rows ``[N, D]``."""
    width = classifier.upper - classifier.lower
    width = np.where(classifier.free, np.where(np.isfinite(width), width, 1.0), 0.0).astype(np.float32)
    compared: list[tuple[F64, F64, F64, F64]] = []
    for step in _STEPS:
        compared.append(_compared(classifier, rows, width, step))
        if np.median(compared[-1][0]) <= _AGREES:
            break
    apart, steepness, cosine, ratio = (np.stack(part) for part in zip(*compared, strict=True))
    steps = np.array(_STEPS[: len(compared)])
    return Agreement(steps=steps, apart=apart, steepness=steepness, cosine=cosine, ratio=ratio)


def _compared(classifier: Classifier, rows: F32, width: F32, step: float) -> tuple[F64, F64, F64, F64]:
    """The columns of an :class:`Agreement` at one step, each ``[N]``."""
    lower, upper = classifier.bounds(rows)
    inside = np.clip(rows, lower + step * width, upper - step * width).astype(np.float32)
    scores = logits_of(classifier, inside)
    label = scores.argmax(axis=1)
    np.put_along_axis(scores, label[:, None], -np.inf, axis=1)
    target = scores.argmax(axis=1)
    slope = slope_towards(classifier, inside, label, target, np.full_like(label, -1)).astype(np.float64)
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
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        true, sloped = (np.sqrt(np.sum(part**2, axis=0)) for part in (differences, expected))
        apart = np.sqrt(np.sum((differences - expected) ** 2, axis=0)) / np.maximum(true, sloped)
        cosine = np.sum(differences / true * (expected / sloped), axis=0)
        ratio = sloped / true
    # where neither has a slope they do not agree, they say nothing
    apart = np.where(np.isfinite(apart), apart, np.inf)
    return apart, np.nan_to_num(true / step), np.nan_to_num(cosine), np.nan_to_num(ratio)


def _margin(classifier: Classifier, rows: F32, label: I64, target: I64) -> F64:
    scores = logits_of(classifier, rows).astype(np.float64)
    at = np.arange(len(rows))
    margin: F64 = scores[at, label] - scores[at, target]
    return margin


def choose_slope(classifier: Classifier, rows: F32) -> Chosen:
    """Which gradient searches should follow, judged at rows ``[N, D]``.

    The declared one, unless it misleads and that of what is computed is nearer to the differences.
    """
    asked = hashlib.blake2b(np.ascontiguousarray(rows).tobytes(), digest_size=16).hexdigest()
    # a search asks, and the checks of what it found ask again
    known = _last.get(classifier)
    if known is None or known[0] != asked:
        known = asked, _chosen(classifier, rows)
        _last[classifier] = known
    return known[1]


def _chosen(classifier: Classifier, rows: F32) -> Chosen:
    declared = agreement(classifier.by("declared"), rows)
    as_it_is = Chosen(slope="declared", declared=declared, followed=declared)
    if not declared.misleads:
        return as_it_is
    try:
        computed = agreement(classifier.by("computed"), rows)
    except Exception:
        # a graph that cannot be made again: what is declared is all there is
        return as_it_is
    if computed.off >= _NEARER * declared.off:
        return as_it_is
    return Chosen(slope="computed", declared=declared, followed=computed)
