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

from robustcheck import numerics
from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.search._candidates import Candidates, choose
from robustcheck.search._lbfgs import minimize
from robustcheck.search._problem import Answer, Problem

Tensor = Any

_SHARPNESS = 40.0
_ITERATIONS = 8
_LINE_SEARCH = 3
# what a round costs a row (6 evaluations an iteration on three real nets), to lay out the schedule
_ROUND_COST = 52
_FIRST_C = 0.125
_MOST_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class _Rows:
    """One row a (sample, class): what stays the same over all rounds."""

    x: Tensor
    lower: Tensor
    upper: Tensor
    label: Tensor
    target: Tensor
    wanted: Tensor
    unit: Tensor
    gap: Tensor
    sharpness: Tensor
    relative: Tensor
    absolute: Tensor


def search_szegedy(classifier: Classifier, problem: Problem, options: SearchOptions) -> Answer:
    """Nearest misclassified points of one batch by the penalty method."""
    candidates = choose(classifier, problem, options.candidates)
    per_sample = len(candidates.sample) // len(problem.rows)
    rows = _rows(problem, candidates, options)
    key = ("szegedy", options.history, options.tolerance)
    one_round = classifier.traced(key, lambda: _trace_round(classifier, options))
    nearest, gradients, forwards = _search_c(one_round, rows, candidates, _rounds(options, per_sample))

    shape = (len(problem.rows), per_sample)
    r = nearest.numpy() - rows.x.numpy()
    distance = np.sqrt(np.sum(np.square(r, dtype=np.float64), axis=1)).reshape(shape)
    best = np.argmin(np.where(np.isnan(distance), np.inf, distance), axis=1)
    points = nearest.numpy().reshape(*shape, -1)[np.arange(shape[0]), best]
    spent = np.full(shape[0], per_sample, np.int64)
    return Answer(
        point=points,
        gradient_evaluations=spent * gradients + candidates.gradient_evaluations,
        forward_evaluations=spent * forwards + candidates.forward_evaluations,
    )


