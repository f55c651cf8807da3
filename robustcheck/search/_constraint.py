"""The decision boundary as a constraint, and which side of it a point is on: what methods ask of a model.

Each is traced once a model; the graphs of the methods call it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32, Mask
from robustcheck.models import Classifier
from robustcheck.search._rows import NUMBER, Goal, Rows, graph, points

Tensor = Any

# lead asked for, in shares of the lead that is needed
_SAFETY = 1.25
# how far beyond a point the boundary is looked for, in shares of its distance
_REACH = (1.0, 1.01, 1.05, 1.2)


def constraint(classifier: Classifier, goal: Goal, z: Tensor) -> tuple[Tensor, Tensor]:
    """What must not be positive for ``z`` to be the target, ``[R]``, and its gradient ``[R, D]``.

    ``Z_label - Z_target``; where the target itself is wanted it must lead all others.
    """
    found: tuple[Tensor, Tensor] = graph(_gap, classifier, Goal.signature(), points(classifier))(goal, z)
    return found


def _gap(classifier: Classifier, goal: Goal, z: Tensor) -> tuple[Tensor, Tensor]:
    def gap(at: Tensor) -> Tensor:
        logits = classifier.logits(at)
        chosen = tf.gather(logits, goal.target, batch_dims=1)
        is_target = tf.one_hot(goal.target, tf.shape(logits)[1], on_value=True, off_value=False)
        best_other = tf.reduce_max(tf.where(is_target, logits.dtype.min, logits), axis=1)
        label = tf.gather(logits, goal.label, batch_dims=1)
        return tf.where(goal.wanted < 0, label, best_other) - chosen

    return numerics.with_gradient(gap, z)


def beyond(classifier: Classifier, goal: Goal, z: Tensor) -> Tensor:
    """By how much points ``[R, D]`` are misclassified for good, ``[R]``; positive = they are.

    Asks for a little more than the check outside the search does, so that its rounding does not decide.
    """
    return graph(_lead, classifier, Goal.signature(), points(classifier))(goal, z)


def _lead(classifier: Classifier, goal: Goal, z: Tensor) -> Tensor:
    logits = classifier.logits(z)
    needed = _SAFETY * numerics.needed_margin(logits, goal.relative, goal.absolute)
    return numerics.adversarial_margin(logits, goal.label, goal.wanted) - needed


def to_boundary(classifier: Classifier, rows: Rows, z: F32, tolerance: float) -> tuple[Mask, F32, int]:
    """The decision boundary on the ray from each sample through ``z``, at most a fifth beyond it.

    Returns:
        Whether one was found ``[R]``, the point just behind it ``[R, D]`` (elsewhere meaningless), and the
        forward evaluations of each row.
    """
    on_ray = graph(_on_ray, classifier, Rows.signature(classifier), points(classifier), NUMBER)
    found, point, asked = on_ray(rows, z, np.float32(tolerance))
    return found.numpy(), point.numpy(), int(asked)


def _on_ray(
    classifier: Classifier, rows: Rows, z: Tensor, tolerance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    def farther(step: Tensor, at: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reached = rows.x + tf.gather(_REACH, step) * (z - rows.x)
        at = tf.where(found[:, None], at, tf.clip_by_value(reached, rows.lower, rows.upper))
        return step + 1, at, found | (beyond(classifier, rows.goal, at) > 0)

    steps, at, found = tf.while_loop(
        lambda step, _, found: (step < len(_REACH)) & ~tf.reduce_all(found),
        farther,
        (tf.constant(0), z, tf.zeros_like(rows.goal.label, tf.bool)),
    )
    point, asked = numerics.boundary_on_segment(
        lambda there: beyond(classifier, rows.goal, there), rows.x, at, tolerance=tolerance
    )
    return found, tf.clip_by_value(point, rows.lower, rows.upper), asked + steps
