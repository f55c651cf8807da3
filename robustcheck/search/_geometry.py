"""What a search needs of a norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robustcheck import norms, numerics
from robustcheck.arrays import F32, F64

Tensor = Any


@dataclass(frozen=True)
class Geometry:
    """One norm, as graphs and arrays need it.

    Attributes:
        norm: the norm.
        length: of perturbations, ``[R, D] -> [R]``, in a graph.
        nearest_in_half_space: as :func:`robustcheck.numerics.nearest_in_half_space`, nearest in this norm.
    """

    norm: norms.Norm
    length: Callable[[Tensor], Tensor]
    nearest_in_half_space: Callable[..., tuple[Tensor, Tensor]]

    def distance(self, x: F32, points: F32) -> F64:
        """Distance of points from their samples, ``[R, D], [R, D] -> [R]``; infinite where there is none."""
        return self.norm.distance(x, points, x.shape[1])


L2 = Geometry(norms.L2, numerics.l2_norm, numerics.nearest_in_half_space)
