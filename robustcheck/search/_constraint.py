"""The decision boundary as a constraint, and which side of it a point is on: what methods ask of a model.

Each is traced once a model; the graphs of the methods call it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from robustcheck import numerics
from robustcheck.models import Classifier

Tensor = Any

# lead asked for, in shares of the lead that is needed
_SAFETY = 1.25


def constraint(
    classifier: Classifier, z: Tensor, label: Tensor, target: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """What must not be positive for ``z`` to be the target, ``[R]``, and its gradient ``[R, D]``.

    ``Z_label - Z_target``; where the target itself is wanted it must lead all others.
    """
    graph = classifier.traced("constraint", lambda: _trace_constraint(classifier))
    found: tuple[Tensor, Tensor] = graph(z, label, target, wanted)
    return found


def _trace_constraint(classifier: Classifier) -> Any:
    floats, ints = tf.TensorSpec([None, classifier.layout.width]), tf.TensorSpec([None], tf.int32)

    @numerics.traced(floats, ints, ints, ints)
    def graph(z: Tensor, label: Tensor, target: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        def gap(points: Tensor) -> Tensor:
            logits = classifier.logits(points)
            chosen = tf.gather(logits, target, batch_dims=1)
            is_target = tf.one_hot(target, tf.shape(logits)[1], on_value=True, off_value=False)
            best_other = tf.reduce_max(tf.where(is_target, logits.dtype.min, logits), axis=1)
            return tf.where(wanted < 0, tf.gather(logits, label, batch_dims=1), best_other) - chosen

        return numerics.with_gradient(gap, z)

    return graph


def beyond(
    classifier: Classifier, label: Tensor, wanted: Tensor, relative: Tensor, absolute: Tensor
) -> Callable[[Tensor], Tensor]:
    """By how much points ``[R, D]`` are misclassified for good, ``[R]``; positive = they are.

    Asks for a little more than the check outside the search does, so that its rounding does not decide.
    """
    graph = classifier.traced("beyond", lambda: _trace_beyond(classifier))
    return lambda points: graph(points, label, wanted, relative, absolute)


def _trace_beyond(classifier: Classifier) -> Any:
    floats, ints = tf.TensorSpec([None, classifier.layout.width]), tf.TensorSpec([None], tf.int32)
    number = tf.TensorSpec([])

    @numerics.traced(floats, ints, ints, number, number)
    def graph(points: Tensor, label: Tensor, wanted: Tensor, relative: Tensor, absolute: Tensor) -> Tensor:
        logits = classifier.logits(points)
        lead = _SAFETY * numerics.needed_margin(logits, relative, absolute)
        return numerics.adversarial_margin(logits, label, wanted) - lead

    return graph
