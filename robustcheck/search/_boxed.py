"""L-BFGS in a box: what both methods minimise, ``weight |r|^2 / 2 + pull(x + r)`` with ``x + r`` in the box.

tfp's L-BFGS knows no bounds. Coordinates that rest on a bound and want out of the box are frozen by the
caller, the rest is clipped where the model is called and has no slope beyond its bound; the next round looks
again which are frozen. ``r`` is in units that the caller gives for each row, so that its length is about 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32, I64, Mask
from robustcheck.search._lbfgs import Effort, minimize
from robustcheck.search._rows import Rows

# (points of the box [M, D], which rows they are [M]) -> (values [M], gradients by the units [M, D])
Pull = Callable[[F32, I64], tuple[F32, F32]]


@dataclass(frozen=True, kw_only=True, eq=False)
class BoxedProblem:
    """What is minimised beside the pull, by row.

    Attributes:
        unit: of the perturbation, ``[R]``, positive.
        weight: of half the squared perturbation, in these units, ``[R]``.
        frozen: coordinates that stay where they are, ``[R, D]``.
    """

    unit: F32
    weight: F32
    frozen: Mask


def held_by_bounds(rows: Rows, z: F32, slope: F32) -> Mask:
    """Coordinates that rest on a bound and would leave the box against the slope, ``[R, D]``."""
    held: Mask = ((z <= rows.lower) & (slope > 0)) | ((z >= rows.upper) & (slope < 0))
    return held


def minimize_in_box(
    rows: Rows, z: F32, pull: Pull, problem: BoxedProblem, effort: Effort, history: int
) -> tuple[F32, I64]:
    """A few iterations from ``z``; new points of the box ``[R, D]`` and evaluations ``[R]``.

    Where an iteration ran off to what is not finite, the point is ``z`` again.
    """
    unit = problem.unit[:, None]

    def objective(u: F32, which: I64) -> tuple[F32, F32]:
        x, lower, upper = (part[which] for part in (rows.x, rows.lower, rows.upper))
        scale, weight = unit[which], problem.weight[which]
        inside = scale * u
        # a line search may run off to NaN, which no model should see: a row of it fails by its value alone
        runs_off = np.isnan(numerics.rowwise_dot(inside, inside))
        inside[runs_off] = 0
        inside += x
        at = numerics.into_box(inside.copy(), lower, upper)
        value, gradient = pull(at, which)
        # beyond a bound nothing changes
        free = (~problem.frozen[which] & (at == inside)).astype(np.float32)
        at -= x
        at /= scale
        value = 0.5 * weight * numerics.rowwise_dot(at, at) + value
        at *= weight[:, None]
        at += gradient
        at *= free
        return np.where(runs_off, np.nan, value).astype(np.float32), at

    u, spent = minimize(objective, (z - rows.x) / unit, effort, history=history)
    moved = np.clip(rows.x + unit * u, rows.lower, rows.upper)
    return np.where(np.isfinite(moved).all(axis=1, keepdims=True), moved, z), spent