def _rounds(options: SearchOptions, per_sample: int) -> int:
    return int(np.clip(options.budget // (per_sample * _ROUND_COST), 1, _MOST_ROUNDS))


def _rows(problem: Problem, candidates: Candidates, options: SearchOptions) -> _Rows:
    sample, gap = candidates.sample, candidates.gap
    sharpness = _SHARPNESS / gap if options.loss_scale == "auto" else np.full_like(gap, options.loss_scale)
    return _Rows(
        x=tf.constant(problem.rows[sample]),
        lower=tf.constant(problem.lower[sample]),
        upper=tf.constant(problem.upper[sample]),
        label=tf.constant(problem.label[sample]),
        target=tf.constant(candidates.target),
        wanted=tf.constant(problem.target[sample]),
        unit=tf.constant(candidates.distance),
        gap=tf.constant(gap),
        sharpness=tf.constant(sharpness),
        relative=tf.constant(problem.relative, tf.float32),
        absolute=tf.constant(problem.absolute, tf.float32),
    )


def _search_c(one_round: Any, rows: _Rows, candidates: Candidates, rounds: int) -> tuple[Tensor, int, int]:
    """The line search over c; returns the nearest points ``[R, D]`` (NaN: none) and evaluations a row."""
    z = tf.constant(candidates.start)
    c = tf.fill(tf.shape(rows.unit), _FIRST_C)
    succeeds, fails = tf.zeros_like(c), tf.fill(tf.shape(c), np.float32(np.inf))
    nearest = tf.fill(tf.shape(z), np.float32(np.nan))
    shortest = tf.fill(tf.shape(c), np.float32(np.inf))
    gradients = forwards = 0
    for _ in range(rounds):
        z, success, point, gradient_count, forward_count = one_round(*vars(rows).values(), z, c)
        distance = tf.where(success, numerics.l2_norm(point - rows.x), np.inf)
        nearer = distance < shortest
        nearest = tf.where(nearer[:, None], point, nearest)
        shortest = tf.minimum(shortest, distance)
        succeeds = tf.where(success, tf.maximum(succeeds, c), succeeds)
        fails = tf.where(success, fails, tf.minimum(fails, c))
        z = tf.where(tf.math.is_finite(shortest)[:, None], nearest, z)
        c = _next_c(succeeds, fails)
        gradients += int(gradient_count)
        forwards += int(forward_count)
    return nearest, gradients, forwards


def _next_c(succeeds: Tensor, fails: Tensor) -> Tensor:
    """Bracket by factors, then bisect the logarithm. A success above a failure restarts the bracket."""
    bracketed = (succeeds > 0) & (fails > succeeds) & tf.math.is_finite(fails)
    between = tf.sqrt(tf.where(bracketed, succeeds * fails, 1.0))
    outside = tf.where(succeeds > 0, 2.0 * succeeds, 0.125 * fails)
    return tf.where(bracketed, between, outside)


def _trace_round(classifier: Classifier, options: SearchOptions) -> Any:
    floats = tf.TensorSpec([None, classifier.layout.width])
    ints, scalars = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None])
    number = tf.TensorSpec([])
    rows_signature = [floats] * 3 + [ints] * 3 + [scalars] * 3 + [number] * 2

    @tf.function(input_signature=[floats, floats, scalars, scalars, ints, *[scalars] * 2], autograph=False)
    def loss(
        z: Tensor, x: Tensor, unit: Tensor, c: Tensor, target: Tensor, sharpness: Tensor, gap: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``c |r|^2 + loss`` and its gradient by r, with r in units of the linearised distance."""
        with tf.GradientTape() as tape:
            tape.watch(z)
            sharp = sharpness[:, None] * classifier.logits(z)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(target, sharp) / (sharpness * gap)
        r = (z - x) / unit[:, None]
        gradient = unit[:, None] * tape.gradient(entropy, z) + 2.0 * c[:, None] * r
        return c * numerics.rowwise_dot(r, r) + entropy, gradient

    @tf.function(input_signature=[*rows_signature, floats, scalars], autograph=False)
    def one_round(*arguments: Tensor) -> tuple[Tensor, ...]:
        rows, (z, c) = _Rows(*arguments[:-2]), arguments[-2:]
        unit = rows.unit[:, None]
        fixed = (rows.x, rows.unit, c, rows.target, rows.sharpness, rows.gap)
        _, gradient = loss(z, *fixed)
        frozen = ((z <= rows.lower) & (gradient > 0)) | ((z >= rows.upper) & (gradient < 0))

        def objective(u: Tensor) -> tuple[Tensor, Tensor]:
            inside = rows.x + unit * u
            value, gradient = loss(tf.clip_by_value(inside, rows.lower, rows.upper), *fixed)
            held = frozen | (inside < rows.lower) | (inside > rows.upper)
            return value, tf.where(held, 0.0, gradient)

        u, count = minimize(
            objective,
            (z - rows.x) / unit,
            iterations=_ITERATIONS,
            line_search=_LINE_SEARCH,
            history=options.history,
        )
        z = tf.clip_by_value(rows.x + unit * u, rows.lower, rows.upper)

        def beyond(point: Tensor) -> Tensor:
            logits = classifier.logits(point)
            # twice what the check outside will ask for, so that its own rounding does not decide
            lead = 2.0 * numerics.needed_margin(logits, rows.relative, rows.absolute)
            return numerics.adversarial_margin(logits, rows.label, rows.wanted) - lead

        success = beyond(z) > 0
        point, forwards = numerics.boundary_on_segment(beyond, rows.x, z, tolerance=options.tolerance)
        point = tf.clip_by_value(point, rows.lower, rows.upper)
        return z, success, point, count + 1, forwards + 1

    return one_round
