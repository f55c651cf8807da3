"""The one call of ``tfp.optimizer.lbfgs_minimize``.

tfp's optimiser is a large graph that takes seconds to trace, and it evaluates every row of a batch until the
slowest is done. Both are dealt with here, without touching the optimiser:

* The graph calls back into Python for each evaluation, so it is traced once a process, not once a model.
* A row that has come to rest is asked for at points it was evaluated at just before. Those are remembered,
  and only rows at new points go through the model. What is counted is what went through the model.
"""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from robustcheck.arrays import F32, I64

Tensor = Any
# (points [M, D], which rows they are [M]) -> (values [M], gradients [M, D])
Objective = Callable[[F32, I64], tuple[F32, F32]]

# The objective is scaled to be about 1, and so is the distance to the answer. At a row that has come to
# rest, float32's rounding makes tfp's line search bisect for as long as it can tell two points apart, and
# the whole batch pays: with these tolerances two small nets took a fifth of the evaluations for distances
# 0.04 % longer at most (mean over 196 samples).
_GRADIENT_TOLERANCE = 1e-3
_STEP_TOLERANCE = 1e-3
_VALUE_TOLERANCE = 1e-4
# a line search cycles through up to three points of a row that rests
_REMEMBERED = 3

_running: dict[int, _Evaluator] = {}
_tokens = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What a call may spend.

    Attributes:
        iterations: L-BFGS iterations at most.
        line_search: iterations of each line search at most.
        most: evaluations of a row at most. A row that wants more has a line search that bisects rounding
            noise; it is made to fail by a NaN and stays where it is.
    """

    iterations: int
    line_search: int
    most: int


def minimize(objective: Objective, start: F32, effort: Effort, *, history: int) -> tuple[F32, I64]:
    """A few L-BFGS iterations on every row at once.

    tfp's own verdicts are of no use here: it calls a zero gradient at the start converged, and the end of
    float32's resolution failed. The caller judges the positions itself.

    Args:
        objective: values and gradients of the rows asked for.
        start: ``[B, D]`` float32.
        effort: what it may spend.
        history: pairs of steps remembered.

    Returns:
        The positions ``[B, D]`` and how often each row was evaluated ``[B]``.
    """
    token = next(_tokens)
    evaluator = _Evaluator(objective, effort.most, np.zeros(len(start), np.int64))
    _running[token] = evaluator
    try:
        position = _compiled(history)(start, token, effort.iterations, effort.line_search)
    except tf.errors.OpError as error:
        # what went wrong in the objective says more than the graph that it went through
        raise evaluator.failures[0] if evaluator.failures else error from None
    finally:
        del _running[token]
    return position, evaluator.evaluations


@dataclass(frozen=True, eq=False)
class _Evaluator:
    """Evaluates the rows that are at new points, and remembers the last few."""

    objective: Objective
    most: int
    evaluations: I64
    remembered: deque[tuple[F32, F32, F32]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    failures: list[BaseException] = field(default_factory=list)

    def __call__(self, points: F32) -> tuple[F32, F32]:
        value, gradient = np.zeros(len(points), np.float32), np.zeros_like(points)
        new = np.ones(len(points), bool)
        for known_points, known_value, known_gradient in self.remembered:
            same = new & (points == known_points).all(axis=1)
            value[same], gradient[same] = known_value[same], known_gradient[same]
            new &= ~same
        spent = self.evaluations >= self.most
        value[new & spent] = np.nan
        rows = np.flatnonzero(new & ~spent)
        if len(rows):
            value[rows], gradient[rows] = self.objective(points[rows], rows)
            self.evaluations[rows] += 1
        self.remembered.append((points, value, gradient))
        return value, gradient


def _evaluate(token: Tensor, points: Tensor) -> tuple[F32, F32]:
    evaluator = _running[int(token)]
    try:
        return evaluator(points.numpy())
    except BaseException as failure:
        evaluator.failures.append(failure)
        raise


@cache
def _compiled(history: int) -> Callable[[F32, int, int, int], F32]:
    """tfp's optimiser as a function of (start, token, iterations, line search).

    It runs in a session with a thread of its own: a callback holds its thread while the model runs, and if
    that were one of the threads that the model needs (a machine with one core has one), both would wait for
    ever.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it compares versions with distutils when it is imported
        # here, since it takes a second and brings tf_keras, and not every command searches so far
        import tensorflow_probability as tfp

        minimiser = tfp.optimizer.lbfgs_minimize
    graph = tf.Graph()
    with graph.as_default():
        start = tf.compat.v1.placeholder(tf.float32, [None, None])
        token = tf.compat.v1.placeholder(tf.int64, [])
        iterations, line_search = (tf.compat.v1.placeholder(tf.int32, []) for _ in range(2))

        def value_and_gradient(points: Tensor) -> tuple[Tensor, Tensor]:
            value, gradient = tf.py_function(_evaluate, (token, points), (start.dtype, start.dtype))
            return tf.ensure_shape(value, [None]), tf.ensure_shape(gradient, [None, None])

        result = minimiser(
            value_and_gradient,
            start,
            num_correction_pairs=history,
            tolerance=_GRADIENT_TOLERANCE,
            x_tolerance=_STEP_TOLERANCE,
            f_absolute_tolerance=_VALUE_TOLERANCE,
            max_iterations=iterations,
            max_line_search_iterations=line_search,
        )
    threads = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=1, use_per_session_threads=True)
    session = tf.compat.v1.Session(graph=graph, config=threads)
    run: Callable[[F32, int, int, int], F32] = session.make_callable(
        result.position, [start, token, iterations, line_search]
    )
    return run
