"""A walk along linearised boundaries, biased towards the sample: a quick way to a near misclassified point.

The step follows FAB (Croce and Hein 2020, "Minimally distorted adversarial attacks with a fast adaptive
boundary attack", arXiv 1907.02044, section 3): project a mix of the point and the sample, with a weight of at
most 0.2 for the sample, onto the linearised boundary within the box, and overshoot by 1.1 (in L1 both are
projected, then mixed); a misclassified point is recorded and drawn back to a share of its way. Unlike there a
step is one gradient evaluation: whether a point is misclassified is seen where its gradient is taken, and the
linearisation there serves for where it is drawn back to as well, which is why it is drawn back by more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32, I64
from robustcheck.models import Classifier
from robustcheck.search._constraint import look
from robustcheck.search._geometry import Geometry
from robustcheck.search._problem import Problem
from robustcheck.search._rows import Rows

_MOST_WEIGHT = np.float32(0.2)
OVERSHOOT = np.float32(1.1)
# a crossing is believed no nearer to the sample than this share of the way
_NEAREST = 0.5


@dataclass(frozen=True, eq=False)
class Walked:
    """What walks came upon, ``R`` rows.

    Attributes:
        nearest: the misclassified point whose boundary is thought to be nearest, ``[R, D]``; NaN = none.
        crossing: where on the way to it the linearised boundary is, in shares of it, ``[R]``.
        lead: by how much it is misclassified, ``[R]``.
        distance: of that crossing, ``[R]``; infinite where there is none.
        ended: where the walk ended, ``[R, D]``.
    """

    nearest: F32
    crossing: F32
    lead: F32
    distance: F32
    ended: F32

    def take(self, chosen: I64) -> Walked:
        """The walks at these positions."""
        return Walked(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def crossed(self, rows: Rows) -> F32:
        """The points on the linearised boundary, ``[R, D]``; NaN = none."""
        return rows.x + self.crossing[:, None] * (self.nearest - rows.x)


def walk(classifier: Classifier, geometry: Geometry, rows: Rows, start: F32, steps: int) -> Walked:
    """So many steps from ``start`` ``[R, D]``."""
    x, z = rows.x, start
    nearest, count = np.full_like(x, np.nan), len(x)
    crossing, lead = np.ones(count, np.float32), np.zeros(count, np.float32)
    distance = np.full(count, np.inf, np.float32)
    for _ in range(steps):
        seen = look(classifier, rows.goal, z)
        normal, gap = numerics.to_unit_slope(seen.normal, seen.gap)
        away = z - x
        back = -numerics.rowwise_dot(normal, away)
        far = seen.lead > 0
        if far.any():
            share = np.clip(1 + numerics.divide_no_nan(gap, back), _NEAREST, 1)
            length = share * geometry.length(away)
            nearer = far & (length < distance)
            nearest[nearer], crossing[nearer] = z[nearer], share[nearer]
            lead[nearer], distance[nearer] = seen.lead[nearer], length[nearer]
            drawn = np.where(far, geometry.drawn_back, 1.0).astype(np.float32)
            z = x + drawn[:, None] * away
            gap = gap + (1 - drawn) * back
            back = drawn * back
        z = _stepped(geometry, rows, z, normal, gap, gap + back)
    return Walked(nearest, crossing, lead, distance, z)


def overshot(problem: Problem, start: F32) -> F32:
    """Where walks from samples ``[B, D]`` come by their first step, given points of linearised boundaries."""
    there = problem.rows + OVERSHOOT * (start - problem.rows)
    return numerics.into_box(there, problem.lower, problem.upper)


def _stepped(geometry: Geometry, rows: Rows, z: F32, normal: F32, gap: F32, gap_x: F32) -> F32:
    """A step from ``z``, given the linearisation's value there and at the sample."""
    to_z, to_x = np.maximum(gap, 0), np.maximum(gap_x, 0)
    weight = np.minimum(numerics.divide_no_nan(to_z, to_z + to_x), _MOST_WEIGHT)
    if geometry.mixes_projections:
        mixed = _beyond(geometry, rows, z, normal, gap)
        mixed += weight[:, None] * (_beyond(geometry, rows, rows.x, normal, gap_x) - mixed)
    else:
        base = rows.x - z
        base *= weight[:, None]
        base += z
        mixed = _beyond(geometry, rows, base, normal, gap + weight * (gap_x - gap))
    return numerics.into_box(mixed, rows.lower, rows.upper)


def _beyond(geometry: Geometry, rows: Rows, base: F32, normal: F32, gap: F32) -> F32:
    """Through the nearest point of the linearised boundary and a bit on, given its value at ``base``."""
    lower, upper = rows.lower, rows.upper
    if not math.isinf(geometry.reach):
        # the part of the box that a linearisation at a point is believed in
        most = geometry.reach * (upper - lower)
        lower, upper = np.maximum(lower, base - most), np.minimum(upper, base + most)
    step, _ = geometry.about_half_space(base, normal, gap, lower, upper)
    step -= base
    step *= OVERSHOOT
    step += base
    return step
