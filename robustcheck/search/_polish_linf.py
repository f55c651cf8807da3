"""Shorten a point on the decision boundary in Linf: cutting planes in a box that shrinks.

All points of a radius are a box themselves. A step goes to the point nearest to the best one known that
satisfies the planes (:mod:`robustcheck.search._planes`) within a box a little smaller than the best radius,
and from there to the boundary by changing the radius alone: the features that lie on it and push the right
way follow it, the rest is clipped.
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

# by how much smaller the box is, in shares of the radius: at the start, after a success, after a failure
_SMALLER, _BOLDER, _SHYER = 0.05, 1.5, 0.5
_LEAST, _MOST = 0.001, 0.3
# aim this far behind the boundary; how far a plane may cut the best point; in shares of the radius
_BEHIND, _SLACK = 1e-4, 1e-3
# how far the radius is scaled at most to meet the boundary
_SCALED = 0.1
# features this near to the radius lie on it, in shares of it
_ON_RADIUS = 1e-4


def polish_linf(classifier: Classifier, rows: Rows, start: Tensor, steps: Tensor) -> Tensor:
    """The nearest misclassified points seen ``[R, D]``; ``start`` where there was none nearer.

    The arguments are those of :func:`robustcheck.search._polish.polish_l2`.
    """
    x, lower, upper = rows.x, rows.lower, rows.upper

    def step(i: Tensor, u: Tensor, z: Tensor, smaller: Tensor, planes: Planes) -> tuple[Any, ...]:
        gap, normal = linearised(classifier, rows.goal, u)
        radius, dual = numerics.linf_norm(z - x), numerics.l1_norm(normal)
        planes = planes.with_plane(i, normal, numerics.rowwise_dot(normal, u) - gap - _BEHIND * radius * dual)
        moved = _at_radius(rows, u, gap, normal)
        nearer = (beyond(classifier, rows.goal, moved) > 0) & (numerics.linf_norm(moved - x) < radius)
        z = tf.where(nearer[:, None], moved, z)
        factor = tf.where(i == 0, 1.0, tf.where(nearer, _BOLDER, _SHYER))
        smaller = tf.clip_by_value(smaller * factor, _LEAST, _MOST)
        duals = tf.reduce_sum(tf.abs(planes.normals), axis=-1)
        planes = planes.without(z, _SLACK * radius[:, None] * duals)
        within = ((1.0 - smaller) * numerics.linf_norm(z - x))[:, None]
        low, high = tf.maximum(lower, x - within), tf.minimum(upper, x + within)
        u = numerics.nearest_in_polyhedron(z, planes.normals, planes.offsets, low, high)
        return i + 1, u, z, smaller, planes

    state = (tf.constant(0), start, start, tf.fill(tf.shape(x)[:1], _SMALLER), Planes.none(x))
    _, _, z, *_ = tf.while_loop(lambda i, *_: i < steps, step, state)
    return z


def _at_radius(rows: Rows, u: Tensor, gap: Tensor, normal: Tensor) -> Tensor:
    """``u`` with the radius at which the linearised boundary is met, and a bit beyond."""
    r = u - rows.x
    radius = numerics.linf_norm(r)[:, None]
    inside = tf.where(r > 0, u < rows.upper, u > rows.lower)
    follows = (tf.abs(r) >= (1.0 - _ON_RADIUS) * radius) & (r * normal < 0) & inside
    push = tf.reduce_sum(tf.where(follows, tf.abs(normal), 0.0), axis=-1)
    change = tf.math.divide_no_nan(gap, radius[:, 0] * push) + _BEHIND
    reached = radius * (1.0 + tf.clip_by_value(change, -_SCALED, _SCALED)[:, None])
    moved = tf.where(follows, tf.sign(r) * reached, tf.clip_by_value(r, -reached, reached))
    return tf.clip_by_value(rows.x + moved, rows.lower, rows.upper)
