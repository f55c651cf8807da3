"""Make a :class:`Classifier` of a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from robustcheck.arrays import F32, Mask
from robustcheck.config import BoxLike, HeadKind, ModelOptions
from robustcheck.errors import ConfigError, ModelRefused, RobustcheckWarning
from robustcheck.models._calling import all_layers, output_of
from robustcheck.models._classifier import Classifier, Preprocessing
from robustcheck.models._domain import domain_of
from robustcheck.models._heads import Scores, find_head
from robustcheck.models._inputs import layout_of, name_of
from robustcheck.numerics import traced, with_gradient
from robustcheck.text import option

Tensor = Any


def wrap(
    model: Any,
    *,
    box: BoxLike = (0.0, 1.0),
    name: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    output: str | int | None = None,
    perturb: str | Sequence[str] | None = None,
    freeze: Any = None,
    cost: Any = None,
    head: HeadKind | Literal["auto"] = "auto",
    votes: int | None = None,
) -> Classifier:
    """Wrap a model as a classifier that can be searched.

    The model is called in inference mode and never changed; layers with a state that lasts from batch to
    batch are reset before each. It is called on nothing outside its box. Scores are taken before a softmax,
    sigmoid or tanh that the graph ends in; where that is out of reach, they are made from the logarithm of
    the probabilities and a :class:`~robustcheck.errors.RobustcheckWarning` says so.

    Args:
        model: a ``keras.Model``, a tf_keras model, a ``TFSMLayer``, or any callable that takes a batch and
            returns ``[B, K]`` scores that TensorFlow can differentiate.
        box: lower and upper bound of the inputs, each a scalar or an array that broadcasts to a sample;
            infinite sides are allowed. Distances are in its units. Of a model with several inputs one for
            all that may change, or one for each: a mapping by name, or a list in the order of the inputs.
        name: name for reports; the model's own by default.
        input_shape: shape of a sample where the model does not tell (subclassed, callable, or with open
            dimensions).
        output: which output holds the classes, by name or position, where there are several.
        perturb: which inputs may change, where there are several; the others stay as each sample has them.
        freeze: mask of features that may not change, broadcast to a sample; of several inputs a mapping of
            masks by name.
        cost: of a change of each feature by 1, above 0, broadcast to a sample; by input in the same way. The
            distance of a change ``r`` is the norm of ``cost * r``; what is dear changes less.
        head: what the model ends in, if it cannot be told from the model itself: ``"logits"``,
            ``"softmax"``; or of one output ``"sigmoid"`` (above 0.5 is class 1), ``"tanh"`` or
            ``"binary_logit"`` (positive is class 1).
        votes: of a random model: how many draws decide by their majority. Scores are their mean; examples
            are verified by four times as many fresh draws.

    Raises:
        ModelRefused: the model has no gradient, takes integers, takes one batch size only and has rows that
            influence one another, or is not a classifier of one class a sample.
        ConfigError: an argument that does not fit the model.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras: expected the backend tensorflow, got {keras.backend.backend()}: set "
            "KERAS_BACKEND=tensorflow in the environment before Keras is imported"
        )
    options = ModelOptions(
        input_shape=None if input_shape is None else tuple(int(n) for n in input_shape),
        output=output,
        perturb=(perturb,) if isinstance(perturb, str) else None if perturb is None else tuple(perturb),
        head=head,
        votes=votes,
    )
    layout = layout_of(model, options)
    domain = domain_of(layout, box, freeze, cost)
    chosen = output_of(model, layout, options, domain.probes())
    found = find_head(chosen, options.head, options.votes)
    _require_gradient(model, found, chosen.probe, domain.free)
    if found.head.recovered is False:
        warnings.warn(
            f"{name_of(model, name)}: the scores before the {found.head.kind} are out of reach, so logits "
            "are the logarithm of the probabilities; where these saturate the search is blind and "
            "distortions come out too long",
            RobustcheckWarning,
            stacklevel=2,
        )
    parameters = getattr(model, "count_params", None)
    return Classifier(
        name=name_of(model, name),
        logits=found.logits,
        computed=found.computed,
        label=found.label,
        label_singly=traced(tf.TensorSpec([None, layout.width]))(_one_by_one(found.label)),
        layout=layout,
        box=domain.text,
        lower=domain.lower,
        upper=domain.upper,
        free=domain.free,
        cost=domain.cost,
        features=sum(size for size, moves in zip(layout.sizes, layout.perturbed, strict=True) if moves),
        classes=found.classes,
        ends_in=found.head,
        rounding=found.rounding,
        votes=found.votes,
        parameters=int(parameters()) if parameters and getattr(model, "built", True) else None,
        options=options,
        model=model,
        preprocessing=_preprocessing(model) if layout.kind == "single" else None,
    )


def _preprocessing(model: Any) -> Preprocessing | None:
    """The Rescaling or Normalization that stands before every layer that was trained."""
    for layer in all_layers(model):
        kind = type(layer).__name__
        if kind == "Rescaling":
            scale, offset = np.asarray(layer.scale, float), np.asarray(layer.offset, float)
            return Preprocessing(kind=kind, scale=scale, offset=offset)
        if kind == "Normalization" and getattr(layer, "mean", None) is not None:
            deviation = np.maximum(np.sqrt(np.asarray(layer.variance, float)), 1e-7)
            return Preprocessing(
                kind=kind, scale=1.0 / deviation, offset=-np.asarray(layer.mean, float) / deviation
            )
        if not getattr(layer, "layers", None) and getattr(layer, "trainable_weights", None):
            return None
    return None


def _one_by_one(label: Any) -> Any:
    """Each row as a batch of one."""
    return lambda rows: tf.map_fn(lambda row: label(row[None])[0], rows, fn_output_signature=tf.int32)


def _require_gradient(model: Any, scores: Scores, probe: Tensor, free: Mask) -> None:
    """Refuse a model without a gradient, declared or not; a row may be odd, all rows are not."""
    gradient = _gradient(scores.logits, probe)
    if gradient is None or not np.isfinite(gradient[:, free]).all(axis=1).any():
        gradient = _gradient(scores.computed(), probe)
    if gradient is None:
        embeds = any(type(layer).__name__ == "Embedding" for layer in all_layers(model))
        why = "it looks its inputs up in an embedding" if embeds else "its output does not depend on them"
        raise ModelRefused(
            f"{name_of(model)}: no gradient reaches the inputs: {why}, or a step on the way cannot be "
            "differentiated"
        )
    if not np.isfinite(gradient[:, free]).all(axis=1).any():
        raise ModelRefused(
            f"{name_of(model)}: the model's gradient is not finite anywhere it was tried inside the box; is "
            f"the box right ({option('box')})?"
        )


def _gradient(logits: Any, probe: Tensor) -> F32 | None:
    """Of the first class at rows ``[P, D]``; None where none reaches them."""
    reaches = True

    def slope(rows: Tensor) -> Tensor:
        nonlocal reaches
        gradient = with_gradient(lambda z: logits(z)[:, 0], rows)[1]
        reaches = gradient is not None
        return gradient if reaches else tf.zeros_like(rows)

    gradient: F32 = traced(tf.TensorSpec([None, probe.shape[1]]))(slope)(probe).numpy()
    return gradient if reaches else None
