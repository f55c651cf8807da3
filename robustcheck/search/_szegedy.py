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

L-BFGS knows no bounds. Within a round, coordinates that rest on a bound and want out of the box are frozen,
the rest is clipped where the model is called, and the next round looks again which are frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.search._candidates import Candidates, choose
from robustcheck.search._lbfgs import minimize, most_evaluations
from robustcheck.search._problem import Answer, Floats, Ints, Problem

Tensor = Any

_SHARPNESS = 40.0
_ITERATIONS = 8
_LINE_SEARCH = 4
# of a round, the first look at which coordinates are frozen included
_ROUND_COST = most_evaluations(_ITERATIONS) + 1
_FIRST_C = 0.125
_MOST_ROUNDS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """One row a (sample, class): what stays the same over all rounds. Shapes ``[R, D]`` and ``[R]``."""

    x: Floats
    lower: Floats
    upper: Floats
    label: Ints
    target: Ints
    wanted: Ints
    unit: Floats
    gap: Floats
    sharpness: Floats
    lead: tuple[np.float32, np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Traced:
    """The functions traced for a model."""

    penalty: Any
    to_boundary: Any


def search_szegedy(classifier: Classifier, problem: Problem, options: SearchOptions) -> Answer:
    """Nearest misclassified points of one batch by the penalty method."""
    candidates = choose(classifier, problem, options.candidates)
    per_sample = len(candidates.sample) // len(problem.rows)
    rows = _rows(problem, candidates, options)
    traced = classifier.traced(("szegedy", options.tolerance), lambda: _trace(classifier, options.tolerance))
    left = options.budget - candidates.gradient_evaluations
    rounds = int(np.clip(left // (per_sample * _ROUND_COST), 1, _MOST_ROUNDS))
    nearest, gradients, forwards = _search_c(traced, rows, candidates.start, rounds, options.history)

    shape = (len(problem.rows), per_sample)
    best = np.argmin(_distance(rows, nearest).reshape(shape), axis=1)
    return Answer(
        point=nearest.reshape(*shape, -1)[np.arange(shape[0]), best],
        gradient_evaluations=gradients.reshape(shape).sum(axis=1) + candidates.gradient_evaluations,
        forward_evaluations=forwards.reshape(shape).sum(axis=1) + candidates.forward_evaluations,
    )


def _rows(problem: Problem, candidates: Candidates, options: SearchOptions) -> _Rows:
    sample, gap = candidates.sample, candidates.gap
    sharpness = _SHARPNESS / gap if options.loss_scale == "auto" else np.full_like(gap, options.loss_scale)
    return _Rows(
        x=problem.rows[sample],
        lower=problem.lower[sample],
        upper=problem.upper[sample],
        label=problem.label[sample],
        target=candidates.target,
        wanted=problem.target[sample],
        unit=candidates.distance,
        gap=gap,
        sharpness=sharpness,
        lead=(np.float32(problem.relative), np.float32(problem.absolute)),
    )


def _distance(rows: _Rows, points: Floats) -> NDArray[np.float64]:
    """Of points ``[R, D]`` from their samples, ``[R]``; infinite where there is none."""
    r = points.astype(np.float64) - rows.x
    squares: NDArray[np.float64] = np.sum(r * r, axis=1)
    return np.where(np.isnan(squares), np.inf, np.sqrt(squares))


def _search_c(
    traced: _Traced, rows: _Rows, start: Floats, rounds: int, history: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """The line search over c; returns the nearest points ``[R, D]`` (NaN: none) and evaluations ``[R]``."""
    z, nearest = start, np.full_like(start, np.nan)
    c = np.full(len(z), _FIRST_C, np.float32)
    succeeds, fails = np.zeros_like(c), np.full_like(c, np.inf)
    shortest = np.full(len(z), np.inf)
    gradients, forwards = np.zeros((2, len(z)), np.int64)
    for _ in range(rounds):
        z, spent = _minimize_penalty(traced, rows, z, c, history)
        success, point, asked = (part.numpy() for part in _to_boundary(traced, rows, z))
        distance = np.where(success, _distance(rows, point), np.inf)
        nearer = distance < shortest
        nearest[nearer], shortest[nearer] = point[nearer], distance[nearer]
        succeeds = np.where(success, np.maximum(succeeds, c), succeeds)
        fails = np.where(success, fails, np.minimum(fails, c))
        z = np.where(np.isfinite(shortest)[:, None], nearest, z)
        c = _next_c(succeeds, fails)
        gradients += spent
        forwards += int(asked)
    return nearest, gradients, forwards


def _next_c(succeeds: Floats, fails: Floats) -> Floats:
    """Bracket by factors, then bisect the logarithm. A success above a failure restarts the bracket."""
    bracketed = (succeeds > 0) & (fails > succeeds) & np.isfinite(fails)
    between = np.sqrt(np.where(bracketed, succeeds, 1) * np.where(bracketed, fails, 1))
    outside = np.where(succeeds > 0, 2.0 * succeeds, 0.125 * np.where(np.isfinite(fails), fails, 1))
    return np.where(bracketed, between, outside).astype(np.float32)


def _minimize_penalty(
    traced: _Traced, rows: _Rows, z: Floats, c: Floats, history: int
) -> tuple[Floats, NDArray[np.int64]]:
    """One round: ``c |r|^2 + loss`` from ``z`` over the free coordinates; new ``z`` and evaluations."""
    unit = rows.unit[:, None]
    fixed = (rows.x, rows.lower, rows.upper, rows.unit, c, rows.target, rows.sharpness, rows.gap)
    start = (z - rows.x) / unit
    gradient = traced.penalty(start, *fixed, np.zeros(z.shape, bool))[1].numpy()
    frozen = ((z <= rows.lower) & (gradient > 0)) | ((z >= rows.upper) & (gradient < 0))

    def objective(u: Floats, which: NDArray[np.int64]) -> tuple[Floats, Floats]:
        value, gradient = traced.penalty(u, *(one[which] for one in fixed), frozen[which])
        return value.numpy(), gradient.numpy()

    u, spent = minimize(objective, start, iterations=_ITERATIONS, line_search=_LINE_SEARCH, history=history)
    moved = np.clip(rows.x + unit * u, rows.lower, rows.upper)
    return np.where(np.isfinite(moved).all(axis=1, keepdims=True), moved, z), spent + 1


def _to_boundary(traced: _Traced, rows: _Rows, z: Floats) -> Any:
    return traced.to_boundary(z, rows.x, rows.lower, rows.upper, rows.label, rows.wanted, *rows.lead)


def _trace(classifier: Classifier, tolerance: float) -> _Traced:
    floats, scalars = tf.TensorSpec([None, classifier.layout.width]), tf.TensorSpec([None])
    ints, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([])
    mask = tf.TensorSpec([None, classifier.layout.width], tf.bool)

    @numerics.traced(*[floats] * 4, *[scalars] * 2, ints, *[scalars] * 2, mask)
    def penalty(
        u: Tensor, x: Tensor, lower: Tensor, upper: Tensor, unit: Tensor, c: Tensor, target: Tensor,
        sharpness: Tensor, gap: Tensor, frozen: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """``c |r|^2 + loss`` and its gradient by u, with ``r = unit * u`` clipped to the box."""
        inside = x + unit[:, None] * u
        # a line search may run off to NaN, which no model should see: a row of it fails by its value alone
        runs_off = tf.reduce_any(tf.math.is_nan(inside), axis=1)
        inside = tf.where(runs_off[:, None], x, inside)
        z = tf.clip_by_value(inside, lower, upper)
        with tf.GradientTape() as tape:
            tape.watch(z)
            sharp = sharpness[:, None] * classifier.logits(z)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(target, sharp) / (sharpness * gap)
        r = (z - x) / unit[:, None]
        gradient = unit[:, None] * tape.gradient(entropy, z) + 2.0 * c[:, None] * r
        held = frozen | (inside < lower) | (inside > upper)
        value = tf.where(runs_off, np.nan, c * numerics.rowwise_dot(r, r) + entropy)
        return value, tf.where(held, 0.0, gradient)

    @numerics.traced(*[floats] * 4, ints, ints, number, number)
    def to_boundary(
        z: Tensor, x: Tensor, lower: Tensor, upper: Tensor, label: Tensor, wanted: Tensor, relative: Tensor,
        absolute: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Whether z is misclassified for good, the boundary on the way to it, and the evaluations."""

        def beyond(point: Tensor) -> Tensor:
            logits = classifier.logits(point)
            # twice what the check outside will ask for, so that its own rounding does not decide
            lead = 2.0 * numerics.needed_margin(logits, relative, absolute)
            return numerics.adversarial_margin(logits, label, wanted) - lead

        success = beyond(z) > 0
        point, asked = numerics.boundary_on_segment(beyond, x, z, tolerance=tolerance)
        return success, tf.clip_by_value(point, lower, upper), asked + 1

    return _Traced(penalty=penalty, to_boundary=to_boundary)
