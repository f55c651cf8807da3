"""A walk along linearised boundaries, biased towards the sample: a quick way to a near misclassified point.

The step is that of FAB (Croce and Hein 2020, "Minimally distorted adversarial attacks with a fast adaptive
boundary attack", arXiv 1907.02044, section 3): project the point and the sample onto the linearised boundary
within the box, mix the two with a weight of at most 0.1 for the sample, and overshoot by 1.05; a
misclassified point is recorded and drawn back to a share of its way, 0.9 in L2. One gradient and one forward
evaluation a step.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32
from robustcheck.models import Classifier
from robustcheck.search._constraint import beyond, constraint
from robustcheck.search._geometry import Geometry
from robustcheck.search._rows import COUNT, Rows, graph, points

Tensor = Any

_MOST_WEIGHT = 0.1
_OVERSHOOT = 1.05


def walk(classifier: Classifier, geometry: Geometry, rows: Rows, start: F32, steps: int) -> tuple[F32, F32]:
    """The nearest misclassified points on the way ``[R, D]``, NaN where there was none; where it ended."""
    steps_of = graph(
        _walk, classifier, Rows.signature(classifier), points(classifier), COUNT, given=(geometry,)
    )
    nearest, ended = steps_of(rows, start, steps)
    return nearest.numpy(), ended.numpy()


def _walk(
    classifier: Classifier, geometry: Geometry, rows: Rows, start: Tensor, steps: Tensor
) -> tuple[Tensor, Tensor]:
    x, lower, upper = rows.x, rows.lower, rows.upper

    def within(base: Tensor) -> tuple[Tensor, Tensor]:
        """The part of the box that a linearisation at a point is believed in."""
        if math.isinf(geometry.reach):
            return lower, upper
        most = geometry.reach * (upper - lower)
        return tf.maximum(lower, base - most), tf.minimum(upper, base + most)

    def step(
        i: Tensor, z: Tensor, nearest: Tensor, shortest: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gap, normal = constraint(classifier, rows.goal, z)
        normal, gap = numerics.to_unit_slope(normal, gap)
        by_z, _ = geometry.nearest_in_half_space(z, normal, gap, *within(z))
        gap_x = gap + numerics.rowwise_dot(normal, x - z)
        by_x, _ = geometry.nearest_in_half_space(x, normal, gap_x, *within(x))
        from_z, from_x = geometry.length(by_z - z), geometry.length(by_x - x)
        weight = tf.minimum(tf.math.divide_no_nan(from_z, from_z + from_x), _MOST_WEIGHT)[:, None]
        mixed = (1 - weight) * (z + _OVERSHOOT * (by_z - z)) + weight * (x + _OVERSHOOT * (by_x - x))
        z = tf.clip_by_value(mixed, lower, upper)
        far = beyond(classifier, rows.goal, z) > 0
        distance = geometry.length(z - x)
        nearer = far & (distance < shortest)
        nearest = tf.where(nearer[:, None], z, nearest)
        shortest = tf.where(nearer, distance, shortest)
        return i + 1, tf.where(far[:, None], x + geometry.drawn_back * (z - x), z), nearest, shortest

    nothing = tf.fill(tf.shape(start), tf.constant(float("nan")))
    infinite = tf.fill(tf.shape(rows.goal.label), tf.constant(float("inf")))
    state = (tf.constant(0), start, nothing, infinite)
    _, ended, nearest, _ = tf.while_loop(lambda i, *_: i < steps, step, state)
    return nearest, ended
