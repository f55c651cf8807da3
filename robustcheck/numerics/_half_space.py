"""The nearest point of a half-space within the box: exact, in each norm."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, Mask
from robustcheck.numerics._rows import into_box, rowwise_dot
from robustcheck.numerics._threads import in_threads

# of the gap: what a half-space counts as reached at
_REACHED = 1e-5
# a step along which all features have come to rest on a bound
_BEYOND = np.float32(1e30)
# features looked at first in L1, the steepest ones; more where they do not do
_FIRST = 64


@in_threads
def nearest_in_half_space(
    x: F32, normal: F32, gap: F32, lower: F32, upper: F32, *, precision: float = 1e-6, steps: int = 40
) -> tuple[F32, Mask]:
    """Nearest point of the box to ``x`` in L2 with ``gap + normal . (z - x) <= 0``; exact to rounding.

    The minimiser is ``clip(x - s * normal)`` for the least ``s >= 0`` that reaches the half-space (the KKT
    conditions of the projection).

    Args:
        x: ``[B, D]``, inside the box.
        normal: ``[B, D]``, gradient of the constraint.
        gap: ``[B]``, its value at ``x``; rows with ``gap <= 0`` stay where they are.
        lower, upper: ``[B, D]``, the box, infinite sides allowed.
        precision: share of the gap that may be left.
        steps: looks at the constraint at most.

    Returns:
        The point ``[B, D]`` and whether the half-space was reached ``[B]``. Rows that cannot reach it within
        the box go to the corner that comes nearest.
    """
    return _along(normal, x, normal, gap, lower, upper, precision, steps)


@in_threads
def nearest_in_half_space_linf(
    x: F32, normal: F32, gap: F32, lower: F32, upper: F32, *, precision: float = 1e-6, steps: int = 40
) -> tuple[F32, Mask]:
    """The same in Linf: ``clip(x - s * sign(normal))`` for the least ``s >= 0`` that reaches it.

    All features move alike until they rest on a bound, as far as they change the constraint at all.
    """
    return _along(np.sign(normal), x, normal, gap, lower, upper, precision, steps)


def _along(
    direction: F32, x: F32, normal: F32, gap: F32, lower: F32, upper: F32, precision: float, steps: int
) -> tuple[F32, Mask]:
    """``clip(x - s * direction)`` for the least ``s`` that reaches the half-space.

    What is gained is concave and piecewise linear in ``s``, so the secant method from 0 and from where a
    problem without a box would end climbs to the root without overshooting.
    """
    most_up, most_down = x - upper, x - lower
    moved = np.empty_like(x)

    def gained(s: F32) -> F32:
        np.multiply(direction, s[:, None], out=moved)
        return rowwise_dot(normal, into_box(moved, most_up, most_down))

    wanted = np.maximum(gap, 0).astype(np.float32)
    free = rowwise_dot(normal, direction)
    steepest = np.where(free > 0, free, 1)
    before, had = np.zeros_like(wanted), np.zeros_like(wanted)
    s = np.where(free > 0, wanted / steepest, 0).astype(np.float32)
    for _ in range(steps):
        got = gained(s)
        left = wanted - got
        going = (left > precision * wanted) & (s < _BEYOND) & (s > before)
        if not going.any():
            break
        slope = np.where(going, got - had, 1) / np.where(going, s - before, 1)
        # where next to nothing is gained any more the rest is out of reach
        following = np.where(slope > 1e-6 * steepest, s + left / np.where(slope > 0, slope, 1), _BEYOND)
        before, had = np.where(going, s, before), np.where(going, got, had)
        s = np.where(going, np.minimum(following, _BEYOND), s).astype(np.float32)
    else:
        got = gained(s)
    point = into_box(np.subtract(x, moved), lower, upper)
    # rounding of what was gained: all terms are positive
    return point, wanted - got <= _REACHED * (wanted + got)


@in_threads
def nearest_in_half_space_l1(x: F32, normal: F32, gap: F32, lower: F32, upper: F32) -> tuple[F32, Mask]:
    """The same in L1: features go to their bound from the one with the largest slope on, the last in part.

    A unit of length buys most where the slope is largest, so no feature moves before those with a larger one
    have used their room (a continuous knapsack).
    """
    slope = np.abs(normal)
    width, count = x.shape[1], min(_FIRST, x.shape[1])
    at, wanted = np.arange(len(x))[:, None], np.maximum(gap, 0).astype(np.float32)
    while True:
        some = np.argpartition(slope, width - count, axis=1)[:, width - count :] if count < width else None
        steep = slope if some is None else slope[at, some]
        order = np.argsort(-steep, axis=1, kind="stable")
        which = order if some is None else some[at, order]
        steep, chosen, here = slope[at, which], normal[at, which], x[at, which]
        space = np.where(chosen > 0, here - lower[at, which], upper[at, which] - here)
        # infinite room without a slope buys nothing
        bought = np.where(steep > 0, np.where(steep > 0, space, 0) * steep, 0)
        spent = np.cumsum(bought, axis=1)
        if count == width or (spent[:, -1] >= wanted).all():
            break
        count = min(4 * count, width)
    left = wanted[:, None] - np.concatenate([np.zeros_like(wanted)[:, None], spent[:, :-1]], axis=1)
    moves = np.clip(np.where(steep > 0, left / np.where(steep > 0, steep, 1), 0), 0, space)
    point = x.copy()
    there = here - np.sign(chosen) * moves
    point[at, which] = np.clip(there, lower[at, which], upper[at, which])
    got = np.sum(steep * moves, axis=1, dtype=np.float32)
    return point, wanted - got <= _REACHED * (wanted + got)
