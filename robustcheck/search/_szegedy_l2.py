"""The penalty method in L2: minimise ``c |r|^2 + loss``, and search the largest c that still succeeds."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, I64
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._boxed import BoxedProblem, held_by_bounds, minimize_in_box
from robustcheck.search._constraint import to_boundary
from robustcheck.search._geometry import L2
from robustcheck.search._lbfgs import Effort
from robustcheck.search._paper_loss import Reached, Targeted, paper_loss
from robustcheck.search._problem import STAGE

_FIRST_C = 0.125


def search_c(
    classifier: Classifier, targeted: Targeted, effort: Effort, rounds: int, on_progress: OnProgress
) -> Reached:
    """The nearest points in L2 by the line search over c."""
    rows, z = targeted.rows, targeted.start
    nearest = np.full_like(z, np.nan)
    c = np.full(len(z), _FIRST_C, np.float32)
    succeeds, fails = np.zeros_like(c), np.full_like(c, np.inf)
    shortest = np.full(len(z), np.inf)
    gradients, forwards = np.zeros((2, len(z)), np.int64)
    for done in range(rounds):
        on_progress(STAGE, done, rounds)
        z, spent = _minimize_penalty(classifier, targeted, z, c, effort)
        success, point, asked = to_boundary(classifier, rows, z, targeted.tolerance)
        distance = np.where(success, L2.distance(rows.x, point), np.inf)
        nearer = distance < shortest
        nearest[nearer], shortest[nearer] = point[nearer], distance[nearer]
        succeeds = np.where(success, np.maximum(succeeds, c), succeeds)
        fails = np.where(success, fails, np.minimum(fails, c))
        z = np.where(np.isfinite(shortest)[:, None], nearest, z)
        c = _next_c(succeeds, fails)
        gradients += spent
        forwards += asked
    return Reached(nearest=nearest, gradient_evaluations=gradients, forward_evaluations=forwards)


def _next_c(succeeds: F32, fails: F32) -> F32:
    """Bracket by factors, then bisect the logarithm. A success above a failure restarts the bracket."""
    bracketed = (succeeds > 0) & (fails > succeeds) & np.isfinite(fails)
    between = np.sqrt(np.where(bracketed, succeeds, 1) * np.where(bracketed, fails, 1))
    outside = np.where(succeeds > 0, 2.0 * succeeds, 0.125 * np.where(np.isfinite(fails), fails, 1))
    return np.where(bracketed, between, outside).astype(np.float32)


def _minimize_penalty(
    classifier: Classifier, targeted: Targeted, z: F32, c: F32, effort: Effort
) -> tuple[F32, I64]:
    """One round: ``c |r|^2 + loss`` from ``z`` over the free coordinates; new ``z`` and evaluations."""
    rows, pull, unit = targeted.rows, paper_loss(classifier, targeted), targeted.unit[:, None]
    gradient = pull(z, np.arange(len(z)))[1] + 2.0 * c[:, None] * (z - rows.x) / unit
    frozen = held_by_bounds(rows, z, gradient.astype(np.float32))
    boxed = BoxedProblem(unit=targeted.unit, weight=2.0 * c, frozen=frozen)
    moved, spent = minimize_in_box(rows, z, pull, boxed, effort, targeted.history)
    return moved, spent + 1
