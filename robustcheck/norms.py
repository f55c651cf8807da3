"""Norms as values: how long a perturbation is.

Distances are in units of the box. A distance that a search found is an upper bound of the true minimum in the
norm that was searched; the lengths of the same example in other norms are figures of that example, not the
smallest in those norms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from robustcheck.arrays import F32, F64


@dataclass(frozen=True, eq=False)
class Norm:
    """A way to measure perturbations.

    Attributes:
        name: in metrics, files and flags.
        title: in tables and sentences.
        dual: name of the norm that a linear function's slope is measured in, where this one can be searched:
            the distance of a point to a hyperplane is its gap over the dual norm of its normal.
        searched: norm whose search gives the shortest in this one too, where there is one.
        length: of perturbations ``[N, D]`` float64 whose inputs have so many features that may change,
            ``[N]``.
    """

    name: str
    title: str
    dual: str | None
    searched: str | None
    length: Callable[[F64, int], F64]

    def distance(self, rows: F32, points: F32, features: int, cost: F32 | float = 1.0) -> F64:
        """Length of ``cost * (points - rows)`` in float64, ``[N]``; infinite where a point is NaN."""
        there = np.isfinite(points).all(axis=1) & np.isfinite(rows).all(axis=1)
        found = np.full(len(rows), np.inf)
        found[there] = self.length((points[there].astype(np.float64) - rows[there]) * cost, features)
        return found


def _l2(r: F64, _: int) -> F64:
    length: F64 = np.sqrt(np.sum(r * r, axis=1))
    return length


def _rms(r: F64, features: int) -> F64:
    length: F64 = _l2(r, features) / np.sqrt(features)
    return length


def _linf(r: F64, _: int) -> F64:
    length: F64 = np.abs(r).max(axis=1)
    return length


def _l1(r: F64, _: int) -> F64:
    length: F64 = np.abs(r).sum(axis=1)
    return length


def _l0(r: F64, _: int) -> F64:
    length: F64 = np.count_nonzero(r, axis=1).astype(np.float64)
    return length


L2 = Norm("l2", "L2", "l2", "l2", _l2)

# every length that is reported, in the order of tables
NORMS: Mapping[str, Norm] = MappingProxyType(
    {
        norm.name: norm
        for norm in (
            L2,
            Norm("rms", "RMS", None, "l2", _rms),
            Norm("linf", "Linf", "l1", "linf", _linf),
            Norm("l1", "L1", "linf", "l1", _l1),
            Norm("l0", "L0 (features changed)", None, None, _l0),
        )
    }
)
