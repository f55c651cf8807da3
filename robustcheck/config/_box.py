"""The values that an input may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from robustcheck.arrays import F32
from robustcheck.config._values import Bound
from robustcheck.errors import ConfigError
from robustcheck.text import brief, option


@dataclass(frozen=True, eq=False)
class Box:
    """The values an input may take: ``lower <= x <= upper``, feature by feature.

    Both sides broadcast to a sample: a scalar, one value a channel, or one a feature. Infinite sides are
    allowed. Distances are measured in these units.
    """

    lower: F32
    upper: F32

    @classmethod
    def of(cls, box: BoxLike) -> Box:
        """A checked box from a pair of scalars or arrays."""
        if isinstance(box, Box):
            return box
        try:
            low, high = box
            with np.errstate(over="ignore"):  # what float32 cannot hold is no bound
                lower, upper = np.asarray(low, np.float32), np.asarray(high, np.float32)
            # a feature whose sides are equal cannot change, as a constant column of a table cannot
            ordered = bool(np.all(lower <= upper) and np.any(lower < upper))
            ordered = ordered and bool(np.all(lower < np.inf) and np.all(upper > -np.inf))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{option('box')}: expected a pair (lower, upper), got {brief(box)}") from error
        if not ordered:
            raise ConfigError(f"{option('box')}: expected lower < upper, got {brief((low, high))}")
        return cls(lower, upper)

    def rows(self, shape: tuple[int, ...]) -> tuple[F32, F32]:
        """Both sides broadcast to a sample of ``shape`` and flattened, each ``[D]``.

        A side of ``D`` values is taken as flat already.
        """
        try:
            lower, upper = (
                side if side.shape == (math.prod(shape),) else np.broadcast_to(side, shape).reshape(-1)
                for side in (self.lower, self.upper)
            )
        except ValueError as error:
            got = f"{self.lower.shape} and {self.upper.shape}"
            raise ConfigError(
                f"{option('box')}: expected sides that broadcast to a sample of shape {shape}, "
                f"got shapes {got}"
            ) from error
        return lower, upper

    def describe(self) -> str:
        """Short text for a table: ``[0, 1]``, or how the sides range."""
        lower, upper = (
            f"{side.min():g}" if side.min() == side.max() else f"{side.min():g}..{side.max():g}"
            for side in (self.lower, self.upper)
        )
        return f"[{lower}, {upper}]"


# one for all inputs, or one for each: by name, or a list in their order
BoxLike: TypeAlias = Box | tuple[Bound, Bound] | Mapping[str, Any] | list[Any]
