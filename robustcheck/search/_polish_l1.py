"""Polishing in L1: cutting planes with a soft threshold.

A step goes to the point under the planes that minimises ``tau |u - x|_1 + |u - z|_2^2 / 2``, with ``z`` the
best point known. ``tau`` rises as steps grow bolder.
"""

from __future__ import annotations

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32
from robustcheck.search._planes import Planes
from robustcheck.search._polish import Bundle, State, behind_by_length, on_ray
from robustcheck.search._rows import Rows

# a plane may be missed by this share of the L2 length
_PRECISION = np.float32(1e-5)


def _step(rows: Rows, state: State, planes: Planes) -> F32:
    r = state.z - rows.x
    squares = numerics.rowwise_dot(r, r)
    # the threshold in units of the perturbation's own mean, weighted by length
    mean = numerics.divide_no_nan(squares, state.shortest)
    u, planes.multipliers = numerics.nearest_sparse_in_polyhedron(
        rows.x, state.z, state.boldness * mean, planes.normals, planes.offsets, rows.lower, rows.upper,
        start=planes.multipliers, precision=_PRECISION * np.sqrt(squares),
    )  # fmt: skip
    return u


POLISH_L1 = Bundle(
    length=numerics.l1_norm, to_boundary=on_ray, behind=behind_by_length, slack=1.01, step=_step,
    first=0.3, success=1.6, failure=0.6, least=1e-4, most=3.0,
)  # fmt: skip
