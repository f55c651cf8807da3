"""What is done about a search that did not see: go on from its examples without scores and gradients.

A walk by decisions alone is given a few samples of every audit. It cannot be misled by what a model says of
its scores, so where it comes nearer than the search did, the search did not see, whatever the reason, and the
walk is given all samples. Samples that no example was found for it is given in any case. Before that it goes
on from examples made for other models that are nearer than the model's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.config import SearchOptions
from robustcheck.distortion import SetFacts, default_batch_size, shortened, spread
from robustcheck.models import Classifier, own_labels
from robustcheck.progress import OnProgress, silent
from robustcheck.results import CHECKS, SearchResult

# samples that are tried: one in so many, at most so many of them, and forward evaluations of each
_ONE_IN, _TRIED, ASKED = 8, 6, 500
# and of each that is walked for afresh, too, where the scores jump: what the search found may be the best of
# its valley, while slopes do not show the others
_ANEW = 2000
# forward evaluations for a gradient of the search, where it is given more than a trial
_A_GRADIENT = 17
# an example made for another model counts if it is nearer by so much
_NEARER = 0.01
# where the walk shortens the median distance of these by more it is given all
SHORTER = CHECKS["gradient_free"].warn


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What a walk by decisions came to.

    Attributes:
        tried: samples that were tried.
        shorter: by what share the median of their distances fell; 1 where they had none.
        given: samples that it was given thereafter: all, or those without an example; 0 = it was not needed.
        nearer: share of these that it came nearer for.
        falling: by what share their median fell in the second half of the walk.
        asked: forward evaluations of each of these.
        adopted: samples that an example made for a reference was nearer to, and was gone on from.
    """

    tried: int
    shorter: float
    given: int = 0
    nearer: float = 0.0
    falling: float = 0.0
    asked: int = 0
    adopted: int = 0

    @property
    def saw_more(self) -> bool:
        """Whether the search did not see what the walk came upon."""
        return self.shorter > SHORTER


def walk_where_needed(
    classifier: Classifier,
    result: SearchResult,
    facts: SetFacts,
    options: SearchOptions,
    on_progress: OnProgress = silent,
) -> tuple[SearchResult, Walk]:
    """Try a walk by decisions on some samples and, where it comes nearer, on all: the shorter distances.

    Samples without an example are given to it whatever the trial says.

    Args:
        classifier: the model.
        result: what a search found.
        facts: of all samples.
        options: of that search.
        on_progress: told about the walk on all samples.
    """
    attacked = np.flatnonzero(result.correct)
    at = spread(attacked, min(-(-len(attacked) // _ONE_IN), _TRIED))
    by_decision = replace(options, method="decision", budget=ASKED)
    tried = Walk(tried=len(at), shorter=0.0)
    if not len(at) or options.method == "decision":
        return result, replace(tried, tried=0)
    walked = _walked(classifier, result.take(at), np.arange(len(at)), facts, by_decision, _ANEW)
    tried = replace(tried, shorter=_fell(result.distance[at], walked.distance))
    needs = attacked if tried.saw_more else attacked[~result.found[attacked]]
    if not len(needs) or options.method != "boundary":
        return result, tried
    after = walk_on(classifier, result, needs, facts, options, on_progress)
    nearer = after.distance[needs] < result.distance[needs]
    changed = needs[nearer]
    return after, replace(
        tried,
        given=len(needs),
        nearer=float(nearer.mean()),
        falling=_fell(after.halfway[changed], after.distance[changed]),
        asked=_asked(options),
    )


def nearer_transferred(
    classifier: Classifier, result: SearchResult, made_for: Mapping[str, SearchResult]
) -> tuple[I64, F32]:
    """Samples that an example made for another model fools this one nearer to, and the nearest such ones.

    Positions ``[M]`` and points ``[M, D]``. Of ``made_for`` those count that are in the same norm.
    """
    nearest, points = (1 - _NEARER) * result.distance, np.full_like(result.rows, np.nan)
    for other in made_for.values():
        at = np.flatnonzero(result.correct & other.found & (other.distance < nearest))
        if other.norm != result.norm or not len(at):
            continue
        at = at[result.reached(own_labels(classifier, other.points[at]), at)]
        nearest[at], points[at] = other.distance[at], other.points[at]
    at = np.flatnonzero(np.isfinite(points).all(axis=1))
    return at, points[at]


def adopt_transferred(
    classifier: Classifier,
    result: SearchResult,
    made_for: Mapping[str, SearchResult],
    facts: SetFacts,
    options: SearchOptions,
) -> tuple[SearchResult, int]:
    """Go on by decisions from examples made for references that are nearer: what is found, how many were."""
    at, points = nearer_transferred(classifier, result, made_for)
    if not len(at) or options.method != "boundary":
        return result, 0
    by_decision = replace(options, method="decision", budget=ASKED)
    size = default_batch_size(classifier)
    return shortened(classifier, result, at, facts, by_decision, batch_size=size, begin=points), len(at)


def walk_on(
    classifier: Classifier,
    result: SearchResult,
    at: I64,
    facts: SetFacts,
    options: SearchOptions,
    on_progress: OnProgress = silent,
) -> SearchResult:
    """What a search found, and a walk by decisions from there with the samples at positions ``at``."""
    whole = replace(options, method="decision", budget=_asked(options))
    return _walked(classifier, result, at, facts, whole, _asked(options), on_progress)


def _walked(
    classifier: Classifier,
    result: SearchResult,
    at: I64,
    facts: SetFacts,
    options: SearchOptions,
    anew: int,
    on_progress: OnProgress = silent,
) -> SearchResult:
    """Walks from the examples, and where scores jump afresh too, with ``anew`` evaluations."""
    size = default_batch_size(classifier)
    walked = shortened(classifier, result, at, facts, options, on_progress, batch_size=size)
    if not classifier.jumps:
        return walked
    again = replace(options, budget=anew)
    afresh = np.full_like(result.rows[at], np.nan)
    return shortened(classifier, walked, at, facts, again, on_progress, batch_size=size, begin=afresh)


def _asked(options: SearchOptions) -> int:
    """Forward evaluations of each sample: the walk takes about five times what the search took."""
    return max(_A_GRADIENT * options.evaluations, ASKED)


def _fell(before: F64, after: F64) -> float:
    """By what share the median fell; 1 where there was none."""
    if not len(before):
        return 0.0
    old, new = float(np.median(before)), float(np.median(after))
    if not np.isfinite(old):
        return 1.0 if np.isfinite(new) else 0.0
    return max(1.0 - new / old, 0.0)
