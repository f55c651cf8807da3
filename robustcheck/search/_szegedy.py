"""Box-constrained L-BFGS with a penalty, after Szegedy et al. 2013, section 4.1 (arXiv 1312.6199).

For class t: minimise ``c |r|^2 + loss(x + r, t)`` with ``x + r`` in the box, and search c. Where we depart
from the text, and why:

* The text asks for the *minimum* c. A larger c weighs the norm more, so it is the **largest** c that still
  reaches t which gives the shortest r.
* ``|r|`` has no gradient at r = 0, where the search starts: the squared norm is used.
* "Exact for convex losses" does not hold for the cross-entropy of more than two classes: the others bend the
  path, and the answer depends on the scale of the logits. With ``loss_scale="auto"`` the loss of a sample is
  sharpened to ``log(sum_k exp(b (Z_k - Z_t))) / b`` with ``b = 40 / (Z_label - Z_t)`` taken at x, which is
  close to ``max_k (Z_k - Z_t)`` and free of that scale. ``loss_scale=1.0`` is the paper's letter.
* The text leaves open how c is searched: here it starts at a value that would be right for a linear model, is
  bracketed by factors and then bisected in its logarithm, each round warm from the nearest point known.
* The answer of a round is brought back along ``x -> x + r`` to the decision boundary.

In Linf the same loss is minimised in the box that a radius leaves, and the line search is over the radius. L1
is refused: its length is not smooth, and the points within a radius are no box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from robustcheck.config import SearchedNorm, SearchOptions
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._candidates import MOST_LINEARISED, choose
from robustcheck.search._geometry import GEOMETRIES
from robustcheck.search._lbfgs import Effort
from robustcheck.search._paper_loss import Reached, Targeted
from robustcheck.search._problem import Answer, Problem
from robustcheck.search._rows import Rows
from robustcheck.search._szegedy_l2 import search_c
from robustcheck.search._szegedy_linf import search_radius

_SHARPNESS = 40.0


@dataclass(frozen=True, kw_only=True)
class _LineSearch:
    """How the weight of the norm is searched.

    Attributes:
        run: the search.
        effort: what L-BFGS may spend in a round.
        round_most: evaluations of a round at most, those beside L-BFGS included.
        most_rounds: of them at most.
    """

    run: Callable[[Classifier, Targeted, Effort, int, OnProgress], Reached]
    effort: Effort
    round_most: int
    most_rounds: int


_SEARCHES: Mapping[SearchedNorm, _LineSearch] = {
    # a look at which coordinates are frozen
    "l2": _LineSearch(
        run=search_c, effort=Effort(iterations=8, line_search=4, most=41), round_most=42, most_rounds=30
    ),
    # and one at which radius is next: that is where most of the way is made, so rounds are short
    "linf": _LineSearch(
        run=search_radius, effort=Effort(iterations=5, line_search=4, most=20), round_most=22, most_rounds=60
    ),
}


def search_szegedy(
    classifier: Classifier, problem: Problem, options: SearchOptions, on_progress: OnProgress
) -> Answer:
    """Nearest misclassified points of one batch by the penalty method."""
    # a small budget is spent on fewer classes rather than on no round
    line = _SEARCHES[options.norm]
    affordable = max(1, (options.evaluations - MOST_LINEARISED) // line.round_most)
    geometry = GEOMETRIES[options.norm]
    candidates = choose(classifier, geometry, problem)
    per_sample = min(options.candidates, affordable, candidates.target.shape[1])
    sample = np.repeat(np.arange(len(problem.rows)), per_sample)
    rows = Rows.of(problem, sample, candidates.target[:, :per_sample].reshape(-1))
    unit, gap = candidates.distance[:, :per_sample].reshape(-1), candidates.gap[:, :per_sample].reshape(-1)
    start = candidates.start[:, :per_sample].reshape(len(sample), -1)
    sharpness = _SHARPNESS / gap if options.loss_scale == "auto" else np.full_like(gap, options.loss_scale)
    targeted = Targeted(
        rows=rows,
        start=start,
        unit=unit,
        gap=gap,
        sharpness=sharpness,
        history=options.history,
        tolerance=options.tolerance,
    )
    left = options.evaluations - candidates.gradient_evaluations
    rounds = int(np.clip(left // (per_sample * line.round_most), 1, line.most_rounds))
    reached = line.run(classifier, targeted, line.effort, rounds, on_progress)

    shape = (len(problem.rows), per_sample)
    best = np.argmin(geometry.distance(rows.x, reached.nearest).reshape(shape), axis=1)
    return Answer(
        point=reached.nearest.reshape(*shape, -1)[np.arange(shape[0]), best],
        halfway=np.full(shape[0], np.nan),
        agreed=np.zeros(shape[0], np.int64),
        gradient_evaluations=reached.gradient_evaluations.reshape(shape).sum(axis=1)
        + candidates.gradient_evaluations,
        forward_evaluations=reached.forward_evaluations.reshape(shape).sum(axis=1)
        + candidates.forward_evaluations,
    )
