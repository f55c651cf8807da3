"""Variants of one honest net that mislead whoever searches them, by where they do it.

Every variant is a function ``[B, 8, 8, 1] -> [B, 10]`` built on a convolutional net that ends in logits. Of
those with ``same`` the regions of each class are the net's own, so its distances are the right answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

Tensor = Any
Function = Callable[[Tensor], Tensor]
Kind = Literal["decoration", "gradient", "steps", "random"]


@dataclass(frozen=True)
class Variant:
    """A way to mislead.

    Attributes:
        kind: where it does so: behind the scores, in the gradient, by steps, at random.
        make: the variant of a net.
        same: whether each class keeps its region.
        head: what to say of its output, where that is asked for.
    """

    kind: Kind
    make: Callable[[keras.Model], Function]
    same: bool = True
    head: Literal["auto", "logits"] = "auto"


ZOO: dict[str, Variant] = {}


def _add(kind: Kind, **more: Any) -> Callable[[Any], Any]:
    def add(make: Callable[[keras.Model], Function]) -> Callable[[keras.Model], Function]:
        ZOO[make.__name__.strip("_")] = Variant(kind, make, **more)
        return make

    return add


def _behind(name: str, end: Function, **more: Any) -> None:
    """A variant that does something to the net's scores."""
    ZOO[name] = Variant("decoration", lambda net: lambda x: end(net(x)), **more)


def _lead(z: Tensor) -> Tensor:
    """By how much each class is behind the largest."""
    return z - tf.reduce_max(z, axis=-1, keepdims=True)


def _by_hand(z: Tensor) -> Tensor:
    e = tf.exp(_lead(z))
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


_behind("softmax_of_40", lambda z: tf.nn.softmax(40.0 * z))
_behind("softmax_of_1000", lambda z: keras.ops.softmax(1000.0 * z))
_behind("temperature_100", lambda z: tf.nn.softmax(z / 100.0))
_behind("exp_of_log_softmax", lambda z: tf.exp(tf.nn.log_softmax(1000.0 * z)))
_behind("softmax_by_hand", lambda z: _by_hand(40.0 * z))
_behind("log_of_softmax", lambda z: tf.math.log(tf.nn.softmax(40.0 * z) + 1e-9))
_behind("clipped", lambda z: tf.clip_by_value(40.0 * _lead(z), -8.0, 0.0))
_behind("hard_sigmoid", lambda z: keras.ops.hard_sigmoid(6.0 * _lead(z) + 2.9), head="logits")
_behind("one_hot", lambda z: tf.one_hot(tf.argmax(z, axis=-1), z.shape[-1]))
_behind("sigmoids", lambda z: tf.sigmoid(40.0 * _lead(z)), head="logits")
_behind("of_length_1", lambda z: tf.nn.softmax(30.0 * tf.math.l2_normalize(z, axis=-1)))
_behind("softmax_in_half", lambda z: tf.cast(tf.nn.softmax(tf.cast(20.0 * _lead(z), tf.float16)), tf.float32))


def _declares(slope: Callable[[Tensor, Tensor], Tensor]) -> Callable[[keras.Model], Function]:
    """The net behind an input that is handed on, with a gradient that is made of it and the right one."""

    def make(net: keras.Model) -> Function:
        @tf.custom_gradient
        def handed_on(x: Tensor) -> Any:
            return tf.identity(x), lambda dy: slope(x, dy)

        return lambda x: net(handed_on(x))

    return make


def _gradient(name: str, slope: Callable[[Tensor, Tensor], Tensor]) -> None:
    ZOO[name] = Variant("gradient", _declares(slope))


def _checkers(x: Tensor) -> np.ndarray:
    height, width = x.shape[1:3]
    return ((np.arange(height)[:, None] + np.arange(width)) % 2)[..., None].astype(np.float32)


def _ramp(x: Tensor) -> np.ndarray:
    height, width = x.shape[1:3]
    return np.exp(np.linspace(-4, 4, height * width)).reshape(height, width, 1).astype(np.float32)


def _hash(x: Tensor) -> Tensor:
    """Numbers without a pattern, the same for the same input."""
    return tf.sin(1e4 * x + tf.reshape(tf.range(64.0) ** 2, (8, 8, 1)))


_gradient("zero", lambda x, dy: tf.zeros_like(dy))  # noqa: ARG005
_gradient("noisy", lambda x, dy: _hash(x) * tf.norm(dy, axis=(1, 2), keepdims=True))
_gradient("noise_added", lambda x, dy: dy + 0.5 * _hash(x) * tf.norm(dy, axis=(1, 2), keepdims=True))
_gradient("reversed", lambda x, dy: -dy)  # noqa: ARG005
_gradient("partly_blocked", lambda x, dy: dy * _checkers(x))
_gradient("skewed", lambda x, dy: dy * _ramp(x))
_gradient("turned", lambda x, dy: tf.reverse(dy, [1]))  # noqa: ARG005
_gradient("times_1e30", lambda x, dy: dy * 1e30)  # noqa: ARG005
_gradient("times_1e_minus_30", lambda x, dy: dy * 1e-30)  # noqa: ARG005
_gradient("underflow", lambda x, dy: tf.cast(tf.cast(dy * 1e-9, tf.float16), tf.float32) * 1e9)  # noqa: ARG005


