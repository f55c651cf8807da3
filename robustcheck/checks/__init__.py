"""Signs that a number cannot be trusted, and the control that every distance is read against.

Each check is one question about the data, the model or the search that the figures alone do not answer, and a
module of the same name. What is asked and where the lines are is in ``robustcheck.results.CHECKS``; a check
that cannot be made is there as SKIP with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from robustcheck.checks._budget import budget
from robustcheck.checks._curve import curve
from robustcheck.checks._deployed import deployed
from robustcheck.checks._eight_bit import eight_bit
from robustcheck.checks._finite import finite
from robustcheck.checks._float16 import float16
from robustcheck.checks._given import GRAVITY, Given
from robustcheck.checks._gradient import gradient
from robustcheck.checks._gradient_free import gradient_free
from robustcheck.checks._inputs import filling, inputs
from robustcheck.checks._labels import better_than_chance, labels
from robustcheck.checks._noise import noise, noise_curve
from robustcheck.checks._other_class import other_class
from robustcheck.checks._png import png
from robustcheck.checks._sample import sample
from robustcheck.checks._saturated import saturated
from robustcheck.checks._search import search
from robustcheck.checks._stable import require_own_rows, stability, stable
from robustcheck.checks._starts import starts
from robustcheck.checks._transferred import transferred
from robustcheck.checks._verified import verified
from robustcheck.config import SearchedNorm
from robustcheck.models import Classifier
from robustcheck.norms import NORMS
from robustcheck.remedies import Walk
from robustcheck.results import CHECKS, Check, DeployedRows, NormFacts, SearchResult, not_asked

__all__ = [
    "better_than_chance",
    "filling",
    "noise_curve",
    "require_own_rows",
    "run_checks",
    "skipped",
    "stability",
]

_ASK: Mapping[str, Callable[[Given], Check]] = {
    "labels": labels,
    "inputs": inputs,
    "sample": sample,
    "stable": stable,
    "search": search,
    "budget": budget,
    "starts": starts,
    "verified": verified,
    "saturated": saturated,
    "finite": finite,
    "gradient": gradient,
    "gradient_free": gradient_free,
    "other_class": other_class,
    "transferred": transferred,
    "noise": noise,
    "curve": curve,
    "eight_bit": eight_bit,
    "float16": float16,
    "png": png,
    "deployed": deployed,
}


def run_checks(
    classifier: Classifier,
    results: Sequence[SearchResult],
    *,
    seed: int,
    unlabelled: bool = False,
    strata: NDArray[Any] | None = None,
    walks: Mapping[SearchedNorm, Walk] | None = None,
    made_for: Mapping[str, SearchResult] | None = None,
    facts: Mapping[SearchedNorm, NormFacts] | None = None,
    forms: Mapping[str, DeployedRows] | None = None,
) -> list[Check]:
    """All checks of what searches found for a model, one a norm, in the order of ``CHECKS``.

    ``unlabelled``: the labels are the model's own predictions; ``strata``: class of every row of the source
    that the samples were drawn from; ``walks``: by decisions alone, after the search in each norm;
    ``made_for``: what searches found for references, by name; ``facts``: what each search came to;
    ``forms``: what deployed forms make of the samples, by name.
    """
    walks, facts = walks or {}, facts or {}
    made: dict[str, Check] = {}
    given = [
        Given(
            classifier=classifier,
            result=result,
            seed=seed,
            unlabelled=unlabelled,
            strata=strata,
            walk=walks.get(result.norm),
            walked=any(walk.given and walk.saw_more for walk in walks.values()),
            made_for=made_for or {},
            facts=facts.get(result.norm),
            forms=forms or {},
            before=made,
        )
        for result in results
    ]
    for name, about in CHECKS.items():
        asked = given if about.each else given[:1]
        made[name] = _together([(each.result.norm, _ASK[name](each)) for each in asked])
    return list(made.values())


def _together(found: Sequence[tuple[SearchedNorm, Check]]) -> Check:
    """A check of searches in several norms: what is worst of each, and what each says."""
    if len(found) == 1:
        return found[0][1]
    worst = max((check for _, check in found), key=lambda check: GRAVITY.index(check.outcome))
    return replace(worst, detail="; ".join(f"{NORMS[norm].title}: {check.detail}" for norm, check in found))


def skipped(reason: str) -> list[Check]:
    """All checks as not run."""
    return [not_asked(name, reason) for name in CHECKS]
