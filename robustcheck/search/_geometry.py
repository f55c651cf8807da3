"""What a search needs of a norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from robustcheck import norms, numerics
from robustcheck.arrays import F32, F64, I64
from robustcheck.search._descend_linf import descend_linf
from robustcheck.search._hops import Hop, hop_l1, hop_l2, hop_linf
from robustcheck.search._lbfgs import Effort
from robustcheck.search._polish import polish_l2
from robustcheck.search._polish_l1 import polish_l1
from robustcheck.search._polish_linf import polish_linf
from robustcheck.search._schedule import Lengths

Tensor = Any


@dataclass(frozen=True)
class Geometry:
    """One norm, as the search needs it.

    Attributes:
        norm: the norm.
        length: of perturbations, ``[R, D] -> [R]``, in a graph.
        nearest_in_half_space: as :func:`robustcheck.numerics.nearest_in_half_space`, nearest in this norm.
        polish: shortens misclassified points, in a graph; as :func:`robustcheck.search._polish.polish_l2`.
        hop: points to start from that lie about as far as the nearest one known.
        descend: from points to where the constraint is least within a radius; None = walks only.
        lengths: of the stages of the schedule.
        drawn_back: to this share of its way a walk draws a misclassified point back.
        reach: how far a step of a walk may move a feature, in widths of its box.
    """

    norm: norms.Norm
    length: Callable[[Tensor], Tensor]
    nearest_in_half_space: Callable[..., tuple[Tensor, Tensor]]
    polish: Callable[..., Tensor]
    hop: Callable[[Hop], F32]
    lengths: Lengths = field(default_factory=Lengths)
    descend: Callable[..., tuple[F32, I64]] | None = None
    drawn_back: float = 0.9
    reach: float = math.inf

    def distance(self, x: F32, points: F32) -> F64:
        """Distance of points from their samples, ``[R, D], [R, D] -> [R]``; infinite where there is none."""
        return self.norm.distance(x, points, x.shape[1])


L2 = Geometry(norms.L2, numerics.l2_norm, numerics.nearest_in_half_space, polish_l2, hop_l2)
# without rounds of L-BFGS from the nearest point: in Linf they were 0.04 to 0.3 % worse at 300 gradients in
# each of eight settings on four models, in L1 in each of the settings tried
_OTHER = Lengths(polish_nearest=16, walk_on=24, rounds=False)
_DESCENT = Effort(iterations=5, line_search=3, most=15)
GEOMETRIES: Mapping[str, Geometry] = MappingProxyType(
    {
        "l2": L2,
        "linf": Geometry(
            norms.NORMS["linf"], numerics.linf_norm, numerics.nearest_in_half_space_linf, polish_linf,
            hop_linf, lengths=replace(_OTHER, descent=_DESCENT), descend=descend_linf, drawn_back=0.8,
        ),
        "l1": Geometry(
            norms.NORMS["l1"], numerics.l1_norm, numerics.nearest_in_half_space_l1, polish_l1, hop_l1,
            lengths=replace(_OTHER, first_walk=10, hop_near=1.2, walk_l2=20), drawn_back=0.75, reach=0.5,
        ),
    }
)  # fmt: skip
