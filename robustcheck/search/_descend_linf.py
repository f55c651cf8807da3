"""Look for a misclassified point within a radius in Linf, by tfp's L-BFGS.

The points of the box within a radius are a box themselves, in which the constraint alone is minimised: from a
random point of it that may lead to another valley than the one the nearest point lies in.
"""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.models import Classifier
from robustcheck.search._boxed import BoxedProblem, held_by_bounds, minimize_in_box
from robustcheck.search._constraint import look
from robustcheck.search._lbfgs import Effort
from robustcheck.search._rows import Rows

# the radius looked within, in shares of the one given
_WITHIN = 0.98
# what the constraint falls by over the radius, at the slope of the start: L-BFGS' tolerances are for about 1,
# and the constraint is to be followed farther than that
_SCALE = 20.0
_TINY = np.finfo(np.float32).tiny


def descend_linf(
    classifier: Classifier, rows: Rows, z: F32, radius: F64, effort: Effort, history: int
) -> tuple[F32, I64]:
    """From ``z`` ``[R, D]`` to where the constraint is least within the radius ``[R]``; and evaluations."""
    inside = rows.within(_WITHIN * radius)
    start = np.clip(z, inside.lower, inside.upper)
    slope = look(classifier, rows.goal, start).normal
    unit = np.maximum(radius, _TINY).astype(np.float32)
    scale = _SCALE / np.maximum(np.abs(slope).sum(axis=1) * unit, _TINY).astype(np.float32)

    def pull(at: F32, which: I64) -> tuple[F32, F32]:
        gap, normal, _ = look(classifier, rows.goal.take(which), at)
        return gap * scale[which], (scale * unit)[which][:, None] * normal

    boxed = BoxedProblem(unit=unit, weight=np.zeros_like(unit), frozen=held_by_bounds(inside, start, slope))
    moved, spent = minimize_in_box(inside, start, pull, boxed, effort, history)
    return moved, spent + 1