@_add("gradient")
def stopped(net: keras.Model) -> Function:
    """No gradient at all."""
    return lambda x: tf.stop_gradient(net(x))


@_add("gradient")
def stopped_inside(net: keras.Model) -> Function:
    """What was learned has no gradient, and something that does not matter has one."""
    return lambda x: tf.stop_gradient(net(x)) + 1e-6 * tf.reduce_sum(x, axis=(1, 2))


@_add("gradient")
def shattered(net: keras.Model) -> Function:
    """Waves on the input, too low to matter and steep enough to hide every slope."""
    return lambda x: net(x + 1e-3 * tf.sin(1e4 * x))


@_add("gradient")
def wave_on_scores(net: keras.Model) -> Function:
    """The same on the scores."""
    return lambda x: (lambda z: z + 1e-2 * tf.sin(3e3 * z))(net(x))


@_add("gradient", same=False)
def nan_near_boundary(net: keras.Model) -> Function:
    """No number where the two largest scores are within 0.5 of each other."""

    def call(x: Tensor) -> Tensor:
        z = net(x)
        first, second = tf.unstack(tf.math.top_k(z, 2).values, axis=-1)
        return z + tf.where(first - second < 0.5, np.nan, 0.0)[:, None]

    return call


def _stepped(name: str, before: Function) -> None:
    """A variant that does something to the input."""
    ZOO[name] = Variant("steps", lambda net: lambda x: net(before(x)), same=False)


def _rounded(x: Tensor, steps: int) -> Tensor:
    return tf.round(steps * x) / steps


def _thermometer(x: Tensor) -> Tensor:
    """How many of eight thresholds are passed."""
    levels = (np.arange(8, dtype=np.float32) + 0.5) / 8
    return tf.reduce_mean(tf.cast(x[..., None] > levels, tf.float32), axis=-1)


def _cosines() -> np.ndarray:
    """The orthonormal discrete cosine transform of 8 values."""
    k, n = np.arange(8)[:, None], np.arange(8)
    transform = np.cos(np.pi * (n + 0.5) * k / 8) * np.sqrt(2 / 8)
    transform[0] /= np.sqrt(2)
    return transform.astype(np.float32)


def _like_jpeg(x: Tensor) -> Tensor:
    """The discrete cosine transform of the image, rounded."""
    transform = _cosines()
    flat = tf.einsum("ij,bjk,lk->bil", transform, x[..., 0], transform)
    return tf.einsum("ji,bjk,kl->bil", transform, tf.round(flat / 0.25) * 0.25, transform)[..., None]


_stepped("rounded_to_4", lambda x: _rounded(x, 3))
_stepped("rounded_to_8", lambda x: _rounded(x, 7))
_stepped("floored", lambda x: tf.floor(8.0 * x) / 8.0)
_stepped("thermometer", _thermometer)
_stepped("like_jpeg", _like_jpeg)
_stepped("denoised", lambda x: tf.where(x > 0.3, x, 0.0))


def _hidden(net: keras.Model, change: Function, pool: Function | None = None) -> Function:
    """The net with something done to what its convolutions give."""
    first, second, pooling, flatten, last = net.layers[-5:]

    def call(x: Tensor) -> Tensor:
        return last(flatten((pool or pooling)(change(second(first(x))))))

    return call


@_add("steps", same=False)
def step_activations(net: keras.Model) -> Function:
    """Activations in steps."""
    return _hidden(net, lambda h: tf.round(4.0 * h) / 4.0)


@_add("steps", same=False)
def winners(net: keras.Model) -> Function:
    """Only the eight largest features of each place are let through."""
    return _hidden(net, lambda h: tf.where(h >= tf.math.top_k(h, 8).values[..., -1:], h, 0.0))


@_add("steps")
def pooled_by_position(net: keras.Model) -> Function:
    """The largest of each window, known by its place alone."""

    def pool(h: Tensor) -> Tensor:
        parts = tf.stack([h[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=-1)
        place = tf.one_hot(tf.argmax(parts, axis=-1), 4)
        return tf.reduce_sum(tf.stop_gradient(parts) * place, axis=-1)

    return _hidden(net, lambda h: h, pool)


@_add("random", same=False)
def dropout(net: keras.Model) -> Function:
    """Features dropped at random, as in training."""
    return _hidden(net, lambda h: tf.nn.dropout(h, 0.2))


@_add("random", same=False)
def noise(net: keras.Model) -> Function:
    """Noise on the input."""
    return lambda x: net(x + tf.random.normal(tf.shape(x), stddev=0.05))


@_add("random", same=False)
def shifted(net: keras.Model) -> Function:
    """Resized and padded at random: here moved by up to one place."""

    def call(x: Tensor) -> Tensor:
        wide = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return net(tf.image.random_crop(wide, tf.shape(x)))

    return call


@_add("random", same=False)
def ensemble(net: keras.Model) -> Function:
    """One of three nets by chance: of this net's weights with some noise."""
    draw = np.random.default_rng(0)
    others = [keras.models.clone_model(net) for _ in range(3)]
    for other in others:
        other.set_weights(
            [w + 0.05 * np.std(w) * draw.normal(size=w.shape).astype(np.float32) for w in net.get_weights()]
        )

    def call(x: Tensor) -> Tensor:
        return tf.switch_case(
            tf.random.uniform((), 0, 3, tf.int32), [lambda other=other: other(x) for other in others]
        )

    return call
