"""The loss of Szegedy et al. 2013, section 4.1: what both of its searches minimise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32, I64
from robustcheck.models import Classifier
from robustcheck.search._boxed import Pull
from robustcheck.search._rows import Rows

Tensor = Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Targeted:
    """Rows that each head for a class, ``R`` of them.

    Attributes:
        rows: the samples.
        start: where the linearised boundary is, ``[R, D]``.
        unit: its distance in the norm that is searched, ``[R]``.
        gap: ``Z_label - Z_target`` at the sample, ``[R]``.
        sharpness: factor on the logits in the loss, ``[R]``.
        history: pairs of steps that L-BFGS remembers.
        tolerance: relative precision with which the boundary is located.
    """

    rows: Rows
    start: F32
    unit: F32
    gap: F32
    sharpness: F32
    history: int
    tolerance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Reached:
    """Nearest points ``[R, D]``, NaN where there is none, and the evaluations spent on each row ``[R]``."""

    nearest: F32
    gradient_evaluations: I64
    forward_evaluations: I64


def paper_loss(classifier: Classifier, targeted: Targeted) -> Pull:
    """Values and gradients of the loss, in units of the gap and of the distance of each row."""
    ints, numbers = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None])
    each = tf.TensorSpec([None, classifier.layout.width])
    loss = classifier.traced(
        "entropy", lambda: numerics.traced(ints, each, numbers, numbers)(partial(_loss, classifier))
    )
    unit = targeted.unit[:, None]

    def pull(at: F32, which: I64) -> tuple[F32, F32]:
        target = targeted.rows.goal.target[which]
        given = (target, at, targeted.sharpness[which], targeted.gap[which])
        value, slope = loss(*(tf.constant(part) for part in given))
        return value.numpy(), unit[which] * slope.numpy()

    return pull


def _loss(
    classifier: Classifier, target: Tensor, z: Tensor, sharpness: Tensor, gap: Tensor
) -> tuple[Tensor, Tensor]:
    """The sharpened cross-entropy to the target in units of the gap at the sample, and its gradient by z."""

    def entropy(at: Tensor) -> Tensor:
        sharp = sharpness[:, None] * classifier.logits(at)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(target, sharp) / (sharpness * gap)

    return numerics.with_gradient(entropy, z)
