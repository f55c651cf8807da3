"""A model's inputs as one flat row a sample, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.errors import DataRefused, ModelRefused

Kind = Literal["single", "list", "dict"]


@dataclass(frozen=True, kw_only=True)
class InputLayout:
    """Which inputs a model takes, and where each lies in a flat row of ``D`` features.

    Inputs that are not perturbed lie in the row too, so that every sample brings its own; their features
    are not free to move. ``batch`` is the only number of rows that the model takes, None = any.
    """

    kind: Kind
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    perturbed: tuple[bool, ...]
    batch: int | None = None

    def __post_init__(self) -> None:
        if any(size < 1 for shape in self.shapes for size in shape):
            raise ModelRefused(
                f"expected inputs with sizes of 1 or more, got a model that takes {self.shapes}"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features of each input."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def width(self) -> int:
        """``D``, the features of a row."""
        return sum(self.sizes)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample as results store it: the input's own, or flat where there are several."""
        return self.shapes[0] if self.kind == "single" else (self.width,)

    def describe(self) -> str:
        """The shapes expected, for error texts."""
        if self.kind == "single":
            return str(("N", *self.shapes[0])).replace("'", "")
        return ", ".join(
            f"{name} {('N', *shape)}" for name, shape in zip(self.names, self.shapes, strict=True)
        )

    def spread(self, per_input: list[NDArray[Any]]) -> NDArray[Any]:
        """Join one array ``[size]`` an input to one ``[D]``."""
        return np.concatenate(per_input) if len(per_input) > 1 else per_input[0]

    def split(self, x: Any) -> list[NDArray[Any]]:
        """The arrays ``[N, *shape]`` of a user's samples in the layout's order, as they are stored."""
        if self.kind == "single":
            return [np.asarray(x)]
        if isinstance(x, Mapping):
            missing = [name for name in self.names if name not in x]
            if missing:
                raise DataRefused(f"samples: expected inputs {list(self.names)}, missing {missing}")
            return [np.asarray(x[name]) for name in self.names]
        if self.kind == "dict" or not isinstance(x, (list, tuple)) or len(x) != len(self.names):
            raise DataRefused(
                f"samples: expected a {self.kind} of arrays for the inputs {list(self.names)}, "
                f"got {type(x).__name__}"
            )
        return [np.asarray(part) for part in x]

    def from_rows(self, rows: Any) -> Any:
        """Flat rows ``[B, D]`` as what the model takes; differentiable."""
        parts = tf.split(rows, self.sizes, axis=-1) if len(self.sizes) > 1 else [rows]
        shaped = [
            tf.cast(tf.reshape(part, (-1, *shape)), dtype)
            for part, shape, dtype in zip(parts, self.shapes, self.dtypes, strict=True)
        ]
        if self.kind == "single":
            return shaped[0]
        return dict(zip(self.names, shaped, strict=True)) if self.kind == "dict" else shaped
