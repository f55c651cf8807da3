"""Rows of a search, each a sample and a class to reach, and graphs of what is asked of a model about them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.arrays import I32, I64
from robustcheck.models import Classifier
from robustcheck.search._problem import Problem

Tensor = Any

# arrays outside a graph, tensors inside it
Values = Any


class Rows(NamedTuple):
    """``R`` rows, each a sample and a class to reach. Graphs take them as they are.

    Attributes:
        x, lower, upper: the sample and its box, ``[R, D]``.
        label: the class to leave, ``[R]``.
        target: the class that this row heads for, ``[R]``.
        wanted: the class that counts, ``[R]``; -1 = any other than the label.
        relative, absolute: the lead of a decision that holds, ``relative * max |Z| + absolute``; scalars.
    """

    x: Values
    lower: Values
    upper: Values
    label: Values
    target: Values
    wanted: Values
    relative: Values
    absolute: Values

    @staticmethod
    def of(problem: Problem, sample: I64, target: I32) -> Rows:
        """A row for each pair of a sample (position in the problem) and a class."""
        return Rows(
            x=problem.rows[sample],
            lower=problem.lower[sample],
            upper=problem.upper[sample],
            label=problem.label[sample],
            target=target.astype(np.int32),
            wanted=problem.target[sample],
            relative=np.float32(problem.relative),
            absolute=np.float32(problem.absolute),
        )

    @staticmethod
    def signature(width: int) -> Rows:
        """What a graph is told of any rows of ``width`` features."""
        floats, ints, number = (
            tf.TensorSpec([None, width]),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([]),
        )
        return Rows(floats, floats, floats, ints, ints, ints, number, number)

    def take(self, chosen: NDArray[Any]) -> Rows:
        """The chosen rows, by mask or positions."""
        of_all = ("relative", "absolute")
        parts = {name: part[chosen] for name, part in self._asdict().items() if name not in of_all}
        return self._replace(**parts)


def graph(
    body: Callable[..., Any],
    classifier: Classifier,
    *signature: tf.TensorSpec,
    given: tuple[Hashable, ...] = (),
) -> Any:
    """``body(classifier, *given, rows, *more)`` as a graph of the rows and more, traced once a model.

    Args:
        body: a function of a module; with what is given it is the key that the graph is kept by.
        classifier: the model.
        signature: of what comes after the rows.
        given: what is no tensor, and is the same whenever the graph runs.
    """

    def trace() -> numerics.Traced:
        rows = Rows.signature(classifier.layout.width)
        return numerics.Traced(partial(body, classifier, *given), (rows, *signature))

    return classifier.traced((body, *given), trace)


def points(classifier: Classifier) -> tf.TensorSpec:
    """The signature of a point a row, ``[R, D]``."""
    return tf.TensorSpec([None, classifier.layout.width])


# the signatures of a number and of a count
NUMBER, COUNT = tf.TensorSpec([]), tf.TensorSpec([], tf.int32)
