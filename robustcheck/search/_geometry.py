"""What a search needs of a norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from robustcheck import norms, numerics
from robustcheck.arrays import F32, F64, I64, Mask
from robustcheck.search._descend_linf import descend_linf
from robustcheck.search._hops import Hop, hop_l1, hop_l2, hop_linf
from robustcheck.search._lbfgs import Effort
from robustcheck.search._polish import Bundle
from robustcheck.search._polish_l1 import POLISH_L1
from robustcheck.search._polish_l2 import POLISH_L2
from robustcheck.search._polish_linf import POLISH_LINF
from robustcheck.search._schedule import Lengths


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """One norm, as the search needs it.

    Attributes:
        norm: the norm.
        length: of perturbations, ``[R, D] -> [R]``, in float32.
        nearest_in_half_space: as :func:`robustcheck.numerics.nearest_in_half_space`, nearest in this norm.
        about_half_space: the same for the steps of a walk, which need not be exact.
        polish: how points on the boundary are shortened.
        hop: points to start from that lie about as far as the nearest one known.
        descend: from points to where the constraint is least within a radius; None = walks only.
        lengths: of the stages of the schedule.
        drawn_back: to this share of its way a walk draws a misclassified point back.
        reach: how far a step of a walk may move a feature, in widths of its box.
        mixes_projections: whether a step of a walk mixes the projections of the point and of the sample, not
            the two themselves: their mix changes more features than either.
    """

    norm: norms.Norm
    length: Callable[[F32], F32]
    nearest_in_half_space: Callable[..., tuple[F32, Mask]]
    about_half_space: Callable[..., tuple[F32, Mask]]
    polish: Bundle
    hop: Callable[[Hop], F32]
    lengths: Lengths = field(default_factory=Lengths)
    descend: Callable[..., tuple[F32, I64]] | None = None
    drawn_back: float = 0.75
    reach: float = math.inf
    mixes_projections: bool = False

    def distance(self, x: F32, points: F32) -> F64:
        """Distance of points from their samples, ``[R, D], [R, D] -> [R]``; infinite where there is none."""
        return self.norm.distance(x, points, x.shape[1])


# share of the gap that a step of a walk may leave: the next one looks again
_ABOUT = 1e-2
L2 = Geometry(
    norm=norms.L2,
    length=numerics.l2_norm,
    nearest_in_half_space=numerics.nearest_in_half_space,
    about_half_space=partial(numerics.nearest_in_half_space, precision=_ABOUT),
    polish=POLISH_L2,
    hop=hop_l2,
)
# without rounds of L-BFGS from the nearest point: in Linf they were 0.04 to 0.3 % worse at 300 gradients in
# each of eight settings on four models, in L1 in each of the settings tried
_OTHER = Lengths(polish_nearest=16, walk_on=24, rounds=False)
LINF = Geometry(
    norm=norms.NORMS["linf"],
    length=numerics.linf_norm,
    nearest_in_half_space=numerics.nearest_in_half_space_linf,
    about_half_space=partial(numerics.nearest_in_half_space_linf, precision=_ABOUT),
    polish=POLISH_LINF,
    hop=hop_linf,
    lengths=replace(_OTHER, descent=Effort(iterations=5, line_search=3, most=15)),
    descend=descend_linf,
    drawn_back=0.7,
)
L1 = Geometry(
    norm=norms.NORMS["l1"],
    length=numerics.l1_norm,
    nearest_in_half_space=numerics.nearest_in_half_space_l1,
    about_half_space=numerics.nearest_in_half_space_l1,
    polish=POLISH_L1,
    hop=hop_l1,
    lengths=replace(_OTHER, again=0, hop_near=1.2, walk_l2=20),
    drawn_back=0.6,
    reach=0.5,
    mixes_projections=True,
)
GEOMETRIES: Mapping[str, Geometry] = MappingProxyType({"l2": L2, "linf": LINF, "l1": L1})
