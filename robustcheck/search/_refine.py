"""Shorten a misclassified point with tfp's L-BFGS on an augmented Lagrangian.

At a point on the boundary with the constraint's gradient a, the nearest point x + r of the boundary satisfies
``r = -mu a`` over the coordinates that no bound holds. A round estimates mu by least squares of that, freezes
the coordinates that rest on a bound and want out, and minimises

``|r|^2 / 2 + (max(0, mu + g)^2 - mu^2) / 2``

for a few iterations (Nocedal and Wright 2006, section 17.4), with r in units of the point's distance and g in
units of a change of 1 in r, so that neither the scale of the logits nor that of the box matters and L-BFGS'
first step is about right. Then the point is brought back to the boundary on the ray from the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from robustcheck.models import Classifier
from robustcheck.search._constraint import constraint
from robustcheck.search._lbfgs import minimize
from robustcheck.search._problem import Floats
from robustcheck.search._rows import Rows

_LINE_SEARCH = 4
# how strongly the constraint is enforced against the norm, both in units of 1
_PENALTY = 1.0
# aim this far behind the boundary, in shares of the distance
_BEHIND = 1e-3


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round may spend: L-BFGS iterations, and gradient evaluations of a row in all."""

    iterations: int
    most: int


def refine(
    classifier: Classifier, rows: Rows, z: Floats, settings: Round, history: int
) -> tuple[Floats, NDArray[np.int64]]:
    """One round from points on the boundary ``[R, D]``: new points (not on it) and evaluations ``[R]``."""
    distance = np.maximum(rows.distance(z), np.finfo(np.float32).tiny).astype(np.float32)[:, None]
    normal = constraint(classifier, z, rows.label, rows.target, rows.wanted)[1].numpy()
    start = (z - rows.x) / distance
    multiplier, frozen, length = _multiplier(rows, z, start, normal)
    scale = np.where(length > 0, 1.0 / np.maximum(length, np.finfo(np.float32).tiny), 0.0).astype(np.float32)

    asked = partial(constraint, classifier)

    def objective(u: Floats, which: NDArray[np.int64]) -> tuple[Floats, Floats]:
        part = rows.take(which)
        inside = part.x + distance[which] * u
        # a line search may run off to NaN, which no model should see: a row of it fails by its value alone
        runs_off = np.isnan(inside).any(axis=1)
        inside[runs_off] = part.x[runs_off]
        at = np.clip(inside, part.lower, part.upper)
        gap, normal = (one.numpy() for one in asked(at, part.label, part.target, part.wanted))
        g = gap * scale[which] / distance[which, 0] + _BEHIND
        force = np.maximum(multiplier[which] + _PENALTY * g, 0.0)
        r = (at - part.x) / distance[which]
        value = 0.5 * np.sum(r * r, axis=1) + (force**2 - multiplier[which] ** 2) / (2 * _PENALTY)
        gradient = r + (force * scale[which])[:, None] * normal
        held = frozen[which] | (inside < part.lower) | (inside > part.upper)
        return np.where(runs_off, np.nan, value).astype(np.float32), np.where(held, 0.0, gradient)

    u, spent = minimize(
        objective,
        start,
        iterations=settings.iterations,
        line_search=_LINE_SEARCH,
        history=history,
        most=settings.most - 1,
    )
    moved = np.clip(rows.x + distance * u, rows.lower, rows.upper)
    usable = np.isfinite(moved).all(axis=1, keepdims=True) & (length > 0)[:, None]
    return np.where(usable, moved, z), spent + 1


def _multiplier(rows: Rows, z: Floats, u: Floats, normal: Floats) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """mu by least squares, the frozen coordinates, and the length of the free gradient; mu in its units."""
    on_lower, on_upper = z <= rows.lower, z >= rows.upper
    free = ~(on_lower | on_upper)
    for _ in range(2):
        squares = np.sum(np.where(free, normal * normal, 0.0), axis=1)
        mu = np.maximum(
            -np.sum(np.where(free, normal * u, 0.0), axis=1) / np.maximum(squares, np.finfo(np.float32).tiny),
            0.0,
        )
        pull = u + mu[:, None] * normal
        free = ~((on_lower & (pull > 0)) | (on_upper & (pull < 0)))
    length = np.sqrt(np.sum(np.where(free, normal * normal, 0.0), axis=1))
    return (mu * length).astype(np.float32), ~free, length.astype(np.float32)
