"""Shorten a misclassified point with tfp's L-BFGS on an augmented Lagrangian.

At a point on the boundary with the constraint's gradient a, the nearest point x + r of the boundary satisfies
``r = -mu a`` over the coordinates that no bound holds. A round estimates mu by least squares of that, freezes
the coordinates that rest on a bound and want out, and minimises

``|r|^2 / 2 + (max(0, mu + g)^2 - mu^2) / 2``

for a few iterations (Nocedal and Wright 2006, section 17.4), with r in units of the point's distance and g in
units of a change of 1 in r, so that neither the scale of the logits nor that of the box matters and L-BFGS'
first step is about right. Then the point is brought back to the boundary on the ray from the sample.
"""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, I64, Mask
from robustcheck.models import Classifier
from robustcheck.search._boxed import BoxedProblem, minimize_in_box
from robustcheck.search._constraint import look
from robustcheck.search._geometry import L2
from robustcheck.search._lbfgs import Effort
from robustcheck.search._rows import Rows

# how strongly the constraint is enforced against the norm, both in units of 1
_PENALTY = 1.0
# aim this far behind the boundary, in shares of the distance
_BEHIND = 1e-3


def refine(classifier: Classifier, rows: Rows, z: F32, effort: Effort, history: int) -> tuple[F32, I64]:
    """One round from points on the boundary ``[R, D]``: new points (not on it) and evaluations ``[R]``."""
    distance = np.maximum(L2.distance(rows.x, z), np.finfo(np.float32).tiny).astype(np.float32)
    normal = look(classifier, rows.goal, z).normal
    multiplier, frozen, length = _multiplier(rows, z, (z - rows.x) / distance[:, None], normal)
    scale = np.where(length > 0, 1.0 / np.maximum(length, np.finfo(np.float32).tiny), 0.0).astype(np.float32)

    def pull(at: F32, which: I64) -> tuple[F32, F32]:
        gap, normal, _ = look(classifier, rows.goal.take(which), at)
        g = gap * scale[which] / distance[which] + _BEHIND
        force = np.maximum(multiplier[which] + _PENALTY * g, 0.0)
        value = (force**2 - multiplier[which] ** 2) / (2 * _PENALTY)
        return value, (force * scale[which])[:, None] * normal

    boxed = BoxedProblem(unit=distance, weight=np.ones_like(distance), frozen=frozen)
    moved, spent = minimize_in_box(rows, z, pull, boxed, effort, history)
    return np.where((length > 0)[:, None], moved, z), spent + 1


def _multiplier(rows: Rows, z: F32, u: F32, normal: F32) -> tuple[F32, Mask, F32]:
    """mu by least squares, the frozen coordinates, and the length of the free gradient; mu in its units."""
    on_lower, on_upper = z <= rows.lower, z >= rows.upper
    free = ~(on_lower | on_upper)
    for _ in range(2):
        squares = np.sum(np.where(free, normal * normal, 0.0), axis=1)
        mu = np.maximum(
            -np.sum(np.where(free, normal * u, 0.0), axis=1) / np.maximum(squares, np.finfo(np.float32).tiny),
            0.0,
        )
        pull = u + mu[:, None] * normal
        free = ~((on_lower & (pull > 0)) | (on_upper & (pull < 0)))
    length = np.sqrt(np.sum(np.where(free, normal * normal, 0.0), axis=1))
    return (mu * length).astype(np.float32), ~free, length.astype(np.float32)
