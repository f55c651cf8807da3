"""The last few linearisations of the constraint, which polishing in every norm goes by.

Near its nearest point the boundary of a net of ReLUs is made of facets, and a smooth method stalls on the
edges between them. A plane is ``normals . z <= offsets`` with a normal of length 1 in L2; planes that would
cut the best point off, as those of a curved boundary do, are dropped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from robustcheck import numerics
from robustcheck.models import Classifier
from robustcheck.search._constraint import constraint
from robustcheck.search._rows import Goal

Tensor = Any

# planes remembered
_PLANES = 5


class Planes(NamedTuple):
    """``[R, M, D]`` and ``[R, M]``; a normal of zeros is no plane."""

    normals: Tensor
    offsets: Tensor

    @staticmethod
    def none(x: Tensor) -> Planes:
        """Before the first step."""
        count, width = tf.shape(x)[0], x.shape[1]
        return Planes(tf.zeros([count, _PLANES, width]), tf.zeros([count, _PLANES]))

    def with_plane(self, i: Tensor, normal: Tensor, offset: Tensor) -> Planes:
        """With that of step ``i`` in the place of the oldest."""
        slot = tf.one_hot(i % _PLANES, _PLANES, dtype=normal.dtype)
        normals = self.normals + slot[:, None] * (normal[:, None] - self.normals)
        return Planes(normals, self.offsets + slot * (offset[:, None] - self.offsets))

    def without(self, z: Tensor, slack: Tensor) -> Planes:
        """Without those that cut ``z`` by more than the slack, ``[R, 1]`` or ``[R, M]``."""
        cuts = tf.einsum("rmd,rd->rm", self.normals, z) > self.offsets + slack
        return Planes(tf.where(cuts[:, :, None], 0.0, self.normals), tf.where(cuts, 0.0, self.offsets))


def linearised(classifier: Classifier, goal: Goal, u: Tensor) -> tuple[Tensor, Tensor]:
    """The constraint's value and gradient at ``u``, scaled to a gradient of length 1: ``[R]``, ``[R, D]``."""
    gap, normal = constraint(classifier, goal, u)
    # to length 1 in two steps: the squares of a saturated model's tiny gradients would underflow
    normal, gap = numerics.to_unit_slope(normal, gap)
    length = numerics.l2_norm(normal)
    gap = tf.math.divide_no_nan(gap, length)
    # a model may give NaN or infinity off its data: no plane then
    usable = tf.math.is_finite(gap) & tf.math.is_finite(length)
    normal = tf.where(usable[:, None], tf.math.divide_no_nan(normal, length[:, None]), 0.0)
    return tf.where(usable, gap, 0.0), normal
