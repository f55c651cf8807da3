"""The classifier that everything else works on, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.config import HeadKind, ModelOptions
from robustcheck.models._layout import InputLayout

Tensor = Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Preprocessing:
    """The Rescaling or Normalization that a model begins with: ``x * scale + offset``, on the last axes."""

    kind: str
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]

    @property
    def text(self) -> str:
        """The layer in words."""
        if self.kind == "Normalization" or self.scale.size > 1:
            return f"{self.kind} layer"
        inverse = 1.0 / float(self.scale.reshape(-1)[0])
        return f"{self.kind}(1/{inverse:g})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """A model seen as logits on flat rows inside a box; made by :func:`robustcheck.wrap`.

    Attributes:
        name: what reports call it.
        logits: ``[B, D] float32 -> [B, K] float32``, in inference mode, differentiable and traced once.
        label: ``[B, D] float32 -> [B] int32``, the decision of the model's own head.
        label_singly: the same, each row called as a batch of one.
        layout: how rows are made of the model's inputs.
        box: the values inputs may take, as a text; distances are in its units.
        lower, upper: the box for each feature, ``[D]``; meaningless where not ``free``.
        free: which features may change, ``[D]``.
        features: how many features the perturbed inputs have: the ``n`` of the RMS.
        classes: ``K``.
        head: what the model ends in and how its logits were had, as a text.
        kind: what the model ends in.
        rounding: lead that a decision needs because the head rounds, in logits.
        parameters: number of weights, or None where unknown.
        options: how the model was read, as was said to :func:`robustcheck.wrap`.
        preprocessing: the layer that scales its input, if it begins with one.
        traces: functions that searches have traced for this model, kept as long as it lives.
    """

    name: str
    logits: Callable[[Tensor], Tensor]
    label: Callable[[Tensor], Tensor]
    label_singly: Callable[[Tensor], Tensor]
    layout: InputLayout
    box: str
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    free: NDArray[np.bool_]
    features: int
    classes: int
    head: str
    kind: HeadKind
    rounding: float
    parameters: int | None
    options: ModelOptions = field(default_factory=ModelOptions)
    preprocessing: Preprocessing | None = None
    traces: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.layout.sample_shape

    def traced(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The function kept under ``key``, made on first use."""
        if key not in self.traces:
            self.traces[key] = make()
        return self.traces[key]

    def bounds(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The box of each row, ``[B, D]`` twice: features that may not change are pinned to their value."""
        lower = np.where(self.free, self.lower, rows)
        upper = np.where(self.free, self.upper, rows)
        return lower, upper


def _in_batches(
    ask: Callable[[Tensor], Tensor], rows: NDArray[np.float32], batch_size: int
) -> list[NDArray[Any]]:
    starts = range(0, max(len(rows), 1), batch_size)
    return [ask(tf.constant(rows[start : start + batch_size])).numpy() for start in starts]


def logits_of(
    classifier: Classifier, rows: NDArray[np.float32], *, batch_size: int = 256
) -> NDArray[np.float32]:
    """Logits ``[N, K]`` of rows ``[N, D]``."""
    return np.concatenate(_in_batches(classifier.logits, rows, batch_size))


def own_labels(
    classifier: Classifier, rows: NDArray[np.float32], *, batch_size: int = 256
) -> NDArray[np.int64]:
    """Decisions ``[N]`` of the plain model's own head for rows ``[N, D]``."""
    return np.concatenate(_in_batches(classifier.label, rows, batch_size)).astype(np.int64)


def own_labels_singly(
    classifier: Classifier, rows: NDArray[np.float32], *, batch_size: int = 256
) -> NDArray[np.int64]:
    """The same with every row a batch of one; ``batch_size`` bounds what is handed over at once."""
    return np.concatenate(_in_batches(classifier.label_singly, rows, batch_size)).astype(np.int64)
