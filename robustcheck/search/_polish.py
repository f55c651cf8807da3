"""Shorten a point on the decision boundary by cutting planes, one gradient evaluation a step.

A step goes to a point that satisfies the planes (:mod:`robustcheck.search._planes`) and lies nearer to the
sample than the best one known, but not too far from that: a proximal bundle step (Kiwiel 1990, "Proximity
control in bundle methods for convex nondifferentiable minimization"). Steps grow bolder after one that
succeeded and shyer after one that did not. How a norm does that is its :class:`Bundle`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robustcheck import numerics
from robustcheck.arrays import F32, I64, Mask
from robustcheck.models import Classifier
from robustcheck.search._constraint import beyond
from robustcheck.search._planes import Planes, linearised
from robustcheck.search._rows import Rows

# aim this far behind the boundary, in shares of the distance
BEHIND = np.float32(1e-4)
# how far a step is scaled at most to meet the boundary
SCALED = 0.1


class State(NamedTuple):
    """The best points known ``[R, D]``, their lengths ``[R]`` and how bold the next step is ``[R]``."""

    z: F32
    shortest: F32
    boldness: F32


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What polishing needs of a norm.

    Attributes:
        length: of perturbations, ``[R, D] -> [R]``.
        to_boundary: from ``u``, given the linearisation's value and normal there, to a point on the
            linearised boundary and a bit beyond; ``(rows, u, gap, normal) -> [R, D]``.
        behind: how far behind the boundary planes are put, in the units of their offsets;
            ``(r [R, D], normals [R, M, D]) -> [R, M]``; a plane that cuts the best point by more than
            ``slack`` times that is dropped.
        step: where to look next; ``(rows, state, planes) -> [R, D]``.
        first, success, failure, least, most: the boldness at the start, what it is multiplied by after a
            success and after a failure, and its ends.
    """

    length: Callable[[F32], F32]
    to_boundary: Callable[[Rows, F32, F32, F32], F32]
    behind: Callable[[F32, F32], F32]
    slack: float
    step: Callable[[Rows, State, Planes], F32]
    first: float
    success: float
    failure: float
    least: float
    most: float


class Polished(NamedTuple):
    """What polishing came to, ``R`` rows.

    Attributes:
        point: the nearest misclassified points seen, ``[R, D]``.
        length: of their perturbations, ``[R]``.
        moved: whether they are new ones, which lie just behind the boundary, ``[R]``.
        forwards: evaluations without a gradient, ``[R]``.
    """

    point: F32
    length: F32
    moved: Mask
    forwards: I64


def polish(classifier: Classifier, bundle: Bundle, rows: Rows, start: F32, best: F32, steps: int) -> Polished:
    """The nearest misclassified points seen.

    Args:
        classifier: the model.
        bundle: of the norm.
        rows: what is searched for.
        start: points on the boundary, or about there, ``[R, D]``.
        best: misclassified points, ``[R, D]``.
        steps: gradient evaluations.
    """
    x, u, count = rows.x, start, len(start)
    moved, forwards, planes = np.zeros(count, bool), np.zeros(count, np.int64), Planes(x)
    state = State(best.copy(), bundle.length(best - x), np.full(count, bundle.first, np.float32))
    for i in range(steps):
        gap, normal, _ = linearised(classifier, rows.goal, u)
        behind = bundle.behind(state.z - x, normal[:, None])[:, 0]
        planes.add(i, normal, numerics.rowwise_dot(normal, u) - gap - behind)
        reached = bundle.to_boundary(rows, u, gap, normal)
        length = bundle.length(reached - x)
        promising = np.flatnonzero(length < state.shortest)
        nearer = np.zeros(count, bool)
        if len(promising):
            nearer[promising] = beyond(classifier, rows.goal.take(promising), reached[promising]) > 0
            forwards[promising] += 1
        state.z[nearer], state.shortest[nearer] = reached[nearer], length[nearer]
        moved |= nearer
        if i + 1 == steps:
            break
        factor = 1.0 if i == 0 else np.where(nearer, bundle.success, bundle.failure)
        boldness = np.clip(state.boldness * factor, bundle.least, bundle.most).astype(np.float32)
        state = state._replace(boldness=boldness)
        planes.drop_cutting(state.z, bundle.slack * bundle.behind(state.z - x, planes.normals))
        u = bundle.step(rows, state, planes)
    return Polished(state.z, state.shortest, moved, forwards)


def on_ray(rows: Rows, u: F32, gap: F32, normal: F32) -> F32:
    """On the ray from the sample through ``u``: where the linearised boundary is, and a bit beyond."""
    away = u - rows.x
    slope = -numerics.rowwise_dot(normal, away)
    scale = 1 + np.clip(numerics.divide_no_nan(gap, slope) + BEHIND, -SCALED, SCALED)
    away *= scale[:, None]
    away += rows.x
    return numerics.into_box(away, rows.lower, rows.upper)


def behind_by_length(r: F32, normals: F32) -> F32:
    """How far behind the boundary planes are put where that is a share of the L2 length."""
    return np.broadcast_to(BEHIND * numerics.l2_norm(r)[:, None], normals.shape[:2])
