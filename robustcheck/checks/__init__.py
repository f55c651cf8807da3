"""Signs that a number cannot be trusted, and the control that every distance is read against.

Each check is one question about the data, the model or the search that the figures alone do not answer. A
check that cannot be made is there as SKIP with the reason. ``_data`` asks whether the data fit the model,
``_stable`` whether an answer is a sample's own, ``_search`` whether the search found what there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.checks import _data, _search, _stable
from robustcheck.checks._data import better_than_chance, filling
from robustcheck.checks._shared import noisy_blocks
from robustcheck.checks._stable import stability
from robustcheck.models import Classifier, Predictor, own_labels
from robustcheck.noise import moved
from robustcheck.results import CHECKS, Check, CurvePoint, SearchResult, Status

__all__ = ["better_than_chance", "filling", "noise_curve", "run_checks", "skipped", "stability"]

_NOISE_POINTS = 17


def run_checks(
    classifier: Classifier,
    result: SearchResult,
    *,
    seed: int,
    unlabelled: bool = False,
    strata: NDArray[Any] | None = None,
) -> list[Check]:
    """All checks of what a search found for a model, in the order of ``CHECKS``.

    ``unlabelled``: the labels are the model's own predictions; ``strata``: class of every row of the source
    that the samples were drawn from.
    """
    none = Check(id="labels", outcome="SKIP", detail="the labels are the model's own predictions")
    stable = _stable.stable(classifier, result)
    return [
        none if unlabelled else _data.labels(classifier, result),
        _data.inputs(classifier, result),
        _data.sample(result, strata),
        stable,
        _search.search(result, stable=stable.outcome == "PASS"),
        _search.budget(result),
        _search.verified(classifier, result),
        _search.gradient(classifier, result),
        _search.noise(classifier, result, seed),
        _search.eight_bit(classifier, result),
    ]


def skipped(reason: str) -> list[Check]:
    """All checks as not run."""
    return [Check(id=name, outcome="SKIP", detail=reason) for name in CHECKS]


def noise_curve(
    predictor: Predictor, result: SearchResult, curve: list[CurvePoint], *, seed: int
) -> list[CurvePoint]:
    """Accuracy on Gaussian noise of each L2 length, clipped to the box: what chance does at that radius.

    One direction a sample, the same at every length; 17 lengths over the range of ``curve``.
    """
    radii = np.linspace(0.0, curve[-1].l2, _NOISE_POINTS)
    finite = ~result.is_(Status.NON_FINITE)
    right = np.zeros(len(radii))
    for block, direction in noisy_blocks(predictor, finite, seed):
        rows, label = result.rows[block], result.label[block]
        for at, radius in enumerate(radii):
            right[at] += np.sum(own_labels(predictor, moved(predictor, rows, radius * direction)) == label)
    return [
        CurvePoint(float(radius), float(hits / finite.sum()))
        for radius, hits in zip(radii, right, strict=True)
    ]
