"""The same in Linf: the points within a radius are a box, in which L-BFGS minimises the loss alone.

The line search is over the radius instead of c: it shrinks where the class is reached. The least loss within
a radius falls by the sum of ``|g_i|`` over the features that the radius holds for each unit that it grows, so
one gradient of the constraint at the end of a round tells Newton's next radius, kept within the largest that
failed and the smallest that succeeded.
"""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._boxed import BoxedProblem, held_by_bounds, minimize_in_box
from robustcheck.search._constraint import look, to_boundary
from robustcheck.search._geometry import GEOMETRIES
from robustcheck.search._lbfgs import Effort
from robustcheck.search._paper_loss import Reached, Targeted, paper_loss
from robustcheck.search._problem import STAGE
from robustcheck.search._rows import Rows

# how far a step of Newton stays within the bracket, in shares of it; by what the radius grows while nothing
# was found, at least and at most
_INSIDE, _GROWS = 0.02, (1.5, 4.0)
# a radius in place of Newton's is this share of the success at least
_SHRINKS = 0.85
# a distance this much above the radius is beyond it, as a factor
_SAME = 1.001
# features this near to the radius lie on it, in shares of it
_ON_RADIUS = 1e-3


def search_radius(
    classifier: Classifier, targeted: Targeted, effort: Effort, rounds: int, on_progress: OnProgress
) -> Reached:
    """The nearest points in Linf by the line search over the radius."""
    rows, z = targeted.rows, targeted.start
    nearest, linf = np.full_like(z, np.nan), GEOMETRIES["linf"]
    radius = targeted.unit.astype(np.float64)
    succeeds, fails = np.full(len(z), np.inf), np.zeros(len(z))
    gradients, forwards = np.zeros((2, len(z)), np.int64)
    for done in range(rounds):
        on_progress(STAGE, done, rounds)
        within = rows.within(radius)
        z, spent = _minimize_loss(classifier, targeted, within, z, effort)
        success, point, asked = to_boundary(classifier, rows, z, targeted.tolerance)
        distance = np.where(success, linf.distance(rows.x, point), np.inf)
        nearer = distance < succeeds
        nearest[nearer], succeeds[nearer] = point[nearer], distance[nearer]
        # a boundary found beyond the radius is one, but no success of the radius
        failed = distance > _SAME * radius
        fails = np.where(failed, np.maximum(fails, radius), fails)
        # a failure beyond a success was the minimiser's, not the radius'
        fails = np.where(fails >= succeeds, 0.0, fails)
        radius = _next_radius(_newton(classifier, rows, z, radius), radius, succeeds, fails)
        # from the nearest point where there is one: the last may have gone astray
        z = np.where(np.isfinite(succeeds)[:, None], nearest, z)
        gradients += spent + 1
        forwards += asked
    return Reached(nearest=nearest, gradient_evaluations=gradients, forward_evaluations=forwards)


def _minimize_loss(
    classifier: Classifier, targeted: Targeted, within: Rows, z: F32, effort: Effort
) -> tuple[F32, I64]:
    """One round: the loss from ``z`` within the radius; new ``z`` and evaluations."""
    pull, z = paper_loss(classifier, targeted), np.clip(z, within.lower, within.upper)
    gradient = pull(z, np.arange(len(z)))[1]
    frozen = held_by_bounds(within, z, gradient)
    boxed = BoxedProblem(unit=targeted.unit, weight=np.zeros_like(targeted.unit), frozen=frozen)
    moved, spent = minimize_in_box(within, z, pull, boxed, effort, targeted.history)
    return moved, spent + 1


def _newton(classifier: Classifier, rows: Rows, z: F32, radius: F64) -> F64:
    """Where the constraint would be met if the features that the radius holds moved with it."""
    gap, normal, _ = look(classifier, rows.goal, z)
    r = z - rows.x
    inside = np.where(r > 0, z < rows.upper, z > rows.lower)
    follows = (np.abs(r) >= (1.0 - _ON_RADIUS) * radius[:, None]) & (r * normal < 0) & inside
    push = np.sum(np.where(follows, np.abs(normal), 0.0), axis=1, dtype=np.float64)
    met: F64 = radius + gap / np.maximum(push, np.finfo(np.float32).tiny)
    return met


def _next_radius(newton: F64, radius: F64, succeeds: F64, fails: F64) -> F64:
    """Newton's radius where it lies within the bracket; else a good part into it."""
    known = np.isfinite(succeeds)
    high = np.where(known, succeeds, 0.0)
    margin = _INSIDE * (high - fails)
    within = (newton > fails + margin) & (newton < high - margin)
    shrunk = np.where(within, newton, np.maximum(np.sqrt(fails * high), _SHRINKS * high))
    grown = np.clip(np.nan_to_num(newton, nan=np.inf), _GROWS[0] * radius, _GROWS[1] * radius)
    chosen: F64 = np.where(known, shrunk, grown)
    return chosen
