"""Scores out of a model that may end in probabilities.

A search on saturated probabilities finds nothing and calls the model robust. So the scores are taken before
whatever the traced graph ends in that leaves the order of the classes as it was and is flat somewhere, be it
a layer, an operation or written by hand. Only where it is out of reach are scores made from what the model
gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from robustcheck.arrays import F32
from robustcheck.config import HeadKind
from robustcheck.errors import ModelRefused
from robustcheck.models._calling import Function, Output
from robustcheck.models._classifier import Head
from robustcheck.models._computed import computed
from robustcheck.models._ends import End, last_operation, scores_before
from robustcheck.models._votes import Votes, mean_of
from robustcheck.text import option

Tensor = Any

# a smaller lead than this many roundings of the output's type can vanish in probabilities
_ROUNDINGS = 8.0
_ONE_OUTPUT = ("sigmoid", "tanh", "binary_logit")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The scores and labels that a model gives.

    Attributes:
        head: what it ends in.
        logits: graph ``[B, D] -> [B, K]`` float32.
        computed: makes the same with the gradient of what is computed, whatever the model declares.
        label: graph ``[B, D] -> [B]`` int32, the decision of the model's own output.
        classes: ``K``.
        rounding: lead that a decision needs because the output rounds, in logits.
        votes: how draws decide, where the model is asked several times.
    """

    head: Head
    logits: Function
    computed: Callable[[], Function]
    label: Function
    classes: int
    rounding: float
    votes: Votes | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """The same as functions to be traced."""

    head: Head
    score: Function
    decide: Function
    classes: int
    rounding: float


def find_head(output: Output, asked: HeadKind | Literal["auto"], votes: int | None = None) -> Scores:
    """Find the head of a model: what its graph shows, or what the user says it is; never by values alone.

    ``votes``: how often a random model is asked.

    Raises:
        ModelRefused: the output is of no kind known, or not of the kind asked for.
    """
    kind = _kind_of(output.end, output.values) if asked == "auto" else _checked(asked, output)
    read = (_of_one if output.units == 1 else _of_several)(output, kind)
    score, decide, at = read.score, read.decide, output.signature
    drawn = None
    if votes is not None:
        drawn = Votes.of(read.decide, at, votes, read.classes, output.graph)
        score = mean_of(read.score, at, votes)
        decide = drawn.majority

    def honest() -> Function:
        made = computed(read.score, at) if votes is None else mean_of(read.score, at, votes, honest=True)
        return output.graph(made)

    return Scores(
        head=read.head,
        logits=output.graph(score),
        computed=honest,
        label=output.graph(decide),
        classes=read.classes,
        rounding=read.rounding,
        votes=drawn,
    )


def _of_one(output: Output, kind: HeadKind) -> _Read:
    recovered = None if kind == "binary_logit" else output.end.kind == kind
    score = _before_last(output.call) if recovered else _as_float(output.call)
    return _Read(
        head=Head(kind, recovered),
        score=_two_logits(score, kind, made=recovered is False),
        decide=_above(output.call, 0.5 if kind == "sigmoid" else 0.0),
        classes=2,
        rounding=0.0 if recovered is None else _ROUNDINGS * output.end.epsilon,
    )


def _of_several(output: Output, kind: HeadKind) -> _Read:
    left_out, score = output.end.left_out, _without_flat(output.call)
    if not left_out or not _decides_the_same(output):
        left_out, score = (), _log_of(output.call) if kind == "softmax" else _as_float(output.call)
    return _Read(
        head=Head(kind, bool(left_out) if kind == "softmax" else None, left_out),
        score=score,
        decide=_largest(output.call),
        classes=output.units,
        rounding=_ROUNDINGS * output.end.epsilon if left_out or kind == "softmax" else 0.0,
    )


def _decides_the_same(output: Output) -> bool:
    """Whether scores ``[P, K]`` have their largest where the output has it, but where it has several."""

    def both(rows: Tensor) -> Tensor:
        # of one call, since a random model gives other scores to another
        out = output.call(rows)
        return tf.concat([_scores(out), tf.cast(out, tf.float32)], axis=-1)

    scores, values = np.split(output.graph(both)(output.probe).numpy(), 2, axis=1)
    first = np.sort(values, axis=1)[:, -2:]
    decided = (first[:, 0] < first[:, 1]) & np.isfinite(values).all(axis=1)
    return bool(np.all(scores.argmax(axis=1)[decided] == values.argmax(axis=1)[decided]))


def _without_flat(call: Function) -> Function:
    """The output without all that is flat somewhere and does not matter for the decision, float32."""
    return lambda rows: _scores(call(rows))


def _scores(out: Tensor) -> Tensor:
    return tf.reshape(tf.cast(scores_before(out)[0], tf.float32), [-1, out.shape[-1]])


