"""Shorten a point on the decision boundary in L1: cutting planes with a soft threshold.

A step goes to the point that satisfies the planes (:mod:`robustcheck.search._planes`) and minimises
``tau |u - x|_1 + |u - z|_2^2 / 2``, with ``z`` the best point known: a proximal bundle step. ``tau`` rises
after a step that succeeded and falls after one that did not.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from robustcheck import numerics
from robustcheck.models import Classifier
from robustcheck.search._constraint import beyond
from robustcheck.search._planes import Planes, linearised
from robustcheck.search._polish import on_ray
from robustcheck.search._rows import Rows

Tensor = Any

# the threshold in units of the perturbation's own mean, weighted by length: at the start, after a success,
# after a failure
_WEIGHT, _BOLDER, _SHYER = 0.3, 1.6, 0.6
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-4, 3.0
# aim this far behind the boundary, in shares of the L2 length
_BEHIND = 1e-4


def polish_l1(classifier: Classifier, rows: Rows, start: Tensor, steps: Tensor) -> Tensor:
    """The nearest misclassified points seen ``[R, D]``; ``start`` where there was none nearer.

    The arguments are those of :func:`robustcheck.search._polish.polish_l2`.
    """
    x, lower, upper = rows.x, rows.lower, rows.upper

    def step(i: Tensor, u: Tensor, z: Tensor, weight: Tensor, planes: Planes) -> tuple[Any, ...]:
        gap, normal = linearised(classifier, rows.goal, u)
        shortest, length = numerics.l1_norm(z - x), numerics.l2_norm(z - x)
        planes = planes.with_plane(i, normal, numerics.rowwise_dot(normal, u) - gap - _BEHIND * length)
        scaled = on_ray(rows, u, gap, normal)
        nearer = (beyond(classifier, rows.goal, scaled) > 0) & (numerics.l1_norm(scaled - x) < shortest)
        z = tf.where(nearer[:, None], scaled, z)
        factor = tf.where(i == 0, 1.0, tf.where(nearer, _BOLDER, _SHYER))
        weight = tf.clip_by_value(weight * factor, _LEAST_WEIGHT, _MOST_WEIGHT)
        planes = planes.without(z, 1.01 * _BEHIND * length[:, None])
        r = z - x
        mean = tf.math.divide_no_nan(numerics.rowwise_dot(r, r), numerics.l1_norm(r))
        u = numerics.nearest_sparse_in_polyhedron(
            x, z, weight * mean, planes.normals, planes.offsets, lower, upper
        )
        return i + 1, u, z, weight, planes

    state = (tf.constant(0), start, start, tf.fill(tf.shape(x)[:1], _WEIGHT), Planes.none(x))
    _, _, z, *_ = tf.while_loop(lambda i, *_: i < steps, step, state)
    return z
