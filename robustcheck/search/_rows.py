"""Rows of a search, each a sample and a class to reach, and the graphs that every method needs of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.models import Classifier
from robustcheck.search._constraint import beyond
from robustcheck.search._problem import Floats, Ints, Problem

Tensor = Any

# how far beyond a point the boundary is looked for, in shares of its distance
_REACH = (1.0, 1.01, 1.05, 1.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """``R`` rows, each a sample and a class to reach.

    Attributes:
        x, lower, upper: the sample and its box, ``[R, D]``.
        label: the class to leave, ``[R]``.
        target: the class that this row heads for, ``[R]``.
        wanted: the class that counts, ``[R]``; -1 = any other than the label.
        lead: the lead of a decision that holds: a share of the largest logit, and an absolute part.
    """

    x: Floats
    lower: Floats
    upper: Floats
    label: Ints
    target: Ints
    wanted: Ints
    lead: tuple[np.float32, np.float32]

    @staticmethod
    def of(problem: Problem, sample: NDArray[np.int64], target: Ints) -> Rows:
        """A row for each pair of a sample (position in the problem) and a class."""
        return Rows(
            x=problem.rows[sample],
            lower=problem.lower[sample],
            upper=problem.upper[sample],
            label=problem.label[sample],
            target=target.astype(np.int32),
            wanted=problem.target[sample],
            lead=(np.float32(problem.relative), np.float32(problem.absolute)),
        )

    def take(self, chosen: NDArray[Any]) -> Rows:
        """The chosen rows."""
        return replace(
            self,
            x=self.x[chosen],
            lower=self.lower[chosen],
            upper=self.upper[chosen],
            label=self.label[chosen],
            target=self.target[chosen],
            wanted=self.wanted[chosen],
        )

    def distance(self, points: Floats) -> NDArray[np.float64]:
        """L2 distance of points ``[R, D]`` from their samples, ``[R]``; infinite where there is none."""
        r = points.astype(np.float64) - self.x
        squares: NDArray[np.float64] = np.sum(r * r, axis=1)
        return np.where(np.isnan(squares), np.inf, np.sqrt(squares))


def run_steps(
    classifier: Classifier,
    name: str,
    body: Callable[[Classifier, Rows, Tensor, Tensor], Any],
    rows: Rows,
    z: Floats,
    steps: int,
) -> Any:
    """``body(classifier, rows, z, steps)`` as a graph, traced once a model; its rows hold tensors."""
    graph = classifier.traced(name, lambda: _trace_steps(classifier, body))
    return graph(z, rows.x, rows.lower, rows.upper, rows.label, rows.target, rows.wanted, *rows.lead, steps)


def _trace_steps(classifier: Classifier, body: Callable[[Classifier, Rows, Tensor, Tensor], Any]) -> Any:
    floats = tf.TensorSpec([None, classifier.layout.width])
    ints, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([])
    count = tf.TensorSpec([], tf.int32)

    @numerics.traced(floats, floats, floats, floats, ints, ints, ints, number, number, count)
    def graph(
        z: Tensor, x: Tensor, lower: Tensor, upper: Tensor, label: Tensor, target: Tensor, wanted: Tensor,
        relative: Tensor, absolute: Tensor, steps: Tensor,
    ) -> Any:  # fmt: skip
        rows = Rows(
            x=x, lower=lower, upper=upper, label=label, target=target, wanted=wanted,
            lead=(relative, absolute),
        )  # fmt: skip
        return body(classifier, rows, z, steps)

    return graph


def to_boundary(
    classifier: Classifier, rows: Rows, z: Floats, tolerance: float
) -> tuple[NDArray[np.bool_], Floats, int]:
    """The decision boundary on the ray from each sample through ``z``, at most a fifth beyond it.

    Returns:
        Whether one was found ``[R]``, the point just behind it ``[R, D]`` (elsewhere meaningless), and the
        forward evaluations of each row.
    """
    graph = classifier.traced(("boundary", tolerance), lambda: _trace_to_boundary(classifier, tolerance))
    found, point, asked = graph(z, rows.x, rows.lower, rows.upper, rows.label, rows.wanted, *rows.lead)
    return found.numpy(), point.numpy(), int(asked)


def _trace_to_boundary(classifier: Classifier, tolerance: float) -> Any:
    floats = tf.TensorSpec([None, classifier.layout.width])
    ints, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([])

    @numerics.traced(floats, floats, floats, floats, ints, ints, number, number)
    def graph(
        z: Tensor, x: Tensor, lower: Tensor, upper: Tensor, label: Tensor, wanted: Tensor, relative: Tensor,
        absolute: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        margin = beyond(classifier, label, wanted, relative, absolute)

        def farther(step: Tensor, at: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            reached = tf.clip_by_value(x + tf.gather(_REACH, step) * (z - x), lower, upper)
            at = tf.where(found[:, None], at, reached)
            return step + 1, at, found | (margin(at) > 0)

        steps, at, found = tf.while_loop(
            lambda step, _, found: (step < len(_REACH)) & ~tf.reduce_all(found),
            farther,
            (tf.constant(0), z, tf.zeros_like(label, tf.bool)),
        )
        point, asked = numerics.boundary_on_segment(margin, x, at, tolerance=tolerance)
        return found, tf.clip_by_value(point, lower, upper), asked + steps

    return graph
