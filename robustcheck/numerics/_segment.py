"""Where a function changes sign along a segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any


def boundary_on_segment(
    beyond: Callable[[Tensor], Tensor], x: Tensor, z: Tensor, *, tolerance: float, most: int = 32
) -> tuple[Tensor, Tensor]:
    """Bring ``z`` back towards ``x`` to where ``beyond`` changes sign, keeping it positive.

    The secant method in Illinois' variant on the share ``t`` of the way from ``x`` to ``z``, all rows at
    once. A row whose bracket twice running did not shrink to half is halved instead, and so is every row in
    the second half of the evaluations, so that a flat or broken side cannot stall it.

    Args:
        beyond: ``[B, D] -> [B]``, positive on the far side.
        x: ``[B, D]``, where ``beyond`` is not positive.
        z: ``[B, D]``, where it is; rows where it is not stay there.
        tolerance: width of the bracket, relative to ``t``, at which a row is done.
        most: evaluations of ``beyond`` at most.

    Returns:
        The nearest point found on the far side ``[B, D]`` and the evaluations of each row, a scalar.
    """
    direction = z - x

    nearer, farther = tf.minimum(x, z), tf.maximum(x, z)

    def at(t: Tensor) -> Tensor:
        # rounding must not lead out of a box that both ends lie in
        return tf.clip_by_value(x + t[:, None] * direction, nearer, farther)

    def narrow(low: Tensor, high: Tensor) -> Tensor:
        return high - low <= tolerance * high

    def more(count: Tensor, low: Tensor, high: Tensor, *_: Tensor) -> Tensor:
        return (count < most) & ~tf.reduce_all(narrow(low, high))

    def step(
        count: Tensor, low: Tensor, high: Tensor, f_low: Tensor, f_high: Tensor, slow: Tensor
    ) -> tuple[Tensor, ...]:
        width, least = high - low, 0.25 * tolerance * high
        secant = high - width * tf.math.divide_no_nan(f_high, f_high - f_low)
        halve = (slow >= 2) | (2 * count > most)
        t = tf.where(halve, low + 0.5 * width, tf.clip_by_value(secant, low + least, high - least))
        value = beyond(at(t))
        far, moves = value > 0, ~narrow(low, high)
        new_low, new_high = tf.where(moves & ~far, t, low), tf.where(moves & far, t, high)
        return (
            count + 1,
            new_low,
            new_high,
            tf.where(moves, tf.where(far, 0.5 * f_low, value), f_low),
            tf.where(moves, tf.where(far, value, 0.5 * f_high), f_high),
            tf.where(new_high - new_low > 0.5 * width, slow + 1, 0),
        )

    f_high = beyond(z)
    high = tf.ones_like(f_high)
    low = tf.where(f_high > 0, 0.0, high)
    start = (tf.constant(2), low, high, tf.minimum(beyond(x), 0.0), f_high, tf.zeros_like(high, tf.int32))
    count, _, high, *_ = tf.while_loop(more, step, start)
    return at(high), count
