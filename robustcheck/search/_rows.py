"""Rows of a search, each a sample and a class to reach, and graphs of what is asked of a model about them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.arrays import F64, I32, I64
from robustcheck.models import Classifier
from robustcheck.search._problem import Problem

Tensor = Any

# arrays outside a graph, tensors inside it
Values = Any


class Goal(NamedTuple):
    """Which decision each of ``R`` rows is after.

    Attributes:
        label: the class to leave, ``[R]``.
        target: the class that this row heads for, ``[R]``.
        wanted: the class that counts, ``[R]``; -1 = any other than the label.
        relative, absolute: the lead of a decision that holds, ``relative * max |Z| + absolute``; scalars.
    """

    label: Values
    target: Values
    wanted: Values
    relative: Values
    absolute: Values

    @staticmethod
    def signature() -> Goal:
        """What a graph is told of it."""
        ints, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([])
        return Goal(ints, ints, ints, number, number)

    def take(self, chosen: NDArray[Any]) -> Goal:
        """That of the chosen rows, by mask or positions."""
        return self._replace(label=self.label[chosen], target=self.target[chosen], wanted=self.wanted[chosen])


class Rows(NamedTuple):
    """``R`` rows, each a sample and a class to reach. Graphs take them as they are.

    Attributes:
        x, lower, upper: the sample and its box, ``[R, D]``.
        goal: which decision each is after.
    """

    x: Values
    lower: Values
    upper: Values
    goal: Goal

    @staticmethod
    def of(problem: Problem, sample: I64, target: I32) -> Rows:
        """A row for each pair of a sample (position in the problem) and a class."""
        goal = Goal(
            label=problem.label[sample],
            target=target.astype(np.int32),
            wanted=problem.target[sample],
            relative=np.float32(problem.relative),
            absolute=np.float32(problem.absolute),
        )
        return Rows(problem.rows[sample], problem.lower[sample], problem.upper[sample], goal)

    @staticmethod
    def signature(classifier: Classifier) -> Rows:
        """What a graph is told of the rows of a model."""
        each = points(classifier)
        return Rows(each, each, each, Goal.signature())

    def within(self, radius: F64) -> Rows:
        """The same with the box that a radius in Linf ``[R]`` leaves of theirs."""
        r = radius[:, None].astype(np.float32)
        return self._replace(
            lower=np.maximum(self.lower, self.x - r), upper=np.minimum(self.upper, self.x + r)
        )

    def take(self, chosen: NDArray[Any]) -> Rows:
        """The chosen rows, by mask or positions."""
        return Rows(self.x[chosen], self.lower[chosen], self.upper[chosen], self.goal.take(chosen))


def graph(
    body: Callable[..., Any], classifier: Classifier, *signature: Any, given: tuple[Hashable, ...] = ()
) -> Any:
    """``body(classifier, *given, *arguments)`` as a graph of the arguments, traced once a model.

    Args:
        body: a function of a module; with what is given it is the key that the graph is kept by.
        classifier: the model.
        signature: of the arguments: rows, goals, points, numbers.
        given: what is no tensor, and is the same whenever the graph runs.
    """
    return classifier.traced(
        (body, *given), lambda: numerics.Traced(partial(body, classifier, *given), signature)
    )


def points(classifier: Classifier) -> tf.TensorSpec:
    """The signature of a point a row, ``[R, D]``."""
    return tf.TensorSpec([None, classifier.layout.width])


# the signatures of a number and of a count
NUMBER, COUNT = tf.TensorSpec([]), tf.TensorSpec([], tf.int32)
