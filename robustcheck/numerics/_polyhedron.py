"""The nearest point under a handful of planes within the box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from robustcheck.numerics._graphs import shared
from robustcheck.numerics._rows import l1_norm, rowwise_dot

Tensor = Any


@shared
def nearest_in_polyhedron(
    x: Tensor, normals: Tensor, offsets: Tensor, lower: Tensor, upper: Tensor, *, steps: int = 14
) -> Tensor:
    """About the nearest point of the box to ``x`` in L2 with ``normals . z <= offsets``.

    Meant for a handful of planes; where they have no point of the box in common the answer is of no use.

    Args:
        x: ``[B, D]``.
        normals: ``[B, M, D]``, each of length 1, or 0 for a plane that is not there.
        offsets: ``[B, M]``.
        lower, upper: ``[B, D]``, the box, infinite sides allowed.
        steps: of Newton's method.
    """

    def nearest(v: Tensor) -> tuple[Tensor, Tensor]:
        # a coordinate that rests on its bound counts as free, so that the first step is not too long
        return tf.clip_by_value(v, lower, upper), (v >= lower) & (v <= upper)

    def cost(z: Tensor) -> Tensor:
        return 0.5 * rowwise_dot(z - x, z - x)

    return _by_dual(x, nearest, cost, normals, offsets, steps)


@shared
def nearest_sparse_in_polyhedron(
    x: Tensor,
    base: Tensor,
    threshold: Tensor,
    normals: Tensor,
    offsets: Tensor,
    lower: Tensor,
    upper: Tensor,
    *,
    steps: int = 14,
) -> Tensor:
    """About the point of the box with ``normals . z <= offsets`` that minimises
    ``threshold |z - x|_1 + |z - base|_2^2 / 2``.

    Args:
        x: ``[B, D]``, inside the box: where features rest that are not worth moving.
        base: ``[B, D]``.
        threshold: ``[B]``.
        normals, offsets, lower, upper, steps: as for :func:`nearest_in_polyhedron`.
    """
    tau = threshold[:, None]

    def nearest(v: Tensor) -> tuple[Tensor, Tensor]:
        away = v - x
        soft = x + tf.sign(away) * tf.maximum(tf.abs(away) - tau, 0.0)
        return tf.clip_by_value(soft, lower, upper), (tf.abs(away) >= tau) & (soft >= lower) & (soft <= upper)

    def cost(z: Tensor) -> Tensor:
        return threshold * l1_norm(z - x) + 0.5 * rowwise_dot(z - base, z - base)

    return _by_dual(base, nearest, cost, normals, offsets, steps)


def _by_dual(
    base: Tensor,
    nearest: Callable[[Tensor], tuple[Tensor, Tensor]],
    cost: Callable[[Tensor], Tensor],
    normals: Tensor,
    offsets: Tensor,
    steps: int,
) -> Tensor:
    """Newton's method on the dual, whose gradient at multipliers ``s >= 0`` is ``normals . z - offsets``.

    ``z = nearest(base - normals^T s)``, which also tells the coordinates that move with ``s``; a step that
    lowers the dual is cut to a quarter.
    """
    eye = tf.eye(tf.shape(normals)[1], dtype=tf.float64)

    def newton(count: Tensor, s: Tensor, dual: Tensor, trial: Tensor) -> tuple[Tensor, ...]:
        z, moves = nearest(base - tf.einsum("bmd,bm->bd", normals, trial))
        excess = tf.einsum("bmd,bd->bm", normals, z) - offsets
        value = cost(z) + rowwise_dot(trial, excess)
        better = (value >= dual)[:, None]
        active = tf.cast((trial > 0) | (excess > 0), base.dtype)
        part = normals * tf.cast(moves, base.dtype)[:, None] * active[:, :, None]
        hessian = tf.cast(tf.einsum("bmd,bnd->bmn", part, part), tf.float64)
        # planes may be the same but for float32's rounding, which the ridge outweighs; in float64, since
        # the solver gives up on a matrix that float32 calls singular
        hessian += (1.0 - tf.cast(active, tf.float64) + 1e-5)[:, :, None] * eye
        step = tf.linalg.solve(hessian, tf.cast(excess * active, tf.float64)[:, :, None])[:, :, 0]
        step = tf.cast(step, base.dtype)
        following = tf.where(better, tf.maximum(trial + step, 0.0), s + 0.25 * (trial - s))
        return count + 1, tf.where(better, trial, s), tf.maximum(value, dual), following

    none = tf.zeros_like(offsets)
    start = (tf.constant(0), none, tf.fill(tf.shape(offsets)[:1], base.dtype.min), none)
    _, s, *_ = tf.while_loop(lambda count, *_: count < steps, newton, start)
    return nearest(base - tf.einsum("bmd,bm->bd", normals, s))[0]
