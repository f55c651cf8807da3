"""Shorten a point on the decision boundary in L2 by cutting planes, one gradient a step.

A step goes to the point of the box that satisfies the planes (:mod:`robustcheck.search._planes`) and is
nearest to a mix of the sample and the best point known: a proximal bundle step (Kiwiel 1990, "Proximity
control in bundle methods for convex nondifferentiable minimization"). The weight of the best point falls
after a step that succeeded and rises after one that did not.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from robustcheck import numerics
from robustcheck.models import Classifier
from robustcheck.search._constraint import beyond
from robustcheck.search._planes import Planes, linearised
from robustcheck.search._rows import Rows

Tensor = Any

# the weight of the best point, the sample's being 1: at the start, after a success, after a failure
_WEIGHT, _BOLDER, _SHYER = 1.0, 0.6, 1.6
_LEAST_WEIGHT, _MOST_WEIGHT = 0.05, 50.0
# aim this far behind the boundary, in shares of the distance
_BEHIND = 1e-4
# how far a step is scaled at most to meet the boundary
_SCALED = 0.1


def polish_l2(classifier: Classifier, rows: Rows, start: Tensor, steps: Tensor) -> Tensor:
    """The nearest misclassified points seen ``[R, D]``; ``start`` where there was none nearer.

    Args:
        classifier: the model.
        rows: what is searched for.
        start: misclassified points just behind the boundary ``[R, D]``.
        steps: gradient evaluations; as many forward evaluations are made.
    """
    x, lower, upper = rows.x, rows.lower, rows.upper

    def step(i: Tensor, u: Tensor, z: Tensor, weight: Tensor, planes: Planes) -> tuple[Any, ...]:
        gap, normal = linearised(classifier, rows.goal, u)
        shortest = numerics.l2_norm(z - x)
        planes = planes.with_plane(i, normal, numerics.rowwise_dot(normal, u) - gap - _BEHIND * shortest)
        scaled = on_ray(rows, u, gap, normal)
        nearer = (beyond(classifier, rows.goal, scaled) > 0) & (numerics.l2_norm(scaled - x) < shortest)
        z = tf.where(nearer[:, None], scaled, z)
        factor = tf.where(i == 0, 1.0, tf.where(nearer, _BOLDER, _SHYER))
        weight = tf.clip_by_value(weight * factor, _LEAST_WEIGHT, _MOST_WEIGHT)
        planes = planes.without(z, 1.01 * _BEHIND * shortest[:, None])
        between = (x + weight[:, None] * z) / (1.0 + weight[:, None])
        u = numerics.nearest_in_polyhedron(between, planes.normals, planes.offsets, lower, upper)
        return i + 1, u, z, weight, planes

    state = (tf.constant(0), start, start, tf.fill(tf.shape(x)[:1], _WEIGHT), Planes.none(x))
    _, _, z, *_ = tf.while_loop(lambda i, *_: i < steps, step, state)
    return z


def on_ray(rows: Rows, u: Tensor, gap: Tensor, normal: Tensor) -> Tensor:
    """On the ray from the sample through ``u``: where the linearised boundary is, and a bit beyond."""
    slope = -numerics.rowwise_dot(normal, u - rows.x)
    scale = 1.0 + tf.clip_by_value(tf.math.divide_no_nan(gap, slope) + _BEHIND, -_SCALED, _SCALED)
    return tf.clip_by_value(rows.x + scale[:, None] * (u - rows.x), rows.lower, rows.upper)
