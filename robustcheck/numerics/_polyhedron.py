"""The nearest point under a handful of planes within the box."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from robustcheck.arrays import F32, F64, Mask
from robustcheck.numerics._rows import into_box, l1_norm, rowwise_dot
from robustcheck.numerics._threads import in_threads

# planes may be the same but for float32's rounding, which this ridge outweighs
_RIDGE = 1e-5
# of the largest offset: float32's rounding
_SLACK = np.float32(1e-6)


@in_threads
def nearest_in_polyhedron(
    x: F32,
    normals: F32,
    offsets: F32,
    lower: F32,
    upper: F32,
    *,
    start: F32 | None = None,
    precision: F32 | None = None,
    steps: int = 14,
) -> tuple[F32, F32]:
    """About the nearest point of the box to ``x`` in L2 with ``normals . z <= offsets``.

    Meant for a handful of planes; where they have no point of the box in common the answer is of no use.

    Args:
        x: ``[B, D]``.
        normals: ``[B, M, D]``, each of length 1, or 0 for a plane that is not there.
        offsets: ``[B, M]``.
        lower, upper: ``[B, D]``, the box, infinite sides allowed.
        start: multipliers ``[B, M]`` to begin with; 0 when None.
        precision: by how much planes may be missed, ``[B]``; exact to rounding when None.
        steps: of Newton's method at most.

    Returns:
        The points ``[B, D]`` and the multipliers ``[B, M]``.
    """

    return _by_dual(_Euclidean(x, lower, upper), normals, offsets, start, precision, steps)


@in_threads
def nearest_sparse_in_polyhedron(
    x: F32,
    base: F32,
    threshold: F32,
    normals: F32,
    offsets: F32,
    lower: F32,
    upper: F32,
    *,
    start: F32 | None = None,
    precision: F32 | None = None,
    steps: int = 14,
) -> tuple[F32, F32]:
    """About the point of the box with ``normals . z <= offsets`` that minimises
    ``threshold |z - x|_1 + |z - base|_2^2 / 2``.

    Args:
        x: ``[B, D]``, inside the box: where features rest that are not worth moving.
        base: ``[B, D]``.
        threshold: ``[B]``.
        normals, offsets, lower, upper, start, precision, steps: as for :func:`nearest_in_polyhedron`.
    """
    return _by_dual(_Sparse(base, lower, upper, x, threshold), normals, offsets, start, precision, steps)


class _Euclidean(NamedTuple):
    """``|z - base|_2^2 / 2`` in the box."""

    base: F32
    lower: F32
    upper: F32

    def nearest(self, v: F32) -> tuple[F32, Mask]:
        """The minimiser where ``base`` is moved to ``v``, and the coordinates that move with that."""
        z = into_box(v.copy(), self.lower, self.upper)
        # a coordinate that rests on its bound counts as free, so that the first step is not too long
        return z, z == v

    def cost(self, z: F32) -> F32:
        r = z - self.base
        return np.float32(0.5) * rowwise_dot(r, r)


class _Sparse(NamedTuple):
    """``threshold |z - x|_1 + |z - base|_2^2 / 2`` in the box."""

    base: F32
    lower: F32
    upper: F32
    x: F32
    threshold: F32

    def nearest(self, v: F32) -> tuple[F32, Mask]:
        """As that of :class:`_Euclidean`."""
        away, tau = v - self.x, self.threshold[:, None]
        # what is left beyond the threshold on either side
        away -= np.clip(away, -tau, tau)
        moves = away != 0
        away += self.x
        z = into_box(away.copy(), self.lower, self.upper)
        moves &= z == away
        return z, moves

    def cost(self, z: F32) -> F32:
        r = z - self.base
        return self.threshold * l1_norm(z - self.x) + np.float32(0.5) * rowwise_dot(r, r)


def _by_dual(
    primal: _Euclidean | _Sparse,
    normals: F32,
    offsets: F32,
    start: F32 | None,
    precision: F32 | None,
    steps: int,
) -> tuple[F32, F32]:
    """Newton's method on the dual, whose gradient at multipliers ``s >= 0`` is ``normals . z - offsets``.

    ``z`` is nearest where ``base`` is moved by ``-normals^T s``; a step that lowers the dual is cut to a
    quarter. Rows that are done are left out of the rest.
    """
    point, multipliers = np.empty_like(primal.base), np.zeros_like(offsets)
    slack = _SLACK * (1 + np.abs(offsets).max(axis=1)) if precision is None else precision
    s = multipliers if start is None else start
    rows, trial, dual = np.arange(len(point)), s, np.full(len(point), -np.inf, np.float32)
    going = np.ones(len(point), bool)
    for count in range(steps + 1):
        z, moves = primal.nearest(primal.base - _combined(normals, trial))
        excess = np.matmul(normals, z[:, :, None])[:, :, 0] - offsets
        active = (trial > 0) | (excess > 0)
        excess *= active
        # a row keeps its first answer that will do, whatever company it has
        ends = going & ((np.abs(excess) <= slack[:, None]).all(axis=1) | (count == steps))
        point[rows[ends]], multipliers[rows[ends]] = z[ends], trial[ends]
        going &= ~ends
        if not going.any():
            break
        if 2 * np.count_nonzero(going) <= len(going):
            primal = type(primal)(*(part[going] for part in primal))
            rows, normals, offsets, slack = rows[going], normals[going], offsets[going], slack[going]
            z, moves, excess, active = z[going], moves[going], excess[going], active[going]
            s, trial, dual, going = s[going], trial[going], dual[going], going[going]
        value = primal.cost(z) + rowwise_dot(trial, excess)
        # rounding must not pass for a loss
        better = (value >= dual - 1e-6 * np.abs(dual))[:, None]
        step = _newton_step(normals, moves, active, excess, trial)
        following = np.where(better, np.maximum(trial + step, 0), s + np.float32(0.25) * (trial - s))
        s, dual, trial = np.where(better, trial, s), np.maximum(value, dual), following
    return point, multipliers


def _newton_step(normals: F32, moves: Mask, active: Mask, excess: F32, s: F32) -> F32:
    """By how much multipliers ``s`` ``[B, M]`` change for the active planes to meet what they miss.

    A multiplier that would become negative goes to 0, and the others make up for that.
    """
    part = normals * moves[:, None].astype(np.float32)
    # in float64, since float32 may call the matrix singular
    hessian = np.matmul(part, normals.transpose(0, 2, 1)).astype(np.float64)
    step = _solved(hessian, active, excess)
    dropped = active & (s + step < 0)
    if dropped.any():
        back = np.matmul(hessian, np.where(dropped, s, 0)[:, :, None])[:, :, 0]
        step = _solved(hessian, active & ~dropped, excess + back)
        step[dropped] = -s[dropped]
    return step.astype(np.float32)


def _solved(hessian: F64, active: Mask, wanted: Any) -> F64:
    """The system of the active planes alone; 0 for the others."""
    own = hessian * (active[:, :, None] & active[:, None])
    own += (1.0 - active + _RIDGE)[:, :, None] * np.eye(active.shape[1])
    solved: F64 = np.linalg.solve(own, (wanted * active)[:, :, None])[:, :, 0]
    return solved


def _combined(normals: F32, s: F32) -> F32:
    """``normals^T s``, ``[B, M, D], [B, M] -> [B, D]``."""
    combined: F32 = np.matmul(s[:, None], normals)[:, 0]
    return combined
