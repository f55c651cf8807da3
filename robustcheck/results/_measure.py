"""A figure that says how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

from robustcheck.errors import Incomplete


@dataclass(frozen=True)
class Measure:
    """A figure with the number of samples behind it and its 95 % interval; None where not measured.

    ``<``, ``<=``, ``>`` and ``>=`` compare the figure with a number or another measure, and raise where there
    is no figure, or one that may not be believed: a test on nothing must not pass. For the same reason a
    measure is neither true nor false, and no number is equal to it.

    Attributes:
        doubt: why the figure may not be believed; None where it may. Not stored: it follows from the report.
    """

    doubt: ClassVar[str | None] = None

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None

    def __bool__(self) -> bool:
        raise TypeError("a measure is neither true nor false: compare it with a number, or take its value")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Measure):
            mine, its = ((side.value, side.n, side.low, side.high) for side in (self, other))
            return mine == its
        if other is None:
            return False
        raise TypeError(f"a measure is compared by <, <=, > or >=, or take its value; got == {other!r}")

    def __hash__(self) -> int:
        return hash((self.value, self.n, self.low, self.high))

    def __lt__(self, other: object) -> bool:
        return self._figure() < _number(other)

    def __le__(self, other: object) -> bool:
        return self._figure() <= _number(other)

    def __gt__(self, other: object) -> bool:
        return self._figure() > _number(other)

    def __ge__(self, other: object) -> bool:
        return self._figure() >= _number(other)

    def doubted(self, why: str) -> Measure:
        """The same figure, which can be looked at and not compared."""
        copy = Measure(self.value, self.n, self.low, self.high)
        object.__setattr__(copy, "doubt", why)
        return copy

    def _figure(self) -> float:
        __tracebackhide__ = True
        if self.doubt is not None:
            raise Incomplete(f"measure: {self.doubt}; its value is there to be looked at, not to be compared")
        if self.value is None or self.n == 0:
            why = "over no sample" if self.n == 0 else "that falls on samples without an example"
            raise Incomplete(f"measure: expected a figure to compare, got one {why}")
        return self.value


def _number(other: object) -> float:
    if isinstance(other, Measure):
        return other._figure()
    if isinstance(other, bool) or not isinstance(other, Real) or math.isnan(other):
        raise TypeError(f"a measure is compared with a number or a measure, got {other!r}")
    return float(other)
