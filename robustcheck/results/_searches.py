"""What a search in one norm came to, over all samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from robustcheck.config import SearchedNorm


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How the samples ended; ``total = correct + already_wrong + non_finite``."""

    total: int
    correct: int
    already_wrong: int
    found: int
    not_found: int
    non_finite: int


@dataclass(frozen=True)
class CurvePoint:
    """Share of all samples classified right for which no example was found within the radius, in L2."""

    l2: float
    accuracy: float

    @property
    def radius(self) -> float:
        """In the norm of the point."""
        return self.l2


@dataclass(frozen=True)
class LinfPoint:
    """The same in Linf."""

    linf: float
    accuracy: float

    @property
    def radius(self) -> float:
        """In the norm of the point."""
        return self.linf


@dataclass(frozen=True)
class L1Point:
    """The same in L1."""

    l1: float
    accuracy: float

    @property
    def radius(self) -> float:
        """In the norm of the point."""
        return self.l1


# a radius is named by its norm, in files too: one cannot be taken for the other
Point: TypeAlias = CurvePoint | LinfPoint | L1Point
POINTS: Mapping[SearchedNorm, type[CurvePoint] | type[LinfPoint] | type[L1Point]] = MappingProxyType(
    {"l2": CurvePoint, "linf": LinfPoint, "l1": L1Point}
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the search of the subject cost."""

    gradient_evaluations_per_sample: float | None
    forward_evaluations_per_sample: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class NormFacts:
    """What the search in one norm came to: how the samples ended, robust accuracy by radius, cost.

    ``noise_curve`` is the accuracy on random noise of each length, beside ``curve``.
    """

    counts: Counts
    curve: list[Point]
    noise_curve: list[Point] = field(default_factory=list)
    cost: Cost
