"""A random model that is asked several times: the majority decides, and slopes are means over the draws.

What such a model computes depends on numbers that its graph draws. Done again
(:mod:`robustcheck.models._recorded`) with numbers that depend on the draw alone, it gives the same answer for
the same draw, whoever asks, and for a row in any batch. The expectation over draws is what Athalye, Carlini
and Wagner 2018 (arXiv:1802.00420, section 4.2) differentiate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import tensorflow as tf

from robustcheck.models._computed import RULES
from robustcheck.models._recorded import Done, Function, Operation, Recorded, Rule, Tensor

# draws that an example is verified by, to one that decides; no search has seen these
_FRESH = 4
# a function of rows and of the number of a draw
Drawn = Callable[[Tensor, Tensor], Tensor]
Graph = Callable[[Function], Function]


@dataclass(frozen=True, kw_only=True, eq=False)
class Votes:
    """How draws of a random model decide.

    Attributes:
        draws: how many decide.
        counts: ``[B, D] -> [B, K]`` int32, how many of these give each class.
        fresh_draws, fresh: the same of draws that an example is verified by.
    """

    draws: int
    counts: Function
    fresh_draws: int
    fresh: Function

    @staticmethod
    def of(decide: Function, signature: tf.TensorSpec, votes: int, classes: int, graph: Graph) -> Votes:
        """Of a decision as a function to be traced; ``graph`` makes a graph of such a function."""
        verifying = range(votes, (1 + _FRESH) * votes)
        return Votes(
            draws=votes,
            counts=graph(_counts_of(decide, signature, range(votes), classes)),
            fresh_draws=len(verifying),
            fresh=graph(_counts_of(decide, signature, verifying, classes)),
        )

    def majority(self, rows: Tensor) -> Tensor:
        """The class ``[B]`` that most of the draws that decide give; to be traced."""
        return tf.argmax(self.counts(rows), axis=-1, output_type=tf.int32)

    def asked(self, of: Graph) -> Votes:
        """The same asked in another way."""
        return replace(self, counts=of(self.counts), fresh=of(self.fresh))


def mean_of(function: Function, signature: tf.TensorSpec, votes: int, *, honest: bool = False) -> Function:
    """Scores ``[B, K]`` as a mean over draws; to be traced.

    ``honest``: with the gradient of what is computed, whatever the model declares.
    """
    drawn = _drawn(function, signature, RULES if honest else {})

    def mean(rows: Tensor) -> Tensor:
        total = tf.zeros_like(drawn(rows, tf.constant(0)))
        return tf.foldl(lambda sum_, draw: sum_ + drawn(rows, draw), tf.range(votes), total) / votes

    return mean


def _counts_of(decide: Function, signature: tf.TensorSpec, draws: range, classes: int) -> Function:
    """How many of the draws give each class, ``[B, K]``; to be traced."""
    drawn = _drawn(decide, signature, {})

    def counts(rows: Tensor) -> Tensor:
        none = tf.zeros([tf.shape(rows)[0], classes], tf.int32)
        numbers = tf.range(draws.start, draws.stop)
        return tf.foldl(
            lambda sum_, draw: sum_ + tf.one_hot(drawn(rows, draw), classes, dtype=tf.int32), numbers, none
        )

    return counts


def _drawn(function: Function, signature: tf.TensorSpec, rules: dict[str, Rule]) -> Drawn:
    recorded = Recorded(function, signature)
    return lambda rows, draw: recorded.again(rows, rules | _seeded(tf.shape(rows)[0], draw))


def _seeded(count: Tensor, draw: Tensor) -> dict[str, Rule]:
    """Rules by which random operations draw by the number of the draw, alike for all of ``count`` rows."""

    # by their order, since names differ from process to process
    order = itertools.count()

    def seed() -> Tensor:
        return tf.stack([draw, tf.constant(next(order))])

    def floats(make: Callable[..., Tensor]) -> Rule:
        def rule(operation: Operation, inputs: list[Tensor], _: Done) -> list[Tensor]:
            (wanted,) = operation.outputs
            kind = wanted.dtype if wanted.dtype in (tf.float16, tf.bfloat16, tf.float64) else tf.float32
            at = seed()
            made = _alike(inputs[0], count, lambda shape: make(shape, at, dtype=kind))
            return [tf.ensure_shape(made, wanted.shape)]

        return rule

    def integers(low: int, high: int) -> Rule:
        def rule(operation: Operation, inputs: list[Tensor], _: Done) -> list[Tensor]:
            kind, ends = operation.outputs[0].dtype, (inputs[low], inputs[high])
            uniform, at = tf.random.stateless_uniform, seed()
            return [_alike(inputs[0], count, lambda shape: uniform(shape, at, *ends, dtype=kind))]

        return rule

    normal = floats(tf.random.stateless_normal)
    uniform = floats(tf.random.stateless_uniform)
    truncated = floats(tf.random.stateless_truncated_normal)
    return {
        "RandomStandardNormal": normal,
        "RandomUniform": uniform,
        "TruncatedNormal": truncated,
        "RandomUniformInt": integers(1, 2),
        "StatelessRandomNormal": normal,
        "StatelessRandomNormalV2": normal,
        "StatelessRandomUniform": uniform,
        "StatelessRandomUniformV2": uniform,
        "StatelessTruncatedNormal": truncated,
        "StatelessTruncatedNormalV2": truncated,
        "StatelessRandomUniformInt": integers(2, 3),
        "StatelessRandomUniformIntV2": integers(4, 5),
    }


def _alike(shape: Tensor, count: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
    """Numbers of a shape; the same for each row where the first of two or more sizes is that of the rows."""
    shape = tf.cast(shape, tf.int32)
    if shape.shape[0] is None or shape.shape[0] < 2:
        return make(shape)
    one_row = tf.concat([tf.where(shape[:1] == count, 1, shape[:1]), shape[1:]], axis=0)
    return tf.broadcast_to(make(one_row), shape)
