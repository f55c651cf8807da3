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
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32, I64
from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._boxed import BoxedProblem, minimize_in_box
from robustcheck.search._candidates import MOST_LINEARISED, choose
from robustcheck.search._constraint import to_boundary
from robustcheck.search._geometry import L2
from robustcheck.search._lbfgs import Effort
from robustcheck.search._problem import STAGE, Answer, Problem
from robustcheck.search._rows import Goal, Rows, graph, points

Tensor = Any

_SHARPNESS = 40.0
# evaluations of a round at most, the first look at which coordinates are frozen included
_ROUND_MOST = 42
_EFFORT = Effort(iterations=8, line_search=4, most=_ROUND_MOST - 1)
_FIRST_C = 0.125
_MOST_ROUNDS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class _Penalty:
    """What each row starts from, ``[R, D]``, and what its objective needs beside the row, ``[R]``."""

    start: F32
    unit: F32
    gap: F32
    sharpness: F32


def search_szegedy(
    classifier: Classifier, problem: Problem, options: SearchOptions, on_progress: OnProgress
) -> Answer:
    """Nearest misclassified points of one batch by the penalty method."""
    # a small budget is spent on fewer classes rather than on no round
    affordable = max(1, (options.evaluations - MOST_LINEARISED) // _ROUND_MOST)
    candidates = choose(classifier, L2, problem)
    per_sample = min(options.candidates, affordable, candidates.target.shape[1])
    sample = np.repeat(np.arange(len(problem.rows)), per_sample)
    rows = Rows.of(problem, sample, candidates.target[:, :per_sample].reshape(-1))
    unit, gap = candidates.distance[:, :per_sample].reshape(-1), candidates.gap[:, :per_sample].reshape(-1)
    start = candidates.start[:, :per_sample].reshape(len(sample), -1)
    sharpness = _SHARPNESS / gap if options.loss_scale == "auto" else np.full_like(gap, options.loss_scale)
    penalty = _Penalty(start=start, unit=unit, gap=gap, sharpness=sharpness)
    left = options.evaluations - candidates.gradient_evaluations
    rounds = int(np.clip(left // (per_sample * _ROUND_MOST), 1, _MOST_ROUNDS))
    nearest, gradients, forwards = _search_c(classifier, rows, penalty, options, rounds, on_progress)

    shape = (len(problem.rows), per_sample)
    best = np.argmin(L2.distance(rows.x, nearest).reshape(shape), axis=1)
    return Answer(
        point=nearest.reshape(*shape, -1)[np.arange(shape[0]), best],
        halfway=np.full(shape[0], np.nan),
        agreed=np.zeros(shape[0], np.int64),
        gradient_evaluations=gradients.reshape(shape).sum(axis=1) + candidates.gradient_evaluations,
        forward_evaluations=forwards.reshape(shape).sum(axis=1) + candidates.forward_evaluations,
    )


def _search_c(
    classifier: Classifier,
    rows: Rows,
    penalty: _Penalty,
    options: SearchOptions,
    rounds: int,
    on_progress: OnProgress,
) -> tuple[F32, I64, I64]:
    """The line search over c; returns the nearest points ``[R, D]`` (NaN: none) and evaluations ``[R]``."""
    z, nearest = penalty.start, np.full_like(penalty.start, np.nan)
    c = np.full(len(z), _FIRST_C, np.float32)
    succeeds, fails = np.zeros_like(c), np.full_like(c, np.inf)
    shortest = np.full(len(z), np.inf)
    gradients, forwards = np.zeros((2, len(z)), np.int64)
    for done in range(rounds):
        on_progress(STAGE, done, rounds)
        z, spent = _minimize_penalty(classifier, rows, penalty, z, c, options.history)
        success, point, asked = to_boundary(classifier, rows, z, options.tolerance)
        distance = np.where(success, L2.distance(rows.x, point), np.inf)
        nearer = distance < shortest
        nearest[nearer], shortest[nearer] = point[nearer], distance[nearer]
        succeeds = np.where(success, np.maximum(succeeds, c), succeeds)
        fails = np.where(success, fails, np.minimum(fails, c))
        z = np.where(np.isfinite(shortest)[:, None], nearest, z)
        c = _next_c(succeeds, fails)
        gradients += spent
        forwards += asked
    return nearest, gradients, forwards


def _next_c(succeeds: F32, fails: F32) -> F32:
    """Bracket by factors, then bisect the logarithm. A success above a failure restarts the bracket."""
    bracketed = (succeeds > 0) & (fails > succeeds) & np.isfinite(fails)
    between = np.sqrt(np.where(bracketed, succeeds, 1) * np.where(bracketed, fails, 1))
    outside = np.where(succeeds > 0, 2.0 * succeeds, 0.125 * np.where(np.isfinite(fails), fails, 1))
    return np.where(bracketed, between, outside).astype(np.float32)


def _minimize_penalty(
    classifier: Classifier, rows: Rows, penalty: _Penalty, z: F32, c: F32, history: int
) -> tuple[F32, I64]:
    """One round: ``c |r|^2 + loss`` from ``z`` over the free coordinates; new ``z`` and evaluations."""
    loss = graph(_loss, classifier, Goal.signature(), points(classifier), *(tf.TensorSpec([None]),) * 2)
    unit = penalty.unit[:, None]

    def pull(at: F32, which: I64) -> tuple[F32, F32]:
        value, slope = loss(rows.goal.take(which), at, penalty.sharpness[which], penalty.gap[which])
        return value.numpy(), unit[which] * slope.numpy()

    gradient = pull(z, np.arange(len(z)))[1] + 2.0 * c[:, None] * (z - rows.x) / unit
    frozen = ((z <= rows.lower) & (gradient > 0)) | ((z >= rows.upper) & (gradient < 0))
    boxed = BoxedProblem(unit=penalty.unit, weight=2.0 * c, frozen=frozen)
    moved, spent = minimize_in_box(rows, z, pull, boxed, _EFFORT, history)
    return moved, spent + 1


def _loss(
    classifier: Classifier, goal: Goal, z: Tensor, sharpness: Tensor, gap: Tensor
) -> tuple[Tensor, Tensor]:
    """The sharpened cross-entropy to the target in units of the gap at the sample, and its gradient by z."""

    def entropy(at: Tensor) -> Tensor:
        sharp = sharpness[:, None] * classifier.logits(at)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(goal.target, sharp) / (sharpness * gap)

    return numerics.with_gradient(entropy, z)
