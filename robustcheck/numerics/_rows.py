"""Lengths and margins, row by row."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def rowwise_dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each pair of rows, ``[B, D], [B, D] -> [B]``."""
    return tf.reduce_sum(a * b, axis=-1)


def l2_norm(a: Tensor) -> Tensor:
    """Euclidean norm of each row, ``[B, D] -> [B]``."""
    return tf.sqrt(rowwise_dot(a, a))


def linf_norm(a: Tensor) -> Tensor:
    """Largest absolute value of each row, ``[B, D] -> [B]``."""
    return tf.reduce_max(tf.abs(a), axis=-1)


def l1_norm(a: Tensor) -> Tensor:
    """Sum of the absolute values of each row, ``[B, D] -> [B]``."""
    return tf.reduce_sum(tf.abs(a), axis=-1)


def adversarial_margin(logits: Tensor, label: Tensor, target: Tensor) -> Tensor:
    """By how much the logits ``[B, K]`` hold the wanted mistake; positive = misclassified.

    Untargeted rows (``target`` [B] is -1): the best other class minus the label ``[B]``. Targeted rows: the
    target minus the best other class. In units of the logits, ``[B]``.
    """
    one_hot = tf.one_hot(tf.where(target < 0, label, target), tf.shape(logits)[-1], dtype=logits.dtype)
    chosen = tf.reduce_sum(logits * one_hot, axis=-1)
    others = tf.reduce_max(tf.where(one_hot > 0, logits.dtype.min, logits), axis=-1)
    return tf.where(target < 0, others - chosen, chosen - others)


def to_unit_slope(normal: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """A constraint ``gap + normal . (z - x)`` scaled so that the largest entry of ``normal`` is 1.

    Only its direction and where it vanishes matter, and the squares of tiny gradients underflow. Zero stays.
    ``[B, D], [B] -> [B, D], [B]``.
    """
    largest = tf.reduce_max(tf.abs(normal), axis=-1)
    return tf.math.divide_no_nan(normal, largest[:, None]), tf.math.divide_no_nan(gap, largest)


def needed_margin(logits: Tensor, relative: Tensor, absolute: Tensor) -> Tensor:
    """Lead that the winning logit needs before a decision holds in another batch, ``[B, K] -> [B]``.

    The sum of float rounding in the logits, ``relative * max |Z|``, and of that in the head's
    probabilities, ``absolute``.
    """
    return relative * tf.reduce_max(tf.abs(logits), axis=-1) + absolute
