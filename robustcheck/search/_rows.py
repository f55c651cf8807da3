"""Rows of a search, each a sample and a class to reach."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, F64, I32, I64
from robustcheck.search._problem import Problem


class Goal(NamedTuple):
    """Which decision each of ``R`` rows is after.

    Attributes:
        label: the class to leave, ``[R]``.
        target: the class that this row heads for, ``[R]``.
        wanted: the class that counts, ``[R]``; -1 = any other than the label.
        relative, absolute: the lead of a decision that holds, ``relative * max |Z| + absolute``.
    """

    label: I32
    target: I32
    wanted: I32
    relative: float
    absolute: float

    def take(self, chosen: NDArray[Any]) -> Goal:
        """That of the chosen rows, by mask or positions."""
        return self._replace(label=self.label[chosen], target=self.target[chosen], wanted=self.wanted[chosen])


class Rows(NamedTuple):
    """``R`` rows, each a sample and a class to reach.

    Attributes:
        x, lower, upper: the sample and its box, ``[R, D]``.
        goal: which decision each is after.
    """

    x: F32
    lower: F32
    upper: F32
    goal: Goal

    @staticmethod
    def of(problem: Problem, sample: I64, target: I32) -> Rows:
        """A row for each pair of a sample (position in the problem) and a class."""
        goal = Goal(
            label=problem.label[sample],
            target=target.astype(np.int32),
            wanted=problem.target[sample],
            relative=problem.relative,
            absolute=problem.absolute,
        )
        return Rows(problem.rows[sample], problem.lower[sample], problem.upper[sample], goal)

    def within(self, radius: F64) -> Rows:
        """The same with the box that a radius in Linf ``[R]`` leaves of theirs."""
        r = radius[:, None].astype(np.float32)
        return self._replace(
            lower=np.maximum(self.lower, self.x - r), upper=np.minimum(self.upper, self.x + r)
        )

    def take(self, chosen: NDArray[Any]) -> Rows:
        """The chosen rows, by mask or positions."""
        return Rows(self.x[chosen], self.lower[chosen], self.upper[chosen], self.goal.take(chosen))
