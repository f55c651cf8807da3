"""Which classes are worth trying for a sample, judged by the linearised model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32, I32
from robustcheck.models import Classifier
from robustcheck.search._constraint import look
from robustcheck.search._geometry import Geometry
from robustcheck.search._problem import Problem
from robustcheck.search._rows import Rows

# with more classes than this only those with the largest logits are linearised
MOST_LINEARISED = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """``P`` classes for each of ``B`` samples, the most promising first.

    Attributes:
        target: class to reach, ``[B, P]``.
        start: nearest point of the box on the other side of the linearised boundary, ``[B, P, D]``.
        distance: its distance, ``[B, P]``; a guess of the scale of the problem, always positive.
        gap: ``Z_label - Z_target`` at the sample, ``[B, P]``, positive.
        gradient_evaluations, forward_evaluations: spent on each sample.
    """

    target: I32
    start: F32
    distance: F32
    gap: F32
    gradient_evaluations: int
    forward_evaluations: int


def choose(classifier: Classifier, geometry: Geometry, problem: Problem) -> Candidates:
    """The classes of each sample by their linearised distance (targeted samples: their target).

    The gradient of ``Z_label - Z_t`` at the sample gives a half-space for each class t; the distance to
    it within the box is exact (:func:`robustcheck.numerics.nearest_in_half_space`). Of more than 10
    other classes the 10 with the largest logits are looked at.
    """
    logits = classifier.logits(tf.constant(problem.rows)).numpy()
    pool = _pool(logits, problem)
    everyone = np.arange(len(pool))
    looked_at = [
        _linearised(classifier, geometry, Rows.of(problem, everyone, pool[:, rank]))
        for rank in range(pool.shape[1])
    ]
    distance = np.stack([part[1] for part in looked_at], axis=1)
    order = np.argsort(distance, axis=1, kind="stable")
    rows = everyone[:, None]
    points = np.stack([part[0] for part in looked_at], axis=1)
    target = pool[rows, order]
    gap = np.take_along_axis(logits, problem.label[:, None], axis=1) - logits[rows, target]
    floor = 1e-6 * np.abs(logits).max(axis=1, keepdims=True) + np.finfo(np.float32).tiny
    return Candidates(
        target=target,
        start=points[rows, order],
        distance=distance[rows, order],
        gap=np.maximum(gap, floor),
        gradient_evaluations=pool.shape[1],
        forward_evaluations=1,
    )


def _pool(logits: F32, problem: Problem) -> I32:
    """Classes to linearise, ``[B, P]``: the target alone, or the other classes with the largest logits."""
    if np.all(problem.target >= 0):
        return problem.target[:, None]
    others = logits.copy()
    np.put_along_axis(others, problem.label[:, None], -np.inf, axis=1)
    most = min(MOST_LINEARISED, logits.shape[1] - 1)
    return np.argsort(-others, axis=1, kind="stable")[:, :most].astype(np.int32)


def _linearised(classifier: Classifier, geometry: Geometry, rows: Rows) -> tuple[F32, F32]:
    x, lower, upper = rows.x, rows.lower, rows.upper
    # on the way to the class, whatever is wanted
    any_other = np.full_like(rows.goal.wanted, -1)
    gap, normal, _ = look(classifier, rows.goal._replace(wanted=any_other), x)
    point, reached = geometry.nearest_in_half_space(x, *numerics.to_unit_slope(normal, gap), lower, upper)
    distance = geometry.length(point - x)
    # out of reach or no slope at all: last in line, at the distance of the box's far corner
    corner = np.maximum(x - lower, upper - x)
    far = distance + geometry.length(np.where(np.isfinite(corner), corner, 1).astype(np.float32))
    return point, np.where(reached & (distance > 0), distance, far)
