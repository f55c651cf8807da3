"""The decision boundary as a constraint, and which side of it a point is on: what methods ask of a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32, I64, Mask
from robustcheck.interrupts import raise_if_asked
from robustcheck.models import Classifier, Votes, logits_of
from robustcheck.search._rows import Goal, Rows

Tensor = Any

# lead asked for, in shares of the lead that is needed
_SAFETY = 1.25
# so that the number of votes that is needed is enough
_TIE = 1e-6
# how far beyond a point the boundary is looked for, in shares of its distance
_REACH = (1.01, 1.05, 1.2)


class Looked(NamedTuple):
    """What one evaluation with its gradient tells of points.

    Attributes:
        gap: what must not be positive for a point to be the target, ``[R]``: ``Z_label - Z_target``; where
            the target itself is wanted it must lead all others.
        normal: its gradient, ``[R, D]``.
        lead: by how much the point is misclassified for good, ``[R]``; positive = it is.
    """

    gap: F32
    normal: F32
    lead: F32


def look(classifier: Classifier, goal: Goal, z: F32) -> Looked:
    """The constraint and the decision at points ``[R, D]``: one gradient evaluation of each."""
    signature = tf.TensorSpec([3, None], tf.int32), tf.TensorSpec([None, classifier.layout.width])
    graph = classifier.traced("gap", lambda: numerics.traced(*signature)(_gap_of(classifier)))
    raise_if_asked()
    # one array, since each that is handed over takes as long as some arithmetic on all rows
    classes = np.stack([goal.label, goal.target, goal.wanted])
    gap, normal, logits = graph(tf.constant(classes), tf.constant(z))
    return Looked(gap.numpy(), normal.numpy(), _lead(goal, logits.numpy()))


def margin_slope(classifier: Classifier, rows: F32, label: I64, wanted: I64) -> F32:
    """Slopes ``[R, D]`` of the adversarial margin at rows that are classified right, but for the sign.

    Args:
        classifier: the model.
        rows: ``[R, D]``.
        label: their classes, ``[R]``.
        wanted: the class that counts as a mistake, ``[R]``; -1 = any other.
    """
    others = logits_of(classifier, rows)
    np.put_along_axis(others, label[:, None], -np.inf, axis=1)
    return slope_towards(
        classifier, rows, label, np.where(wanted >= 0, wanted, others.argmax(axis=1)), wanted
    )


def slope_towards(classifier: Classifier, rows: F32, label: I64, target: I64, wanted: I64) -> F32:
    """The same where the class that is headed for is known, ``[R]``."""
    goal = Goal(
        label=label.astype(np.int32),
        target=target.astype(np.int32),
        wanted=wanted.astype(np.int32),
        relative=0.0,
        absolute=0.0,
    )
    return look(classifier, goal, rows).normal


def _gap_of(classifier: Classifier) -> Any:
    def gap_and_slope(classes: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        label, target, wanted = tf.unstack(classes)
        seen: list[Tensor] = []

        def gap(at: Tensor) -> Tensor:
            logits = classifier.sloped(at)
            seen.append(logits)
            chosen = tf.gather(logits, target, batch_dims=1)
            is_target = tf.one_hot(target, tf.shape(logits)[1], on_value=True, off_value=False)
            best_other = tf.reduce_max(tf.where(is_target, logits.dtype.min, logits), axis=1)
            return tf.where(wanted < 0, tf.gather(logits, label, batch_dims=1), best_other) - chosen

        value, slope = numerics.with_gradient(gap, z)
        decided = seen[0] if classifier.slope == "declared" else classifier.logits(z)
        return value, tf.zeros_like(z) if slope is None else slope, decided

    return gap_and_slope


def beyond(classifier: Classifier, goal: Goal, z: F32) -> F32:
    """By how much points ``[R, D]`` are misclassified for good, ``[R]``; positive = they are.

    One forward evaluation of each.
    """
    raise_if_asked()
    if classifier.votes is not None:
        return _lead_in_votes(classifier.votes, goal, z)
    return _lead(goal, classifier.logits(tf.constant(z)).numpy())


def _lead_in_votes(votes: Votes, goal: Goal, z: F32) -> F32:
    """By what share of the votes the mistake leads by more than two deviations, so that it does in others."""
    mistaken, voting = numerics.votes_for(votes.counts(tf.constant(z)).numpy(), goal.label, goal.wanted)
    lead = 2.0 * mistaken - voting - 2.0 * np.sqrt(np.maximum(voting, 1))
    return np.asarray(lead / votes.draws + _TIE, np.float32)


def _lead(goal: Goal, logits: F32) -> F32:
    """Asks for a little more than the check outside the search does, so that its rounding does not decide."""
    needed = _SAFETY * numerics.needed_margin(logits, goal.relative, goal.absolute)
    margin = numerics.adversarial_margin(logits, goal.label, goal.wanted) - needed
    # a model may give NaN off its data: that is no mistake
    lead: F32 = np.where(np.isnan(margin), -np.inf, margin).astype(np.float32)
    return lead


def to_boundary(
    classifier: Classifier,
    rows: Rows,
    z: F32,
    tolerance: float,
    *,
    lead: F32 | None = None,
    near: F32 | None = None,
) -> tuple[Mask, F32, I64]:
    """The decision boundary on the ray from each sample through ``z``, at most a fifth beyond it.

    Args:
        classifier: the model.
        rows: what is searched for.
        z: points of the box ``[R, D]``.
        tolerance: relative precision.
        lead: at ``z``, ``[R]``, where it is known.
        near: where the boundary is thought to be, in shares of the way to ``z``, ``[R]``.

    Returns:
        Whether one was found ``[R]``, the point just behind it ``[R, D]`` (elsewhere meaningless), and the
        forward evaluations of each row ``[R]``.
    """
    at, asked = z.copy(), np.zeros(len(z), np.int64)
    if lead is None:
        lead = beyond(classifier, rows.goal, z)
        asked += 1
    value = lead.copy()
    for reach in _REACH:
        missing = np.flatnonzero(~(value > 0))
        if not len(missing):
            break
        part = rows.take(missing)
        at[missing] = np.clip(part.x + reach * (z[missing] - part.x), part.lower, part.upper)
        value[missing] = beyond(classifier, part.goal, at[missing])
        asked[missing] += 1
    found: Mask = value > 0
    point, more = numerics.boundary_on_segment(
        lambda there, which: beyond(classifier, rows.goal.take(which), there),
        rows.x,
        at,
        value,
        tolerance=tolerance,
        near=near,
    )
    return found, np.clip(point, rows.lower, rows.upper), asked + more
