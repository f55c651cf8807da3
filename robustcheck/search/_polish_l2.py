"""Polishing in L2: to the point under the planes that is nearest to a mix of the sample and the best one."""

from __future__ import annotations

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32
from robustcheck.search._planes import Planes
from robustcheck.search._polish import Bundle, State, behind_by_length, on_ray
from robustcheck.search._rows import Rows

# a plane may be missed by this share of the distance
_PRECISION = np.float32(1e-5)


def _step(rows: Rows, state: State, planes: Planes) -> F32:
    # the sample's weight is 1, the best point's falls as the steps grow bolder
    share = (1 / (1 + state.boldness))[:, None]
    between = state.z - rows.x
    between *= share
    between += rows.x
    u, planes.multipliers = numerics.nearest_in_polyhedron(
        between, planes.normals, planes.offsets, rows.lower, rows.upper,
        start=planes.multipliers, precision=_PRECISION * state.shortest,
    )  # fmt: skip
    return u


POLISH_L2 = Bundle(
    length=numerics.l2_norm, to_boundary=on_ray, behind=behind_by_length, slack=1.01, step=_step,
    first=1.0, success=1.0 / 0.6, failure=1.0 / 1.6, least=0.02, most=20.0,
)  # fmt: skip
