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
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Norm:
    """A way to measure perturbations.

    Attributes:
        name: in metrics, files and flags.
        title: in tables and sentences.
        dual: name of the norm that a linear function's slope is measured in, where this one can be searched:
            the distance of a point to a hyperplane is its gap over the dual norm of its normal.
        length: of perturbations ``[N, D]`` float64 whose inputs have so many features that may change,
            ``[N]``.
    """

    name: str
    title: str
    dual: str | None
    length: Callable[[Floats, int], Floats]

    def distance(self, rows: NDArray[np.float32], points: NDArray[np.float32], features: int) -> Floats:
        """Length of ``points - rows`` in float64, ``[N]``; infinite where a point is not there (NaN)."""
        there = np.isfinite(points).all(axis=1) & np.isfinite(rows).all(axis=1)
        found = np.full(len(rows), np.inf)
        found[there] = self.length(points[there].astype(np.float64) - rows[there], features)
        return found


def _l2(r: Floats, _: int) -> Floats:
    length: Floats = np.sqrt(np.sum(r * r, axis=1))
    return length


def _rms(r: Floats, features: int) -> Floats:
    length: Floats = _l2(r, features) / np.sqrt(features)
    return length


def _linf(r: Floats, _: int) -> Floats:
    length: Floats = np.abs(r).max(axis=1)
    return length


def _l1(r: Floats, _: int) -> Floats:
    length: Floats = np.abs(r).sum(axis=1)
    return length


def _l0(r: Floats, _: int) -> Floats:
    length: Floats = np.count_nonzero(r, axis=1).astype(np.float64)
    return length


L2 = Norm("l2", "L2", "l2", _l2)

# every length that is reported, in the order of tables
NORMS: Mapping[str, Norm] = MappingProxyType(
    {
        norm.name: norm
        for norm in (
            L2,
            Norm("rms", "RMS", None, _rms),
            Norm("linf", "Linf", "l1", _linf),
            Norm("l1", "L1", "linf", _l1),
            Norm("l0", "L0 (features changed)", None, _l0),
        )
    }
)
