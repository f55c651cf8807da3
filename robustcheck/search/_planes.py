"""The last few linearisations of the constraint, which polishing in every norm goes by.

Near its nearest point the boundary of a net of ReLUs is made of facets, and a smooth method stalls on the
edges between them. A plane is ``normals . z <= offsets`` with a normal of length 1 in L2; planes that would
cut the best point off, as those of a curved boundary do, are dropped.
"""

from __future__ import annotations

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32
from robustcheck.models import Classifier
from robustcheck.search._constraint import Looked, look
from robustcheck.search._rows import Goal

# planes remembered
_PLANES = 5


class Planes:
    """The planes of ``R`` rows; a normal of zeros is no plane.

    Attributes:
        normals, offsets: ``[R, M, D]`` and ``[R, M]``, of as many as there were steps, at most 5.
        multipliers: of the last step, ``[R, M]``, which the next begins with.
    """

    def __init__(self, x: F32) -> None:
        count, width = x.shape
        self._normals = np.zeros((count, _PLANES, width), np.float32)
        self._offsets, self._multipliers = np.zeros((2, count, _PLANES), np.float32)
        self._used = 0

    @property
    def normals(self) -> F32:
        return self._normals[:, : self._used]

    @property
    def offsets(self) -> F32:
        return self._offsets[:, : self._used]

    @property
    def multipliers(self) -> F32:
        return self._multipliers[:, : self._used]

    @multipliers.setter
    def multipliers(self, of_step: F32) -> None:
        self._multipliers[:, : self._used] = of_step

    def add(self, step: int, normal: F32, offset: F32) -> None:
        """That of a step in the place of the oldest."""
        slot = step % _PLANES
        self._normals[:, slot], self._offsets[:, slot], self._multipliers[:, slot] = normal, offset, 0
        self._used = min(step + 1, _PLANES)

    def drop_cutting(self, z: F32, slack: F32) -> None:
        """Drop those that cut ``z`` by more than the slack, ``[R, 1]`` or ``[R, M]``."""
        row, plane = np.nonzero(np.matmul(self.normals, z[:, :, None])[:, :, 0] > self.offsets + slack)
        for part in (self._normals, self._offsets, self._multipliers):
            part[row, plane] = 0


def linearised(classifier: Classifier, goal: Goal, u: F32) -> Looked:
    """The constraint at ``u``, scaled to a gradient of length 1, and the decision there."""
    seen = look(classifier, goal, u)
    # to length 1 in two steps: the squares of a saturated model's tiny gradients would underflow
    normal, gap = numerics.to_unit_slope(seen.normal, seen.gap)
    length = numerics.l2_norm(normal)
    # no slope, no plane
    scale = np.where(length > 0, length, 1).astype(np.float32)
    normal /= scale[:, None]
    return Looked(gap / scale, normal, seen.lead)
