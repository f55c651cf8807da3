"""Polishing in Linf: cutting planes in a box that shrinks.

All points of a radius are a box themselves. A step goes to the point nearest to the best one known that
satisfies the planes within a box a little smaller than the best radius, and from there to the boundary by
changing the radius alone: the features that lie on it and push the right way follow it, the rest is clipped.
"""

from __future__ import annotations

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32
from robustcheck.search._planes import Planes
from robustcheck.search._polish import BEHIND, SCALED, Bundle, State
from robustcheck.search._rows import Rows

# features this near to the radius lie on it, in shares of it
_ON_RADIUS = 1e-4
# a plane may be missed by this share of the L2 length of a step through all features
_PRECISION = np.float32(1e-5)


def _step(rows: Rows, state: State, planes: Planes) -> F32:
    within = ((1 - state.boldness) * state.shortest)[:, None]
    low, high = np.maximum(rows.lower, rows.x - within), np.minimum(rows.upper, rows.x + within)
    u, planes.multipliers = numerics.nearest_in_polyhedron(
        state.z, planes.normals, planes.offsets, low, high,
        start=planes.multipliers, precision=_PRECISION * numerics.l2_norm(state.z - rows.x),
    )  # fmt: skip
    return u


def _behind(r: F32, normals: F32) -> F32:
    dual = np.abs(normals).sum(axis=2)
    behind: F32 = BEHIND * numerics.linf_norm(r)[:, None] * dual
    return behind


def _at_radius(rows: Rows, u: F32, gap: F32, normal: F32) -> F32:
    """``u`` with the radius at which the linearised boundary is met, and a bit beyond."""
    r = u - rows.x
    radius = numerics.linf_norm(r)[:, None]
    inside = ((r > 0) & (u < rows.upper)) | ((r < 0) & (u > rows.lower))
    follows = (np.abs(r) >= (1 - _ON_RADIUS) * radius) & (r * normal < 0) & inside
    push = numerics.rowwise_dot(np.abs(normal), follows.astype(np.float32))
    change = numerics.divide_no_nan(gap, radius[:, 0] * push) + BEHIND
    reached = radius * (1 + np.clip(change, -SCALED, SCALED).astype(np.float32)[:, None])
    moved = np.clip(r, -reached, reached)
    np.copyto(moved, np.sign(r) * reached, where=follows)
    moved += rows.x
    return numerics.into_box(moved, rows.lower, rows.upper)


POLISH_LINF = Bundle(
    length=numerics.linf_norm, to_boundary=_at_radius, behind=_behind, slack=10.0, step=_step,
    first=0.05, success=1.5, failure=0.5, least=0.001, most=0.3,
)  # fmt: skip
