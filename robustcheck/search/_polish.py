"""Shorten a point on the decision boundary by cutting planes, one gradient a step.

Near its nearest point the boundary of a net of ReLUs is made of facets, and a smooth method stalls on the
edges between them. A step remembers the last few linearisations of the constraint, and goes to the point of
the box that satisfies them all and is nearest to a mix of the sample and the best point known: a proximal
bundle step (Kiwiel 1990, "Proximity control in bundle methods for convex nondifferentiable minimization").
The weight of the best point falls after a step that succeeded and rises after one that did not; planes that
would cut the best point off, as those of a curved boundary do, are dropped.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32
from robustcheck.models import Classifier
from robustcheck.search._constraint import beyond, constraint
from robustcheck.search._rows import COUNT, Rows, graph, points

Tensor = Any

# planes remembered
_PLANES = 5
# the weight of the best point, the sample's being 1: at the start, after a success, after a failure
_WEIGHT, _BOLDER, _SHYER = 1.0, 0.6, 1.6
_LEAST_WEIGHT, _MOST_WEIGHT = 0.05, 50.0
# aim this far behind the boundary, in shares of the distance
_BEHIND = 1e-4
# how far a step is scaled at most to meet the boundary
_SCALED = 0.1


def polish(classifier: Classifier, rows: Rows, z: F32, steps: int) -> F32:
    """The nearest misclassified points seen ``[R, D]``; ``z`` where there was none nearer.

    Args:
        classifier: the model.
        rows: what is searched for.
        z: misclassified points just behind the boundary ``[R, D]``.
        steps: gradient evaluations; as many forward evaluations are made.
    """
    nearest: F32 = graph(_polish, classifier, Rows.signature(classifier), points(classifier), COUNT)(
        rows, z, steps
    ).numpy()
    return nearest


def _polish(classifier: Classifier, rows: Rows, start: Tensor, steps: Tensor) -> Tensor:
    x, lower, upper = rows.x, rows.lower, rows.upper

    def step(
        i: Tensor, u: Tensor, z: Tensor, weight: Tensor, normals: Tensor, offsets: Tensor
    ) -> tuple[Tensor, ...]:
        gap, normal = constraint(classifier, rows.goal, u)
        # to length 1 in two steps: the squares of a saturated model's tiny gradients would underflow
        normal, gap = numerics.to_unit_slope(normal, gap)
        length = numerics.l2_norm(normal)
        gap = tf.math.divide_no_nan(gap, length)
        # a model may give NaN or infinity off its data: no plane then
        usable = tf.math.is_finite(gap) & tf.math.is_finite(length)
        normal = tf.where(usable[:, None], tf.math.divide_no_nan(normal, length[:, None]), 0.0)
        gap = tf.where(usable, gap, 0.0)
        slot = tf.one_hot(i % _PLANES, _PLANES, dtype=x.dtype)
        shortest = numerics.l2_norm(z - x)
        offset = numerics.rowwise_dot(normal, u) - gap - _BEHIND * shortest
        normals += slot[:, None] * (normal[:, None] - normals)
        offsets += slot * (offset[:, None] - offsets)

        # on the ray from the sample to where the linearised boundary is
        slope = -numerics.rowwise_dot(normal, u - x)
        scale = 1.0 + tf.clip_by_value(tf.math.divide_no_nan(gap, slope) + _BEHIND, -_SCALED, _SCALED)
        scaled = tf.clip_by_value(x + scale[:, None] * (u - x), lower, upper)
        nearer = (beyond(classifier, rows.goal, scaled) > 0) & (numerics.l2_norm(scaled - x) < shortest)
        z = tf.where(nearer[:, None], scaled, z)
        factor = tf.where(i == 0, 1.0, tf.where(nearer, _BOLDER, _SHYER))
        weight = tf.clip_by_value(weight * factor, _LEAST_WEIGHT, _MOST_WEIGHT)

        cuts = tf.einsum("rmd,rd->rm", normals, z) > offsets + 1.01 * _BEHIND * shortest[:, None]
        normals = tf.where(cuts[:, :, None], 0.0, normals)
        offsets = tf.where(cuts, 0.0, offsets)
        between = (x + weight[:, None] * z) / (1.0 + weight[:, None])
        u = numerics.nearest_in_polyhedron(between, normals, offsets, lower, upper)
        return i + 1, u, z, weight, normals, offsets

    count = tf.shape(x)[0]
    state = (
        tf.constant(0),
        start,
        start,
        tf.fill([count], _WEIGHT),
        tf.zeros([count, _PLANES, classifier.layout.width]),
        tf.zeros([count, _PLANES]),
    )
    _, _, z, *_ = tf.while_loop(lambda i, *_: i < steps, step, state)
    return z
