"""Pure batched TensorFlow maths: margins, the box, exact linear distances and searches along a segment.

Shapes use ``B`` rows, ``D`` flattened features and ``K`` classes. Nothing here knows of models, audits or
files; every function can be traced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, TypeVar, cast

import tensorflow as tf

Tensor = Any  # TensorFlow ships no type information
Projection = TypeVar("Projection", bound=Callable[..., Any])


class Traced:
    """A function as a graph, traced when it is first used, with what the function refers to.

    It stays a graph while ``tf.config.run_functions_eagerly(True)`` is in force.
    """

    def __init__(self, function: Callable[..., Any], signature: tuple[Any, ...], **settings: Any) -> None:
        # a concrete function alone does not keep its variables, so this one is kept beside it
        self._function = tf.function(function, input_signature=signature, autograph=False, **settings)
        # one graph a model is what is meant, so that TensorFlow need not warn of many from one place
        self._function._omit_frequent_tracing_warning = True

    @cached_property
    def _graph(self) -> Any:
        return self._function.get_concrete_function()

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives."""
        return self._graph(*arguments)

    @property
    def operations(self) -> list[tuple[str, str]]:
        """Type and name of each operation, without those of functions that it calls."""
        return [(operation.type, operation.name) for operation in self._graph.graph.get_operations()]

    @property
    def output(self) -> Tensor:
        """The symbolic output: its type and shape."""
        return self._graph.outputs[0]


def traced(*signature: tf.TensorSpec) -> Callable[[Callable[..., Any]], Traced]:
    """Decorator: trace a function once, for every number of rows that the signature leaves open."""
    return lambda function: Traced(function, signature)


def shared(function: Projection) -> Projection:
    """Decorator: a projection of rows ``x`` is traced once for all models, not into each model's graphs anew.

    Its first result has the shape of ``x``, which the shared graph leaves open.
    """
    graph = tf.function(function, autograph=False, reduce_retracing=True)

    @wraps(function)
    def call(x: Tensor, *arguments: Any, **settings: Any) -> Any:
        result = graph(x, *arguments, **settings)
        (result[0] if isinstance(result, tuple) else result).set_shape(x.shape)
        return result

    return cast(Projection, call)