def _before_last(call: Function) -> Function:
    """The output without the sigmoid or tanh that it ends in, float32."""

    def score(rows: Tensor) -> Tensor:
        before = tf.cast(last_operation(call(rows)).inputs[0], tf.float32)
        return tf.reshape(before, [-1, 1])

    return score


def _log_of(call: Function) -> Function:
    return lambda rows: tf.math.log(tf.maximum(tf.cast(call(rows), tf.float32), 1e-37))


def _as_float(call: Function) -> Function:
    return lambda rows: tf.cast(call(rows), tf.float32)


def _checked(asked: HeadKind, output: Output) -> HeadKind:
    """What the user says, unless the graph or the values say that it cannot be."""
    end, units, values = output.end, output.units, output.values
    single = asked in _ONE_OUTPUT
    if single != (units == 1):
        expected = "one output" if single else "one output a class"
        raise ModelRefused(f"{option('head', asked)}: expected {expected}, got {units} outputs")
    shown = end.kind if end.kind in ("softmax", "sigmoid", "tanh") else None
    if single and shown is not None and shown != asked:
        raise ModelRefused(f"{option('head', asked)}: expected what the graph shows, which ends in a {shown}")
    if asked == "sigmoid" and not _in_unit_interval(values):
        raise ModelRefused(
            f"{option('head', asked)}: expected probabilities, got outputs from {values.min():.4g} to "
            f"{values.max():.4g}; {option('head', 'binary_logit')} if a positive one means class 1"
        )
    if asked == "softmax" and shown != "softmax" and not _are_probabilities(end, values):
        raise ModelRefused(
            f"{option('head', asked)}: expected probabilities that add up to 1, got outputs from "
            f"{values.min():.4g} to {values.max():.4g}; {option('head', 'logits')} if the largest decides"
        )
    return asked


def _are_probabilities(end: End, values: F32) -> bool:
    whole = np.abs(values.sum(axis=-1) - 1.0) <= 1e-4 + 2.0 * end.epsilon
    return _in_unit_interval(values) and bool(np.all(whole))


def _in_unit_interval(values: F32) -> bool:
    return bool(np.all((values >= 0) & (values <= 1)))


def _kind_of(end: End, values: F32) -> HeadKind:
    units = values.shape[-1]
    if units == 1:
        if end.kind in ("sigmoid", "tanh"):
            return end.kind
        raise ModelRefused(
            "the model has one output, and its graph does not end in a sigmoid or a tanh, so it does not "
            f"show where the decision is: pass {option('head', 'binary_logit')} if a positive output means "
            f"class 1 (from_logits, hinge), or {option('head', 'sigmoid')} if it is a probability and "
            "more than 0.5 means class 1"
        )
    if end.kind == "softmax":
        return "softmax"
    # of the decision, the largest output, this changes nothing; it makes scores that are less saturated
    if end.kind in (None, "hidden") and _are_probabilities(end, values):
        return "softmax"
    if end.kind == "sigmoid" or (end.kind == "hidden" and _in_unit_interval(values)):
        raise ModelRefused(
            f"the model's {units} outputs look like independent sigmoids, a multi-label head: expected one "
            f"class a sample; if the largest output is the decision, pass {option('head', 'logits')}"
        )
    return "logits"


def _two_logits(score: Function, kind: HeadKind, *, made: bool) -> Function:
    """Scores of two classes; ``made``: of the output, since what is before its last step is out of reach."""
    if made and kind == "sigmoid":
        return _two(lambda rows: _log_odds(score(rows)))
    if made and kind == "tanh":
        return _two(lambda rows: _log_odds(0.5 * (1.0 + score(rows))))
    # tanh(z) = 2 sigmoid(2 z) - 1
    return _two((lambda rows: 2.0 * score(rows)) if kind == "tanh" else score)


def _log_odds(p: Tensor) -> Tensor:
    """Of a probability; beyond 0 and 1, where an output that is not one may lie, it goes on as a line."""
    inside = tf.clip_by_value(p, 1e-37, 1.0 - 2.0**-24)
    return tf.math.log(inside) - tf.math.log1p(-inside) + (p - tf.clip_by_value(p, 0.0, 1.0))


def _two(logit: Function) -> Function:
    def logits(rows: Tensor) -> Tensor:
        z = logit(rows)
        return tf.concat([tf.zeros_like(z), z], axis=-1)

    return logits


def _largest(call: Function) -> Function:
    return lambda rows: tf.argmax(call(rows), axis=-1, output_type=tf.int32)


def _above(call: Function, threshold: float) -> Function:
    return lambda rows: tf.cast(call(rows)[:, 0] > threshold, tf.int32)
