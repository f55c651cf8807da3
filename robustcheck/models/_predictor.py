"""A model that decides: all that transfer, noise and most checks ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.arrays import F32, I64, Mask
from robustcheck.models._layout import InputLayout

Tensor = Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """A model seen as decisions on flat rows inside a box.

    Attributes:
        name: what reports call it.
        label: ``[B, D] float32 -> [B] int32``, the decision of the model's own head.
        label_singly: the same, each row called as a batch of one.
        layout: how rows are made of the model's inputs.
        box: the values inputs may take, as a text; distances are in its units.
        lower, upper: the box for each feature, ``[D]``; meaningless where not ``free``.
        free: which features may change, ``[D]``.
        cost: of a change of each feature by 1, ``[D]``, 1 where not ``free``: lengths are of cost times
            change.
        features: how many features the perturbed inputs have: the ``n`` of the RMS.
        classes: ``K``.
        parameters: number of weights, or None where unknown.
        digest: SHA-256 of what decides, where it is known and is no model file.
    """

    name: str
    label: Callable[[Tensor], Tensor]
    label_singly: Callable[[Tensor], Tensor]
    layout: InputLayout
    box: str
    lower: F32
    upper: F32
    free: Mask
    cost: F32
    features: int
    classes: int
    parameters: int | None
    digest: str | None = None

    @property
    def priced(self) -> bool:
        """Whether a change of some feature costs other than 1."""
        return bool(np.any(self.cost != 1.0))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.layout.sample_shape

    @property
    def conditions(self) -> dict[str, Any]:
        """How rows are made and where they may go: what models that are tried on the same rows share."""
        shared = ("layout", "box", "lower", "upper", "free", "cost", "features")
        return {name: getattr(self, name) for name in shared}

    def bounds(self, rows: F32) -> tuple[F32, F32]:
        """The box of each row, ``[B, D]`` twice: features that may not change are pinned to their value."""
        lower = np.where(self.free, self.lower, rows)
        upper = np.where(self.free, self.upper, rows)
        return lower, upper


def in_batches(ask: Callable[[Tensor], Tensor], rows: F32, batch_size: int) -> list[NDArray[Any]]:
    """What a model answers about rows ``[N, D]``, asked some at a time."""
    starts = range(0, max(len(rows), 1), batch_size)
    return [ask(tf.constant(rows[start : start + batch_size])).numpy() for start in starts]


def own_labels(predictor: Predictor, rows: F32, *, batch_size: int = 256) -> I64:
    """Decisions ``[N]`` of the plain model's own head for rows ``[N, D]``."""
    return np.concatenate(in_batches(predictor.label, rows, batch_size)).astype(np.int64)


def own_labels_singly(predictor: Predictor, rows: F32, *, batch_size: int = 256) -> I64:
    """The same with every row a batch of one; ``batch_size`` bounds what is handed over at once."""
    return np.concatenate(in_batches(predictor.label_singly, rows, batch_size)).astype(np.int64)