def with_gradient(function: Callable[[Tensor], Tensor], rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """``function(rows)`` ``[B]`` and its gradient for each row ``[B, D]``, None where none reaches them.

    To be traced: a tape over a finished graph makes TensorFlow split it in two, which costs memory, and with
    some convolutions and odd numbers of rows its CPU kernels then corrupt it (TensorFlow 2.21).
    """
    with tf.GradientTape() as tape:
        tape.watch(rows)
        value = function(rows)
    return value, tape.gradient(value, rows)


def rowwise_dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each pair of rows, ``[B, D], [B, D] -> [B]``."""
    return tf.reduce_sum(a * b, axis=-1)


def l2_norm(a: Tensor) -> Tensor:
    """Euclidean norm of each row, ``[B, D] -> [B]``."""
    return tf.sqrt(rowwise_dot(a, a))


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


@shared
def nearest_in_half_space(
    x: Tensor, normal: Tensor, gap: Tensor, lower: Tensor, upper: Tensor, *, steps: int = 40
) -> tuple[Tensor, Tensor]:
    """Nearest point of the box to ``x`` with ``gap + normal . (z - x) <= 0``; exact to rounding.

    The minimiser is ``clip(x - s * normal)`` for the least ``s >= 0`` that reaches the half-space (the KKT
    conditions of the projection). The left side is piecewise linear, convex and falling in ``s``, so
    Newton's method from ``s = 0`` climbs to the root without overshooting; rows that cannot reach it within
    the box go to the corner that comes nearest.

    Args:
        x: ``[B, D]``, inside the box.
        normal: ``[B, D]``, gradient of the constraint.
        gap: ``[B]``, its value at ``x``; rows with ``gap <= 0`` stay where they are.
        lower, upper: ``[B, D]``, the box, infinite sides allowed.
        steps: Newton steps at most; each passes at least one kink.

    Returns:
        The point ``[B, D]`` and whether the half-space was reached ``[B]``.
    """

    def at(s: Tensor) -> tuple[Tensor, Tensor]:
        z = tf.clip_by_value(x - s[:, None] * normal, lower, upper)
        return z, gap + rowwise_dot(normal, z - x)

    def newton(count: Tensor, s: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, value = at(s)
        # a coordinate still moves with s unless it has come to rest on the bound that it heads for
        moving = tf.where(normal > 0, z > lower, z < upper)
        slope = rowwise_dot(normal * tf.cast(moving, x.dtype), normal)
        step = tf.math.divide_no_nan(tf.maximum(value, 0.0), slope)
        return count + 1, s + step, tf.reduce_any(step > 1e-7 * s)

    start = (tf.constant(0), tf.zeros_like(gap), tf.constant(True))
    _, s, _ = tf.while_loop(lambda count, _, go: go & (count < steps), newton, start)
    z, value = at(s)
    scale = tf.abs(gap) + rowwise_dot(tf.abs(normal), tf.abs(z - x))
    return z, value <= 1e-5 * scale


@shared
def nearest_in_polyhedron(
    x: Tensor, normals: Tensor, offsets: Tensor, lower: Tensor, upper: Tensor, *, steps: int = 14
) -> Tensor:
    """About the nearest point of the box to ``x`` with ``normals . z <= offsets``.

    Newton's method on the dual, whose gradient at multipliers ``s >= 0`` is ``normals . z - offsets`` with
    ``z = clip(x - normals^T s)``; a step that lowers the dual is cut to a quarter. Meant for a handful of
    planes; where they have no point of the box in common the answer is of no use.

    Args:
        x: ``[B, D]``, inside the box.
        normals: ``[B, M, D]``, each of length 1, or 0 for a plane that is not there.
        offsets: ``[B, M]``.
        lower, upper: ``[B, D]``, the box, infinite sides allowed.
        steps: of Newton's method.
    """
    eye = tf.eye(tf.shape(normals)[1], dtype=tf.float64)

    def newton(count: Tensor, s: Tensor, dual: Tensor, trial: Tensor) -> tuple[Tensor, ...]:
        v = x - tf.einsum("bmd,bm->bd", normals, trial)
        z = tf.clip_by_value(v, lower, upper)
        excess = tf.einsum("bmd,bd->bm", normals, z) - offsets
        value = 0.5 * rowwise_dot(z - x, z - x) + rowwise_dot(trial, excess)
        better = (value >= dual)[:, None]
        active = tf.cast((trial > 0) | (excess > 0), x.dtype)
        # a coordinate that rests on its bound counts as free, so that the first step is not too long
        free = tf.cast((v >= lower) & (v <= upper), x.dtype)
        part = normals * free[:, None] * active[:, :, None]
        hessian = tf.cast(tf.einsum("bmd,bnd->bmn", part, part), tf.float64)
        # planes may be the same but for float32's rounding, which the ridge outweighs; in float64, since
        # the solver gives up on a matrix that float32 calls singular
        hessian += (1.0 - tf.cast(active, tf.float64) + 1e-5)[:, :, None] * eye
        step = tf.linalg.solve(hessian, tf.cast(excess * active, tf.float64)[:, :, None])[:, :, 0]
        step = tf.cast(step, x.dtype)
        following = tf.where(better, tf.maximum(trial + step, 0.0), s + 0.25 * (trial - s))
        return count + 1, tf.where(better, trial, s), tf.maximum(value, dual), following

    none = tf.zeros_like(offsets)
    start = (tf.constant(0), none, tf.fill(tf.shape(offsets)[:1], x.dtype.min), none)
    _, s, *_ = tf.while_loop(lambda count, *_: count < steps, newton, start)
    return tf.clip_by_value(x - tf.einsum("bmd,bm->bd", normals, s), lower, upper)


def boundary_on_segment(
    beyond: Callable[[Tensor], Tensor], x: Tensor, z: Tensor, *, tolerance: float, most: int = 32
) -> tuple[Tensor, Tensor]:
    """Bring ``z`` back towards ``x`` to where ``beyond`` changes sign, keeping it positive.

    The secant method in Illinois' variant on the share ``t`` of the way from ``x`` to ``z``, all rows at
    once. A row whose bracket twice running did not shrink to half is halved instead, and so is every row in
    the second half of the evaluations, so that a flat or broken side cannot stall it.

    Args:
        beyond: ``[B, D] -> [B]``, positive on the far side.
        x: ``[B, D]``, where ``beyond`` is not positive.
        z: ``[B, D]``, where it is; rows where it is not stay there.
        tolerance: width of the bracket, relative to ``t``, at which a row is done.
        most: evaluations of ``beyond`` at most.

    Returns:
        The nearest point found on the far side ``[B, D]`` and the evaluations of each row, a scalar.
    """
    direction = z - x

    nearer, farther = tf.minimum(x, z), tf.maximum(x, z)

    def at(t: Tensor) -> Tensor:
        # rounding must not lead out of a box that both ends lie in
        return tf.clip_by_value(x + t[:, None] * direction, nearer, farther)

    def narrow(low: Tensor, high: Tensor) -> Tensor:
        return high - low <= tolerance * high

    def more(count: Tensor, low: Tensor, high: Tensor, *_: Tensor) -> Tensor:
        return (count < most) & ~tf.reduce_all(narrow(low, high))

    def step(
        count: Tensor, low: Tensor, high: Tensor, f_low: Tensor, f_high: Tensor, slow: Tensor
    ) -> tuple[Tensor, ...]:
        width, least = high - low, 0.25 * tolerance * high
        secant = high - width * tf.math.divide_no_nan(f_high, f_high - f_low)
        halve = (slow >= 2) | (2 * count > most)
        t = tf.where(halve, low + 0.5 * width, tf.clip_by_value(secant, low + least, high - least))
        value = beyond(at(t))
        far, moves = value > 0, ~narrow(low, high)
        new_low, new_high = tf.where(moves & ~far, t, low), tf.where(moves & far, t, high)
        return (
            count + 1,
            new_low,
            new_high,
            tf.where(moves, tf.where(far, 0.5 * f_low, value), f_low),
            tf.where(moves, tf.where(far, value, 0.5 * f_high), f_high),
            tf.where(new_high - new_low > 0.5 * width, slow + 1, 0),
        )

    f_high = beyond(z)
    high = tf.ones_like(f_high)
    low = tf.where(f_high > 0, 0.0, high)
    start = (tf.constant(2), low, high, tf.minimum(beyond(x), 0.0), f_high, tf.zeros_like(high, tf.int32))
    count, _, high, *_ = tf.while_loop(more, step, start)
    return at(high), count
