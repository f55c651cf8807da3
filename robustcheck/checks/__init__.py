"""Signs that a number cannot be trusted, and the control that every distance is read against.

Each check is one question about the data, the model or the search that the figures alone do not answer. A
check that cannot be made is there as SKIP with the reason. ``_data`` asks whether the data fit the model,
``_stable`` whether an answer is a sample's own, ``_search`` whether the search found what there is,
``_gradient`` and ``_gradient_free`` whether it was misled, ``_nearer`` whether something else is nearer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.checks import _data, _nearer, _search, _stable
from robustcheck.checks._data import better_than_chance, filling
from robustcheck.checks._gradient import gradient
from robustcheck.checks._gradient_free import gradient_free
from robustcheck.checks._limits import LIMITS
from robustcheck.checks._shared import noisy_blocks
from robustcheck.checks._stable import require_own_rows, stability
from robustcheck.config import SearchedNorm
from robustcheck.models import Classifier, Predictor, own_labels
from robustcheck.noise import moved
from robustcheck.norms import NORMS
from robustcheck.remedies import Walk
from robustcheck.results import CHECKS, POINTS, Check, Point, SearchResult, Status

__all__ = [
    "LIMITS",
    "better_than_chance",
    "filling",
    "noise_curve",
    "require_own_rows",
    "run_checks",
    "skipped",
    "stability",
]

_NOISE_POINTS = 17
# what is worse comes later; a check that could not be made is worse than one that passed
_GRAVITY = ("PASS", "SKIP", "WARN", "FAIL")


def run_checks(
    classifier: Classifier,
    results: Sequence[SearchResult],
    *,
    seed: int,
    unlabelled: bool = False,
    strata: NDArray[Any] | None = None,
    walks: Mapping[SearchedNorm, Walk] | None = None,
    made_for: Mapping[str, SearchResult] | None = None,
) -> list[Check]:
    """All checks of what searches found for a model, one a norm, in the order of ``CHECKS``.

    ``unlabelled``: the labels are the model's own predictions; ``strata``: class of every row of the source
    that the samples were drawn from; ``walks``: by decisions alone, after the search in each norm;
    ``made_for``: what searches found for references, by name.
    """
    none = Check(id="labels", outcome="SKIP", detail="the labels are the model's own predictions")
    first = results[0]
    stable = _stable.stable(classifier, first)
    walked = any(walk.given and walk.saw_more for walk in (walks or {}).values())

    def of_each(check: Callable[[SearchResult], Check]) -> Check:
        return _together([(result.norm, check(result)) for result in results])

    return [
        none if unlabelled else _data.labels(classifier, first),
        _data.inputs(classifier, first),
        _data.sample(first, strata),
        stable,
        of_each(lambda result: _search.search(result, stable=stable.outcome == "PASS")),
        of_each(_search.budget),
        of_each(lambda result: _search.verified(classifier, result)),
        _nearer.saturated(classifier, first),
        of_each(lambda result: _nearer.finite(classifier, result)),
        gradient(classifier, first, walked=walked),
        of_each(lambda result: gradient_free((walks or {}).get(result.norm))),
        of_each(lambda result: _nearer.other_class(classifier, result)),
        _nearer.transferred(classifier, first, made_for or {}),
        of_each(lambda result: _search.noise(classifier, result, seed)),
        of_each(lambda result: _search.eight_bit(classifier, result)),
    ]


def _together(found: Sequence[tuple[SearchedNorm, Check]]) -> Check:
    """A check of searches in several norms: what is worst of each, and what each says."""
    if len(found) == 1:
        return found[0][1]
    worst = max((check for _, check in found), key=lambda check: _GRAVITY.index(check.outcome))
    return replace(worst, detail="; ".join(f"{NORMS[norm].title}: {check.detail}" for norm, check in found))


def skipped(reason: str) -> list[Check]:
    """All checks as not run."""
    return [Check(id=name, outcome="SKIP", detail=reason) for name in CHECKS]


def noise_curve(predictor: Predictor, result: SearchResult, curve: list[Point], *, seed: int) -> list[Point]:
    """Accuracy on random noise of each length, clipped to the box: what chance does at that radius.

    One direction a sample, the same at every length; 17 lengths over the range of ``curve``.
    """
    radii = np.linspace(0.0, curve[-1].radius, _NOISE_POINTS)
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
