"""The nearest point of a half-space within the box: exact, in each norm."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from robustcheck.numerics._graphs import shared
from robustcheck.numerics._rows import rowwise_dot

Tensor = Any


@shared
def nearest_in_half_space(
    x: Tensor, normal: Tensor, gap: Tensor, lower: Tensor, upper: Tensor, *, steps: int = 40
) -> tuple[Tensor, Tensor]:
    """Nearest point of the box to ``x`` in L2 with ``gap + normal . (z - x) <= 0``; exact to rounding.

    The minimiser is ``clip(x - s * normal)`` for the least ``s >= 0`` that reaches the half-space (the KKT
    conditions of the projection).

    Args:
        x: ``[B, D]``, inside the box.
        normal: ``[B, D]``, gradient of the constraint.
        gap: ``[B]``, its value at ``x``; rows with ``gap <= 0`` stay where they are.
        lower, upper: ``[B, D]``, the box, infinite sides allowed.
        steps: Newton steps at most; each passes at least one kink.

    Returns:
        The point ``[B, D]`` and whether the half-space was reached ``[B]``. Rows that cannot reach it within
        the box go to the corner that comes nearest.
    """
    return _along(normal, x, normal, gap, lower, upper, steps)


@shared
def nearest_in_half_space_linf(
    x: Tensor, normal: Tensor, gap: Tensor, lower: Tensor, upper: Tensor, *, steps: int = 40
) -> tuple[Tensor, Tensor]:
    """The same in Linf: ``clip(x - s * sign(normal))`` for the least ``s >= 0`` that reaches it.

    All features move alike until they rest on a bound, as far as they change the constraint at all.
    """
    return _along(tf.sign(normal), x, normal, gap, lower, upper, steps)


def _along(
    direction: Tensor, x: Tensor, normal: Tensor, gap: Tensor, lower: Tensor, upper: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """``clip(x - s * direction)`` for the least ``s`` that reaches the half-space.

    The left side is piecewise linear, convex and falling in ``s``, so Newton's method from ``s = 0`` climbs
    to the root without overshooting.
    """

    def at(s: Tensor) -> tuple[Tensor, Tensor]:
        z = tf.clip_by_value(x - s[:, None] * direction, lower, upper)
        return z, gap + rowwise_dot(normal, z - x)

    def newton(count: Tensor, s: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, value = at(s)
        # a coordinate still moves with s unless it has come to rest on the bound that it heads for
        moving = tf.where(normal > 0, z > lower, z < upper)
        slope = rowwise_dot(normal * tf.cast(moving, x.dtype), direction)
        step = tf.math.divide_no_nan(tf.maximum(value, 0.0), slope)
        return count + 1, s + step, tf.reduce_any(step > 1e-7 * s)

    start = (tf.constant(0), tf.zeros_like(gap), tf.constant(True))
    _, s, _ = tf.while_loop(lambda count, _, go: go & (count < steps), newton, start)
    z, value = at(s)
    scale = tf.abs(gap) + rowwise_dot(tf.abs(normal), tf.abs(z - x))
    return z, value <= 1e-5 * scale


@shared
def nearest_in_half_space_l1(
    x: Tensor, normal: Tensor, gap: Tensor, lower: Tensor, upper: Tensor
) -> tuple[Tensor, Tensor]:
    """The same in L1: features go to their bound from the one with the largest slope on, the last in part.

    A unit of length buys most where the slope is largest, so no feature moves before those with a larger one
    have used their room (a continuous knapsack).
    """
    slope = tf.abs(normal)
    room = tf.where(normal > 0, x - lower, upper - x)
    order = tf.argsort(slope, axis=-1, direction="DESCENDING", stable=True)
    steep, space = (tf.gather(part, order, batch_dims=1) for part in (slope, room))
    # infinite room without a slope buys nothing
    bought = tf.math.multiply_no_nan(space, steep)
    left = tf.maximum(gap, 0.0)[:, None] - tf.cumsum(bought, axis=-1, exclusive=True)
    moves = tf.clip_by_value(tf.math.divide_no_nan(left, steep), 0.0, space)
    moves = tf.gather(moves, tf.argsort(order, axis=-1), batch_dims=1)
    z = tf.clip_by_value(x - tf.sign(normal) * moves, lower, upper)
    value = gap + rowwise_dot(normal, z - x)
    scale = tf.abs(gap) + rowwise_dot(slope, tf.abs(z - x))
    return z, value <= 1e-5 * scale
