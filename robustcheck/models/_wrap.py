"""Make a :class:`Classifier` of a model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.config import Box, BoxLike
from robustcheck.errors import ConfigError, ModelRefused, RobustcheckWarning, one_line
from robustcheck.models._classifier import Classifier
from robustcheck.models._heads import HeadKind, find_head
from robustcheck.models._layout import InputLayout, Kind
from robustcheck.numerics import traced

Tensor = Any
_PROBES = 16


def wrap(
    model: Any,
    *,
    box: BoxLike = (0.0, 1.0),
    name: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    output: str | int | None = None,
    perturb: str | list[str] | None = None,
    freeze: Any = None,
    head: HeadKind | Literal["auto"] = "auto",
) -> Classifier:
    """Wrap a model as a classifier that can be searched.

    The model is called in inference mode and never changed. Logits are taken before a final softmax or
    sigmoid; where that layer cannot be told, they are made from the logarithm of the probabilities and a
    :class:`~robustcheck.errors.RobustcheckWarning` says so.

    Args:
        model: a ``keras.Model``, a tf_keras model, a ``TFSMLayer``, or any callable that takes a batch and
            returns ``[B, K]`` scores that TensorFlow can differentiate.
        box: lower and upper bound of the inputs, each a scalar or an array that broadcasts to a sample;
            infinite sides are allowed. Distances are in its units.
        name: name for reports; the model's own by default.
        input_shape: shape of a sample where the model does not tell (subclassed, callable, or with open
            dimensions).
        output: which output holds the classes, by name or position, where there are several.
        perturb: which inputs may change, where there are several; the others stay as each sample has them.
        freeze: mask of features that may not change, broadcast to a sample (single-input models).
        head: what the model ends in, if it cannot be told from the model itself: ``"logits"``,
            ``"softmax"``, ``"sigmoid"`` or ``"binary_logit"`` (one output, positive means class 1).

    Raises:
        ModelRefused: the model has no gradient, takes integers, or is not a classifier of one class a
            sample.
        ConfigError: an argument that does not fit the model.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(f"Keras: expected the backend tensorflow, got {keras.backend.backend()}")
    box = Box.of(box)
    layout = _layout(model, input_shape, perturb)
    lower, upper = _box_rows(layout, box)
    free = _free(layout, freeze) & (lower < upper)
    probe = _probe(layout, lower, upper, free)
    raw, compiled = _raw_output(model, layout, output, probe)
    head_found = find_head(raw, compiled, _last_layers(model, output), probe, head)
    if "log of" in head_found.how:
        warnings.warn(
            f"{_name(model, name)}: the layer before the {head_found.kind} could not be told, so logits are "
            "the logarithm of the probabilities; where these saturate the search is blind and distortions "
            "come out too long",
            RobustcheckWarning,
            stacklevel=2,
        )
    trace = traced(tf.TensorSpec([None, layout.width]))
    logits, label = trace(head_found.logits), trace(head_found.label)
    _require_gradient(model, logits, probe, free)
    parameters = getattr(model, "count_params", None)
    return Classifier(
        name=_name(model, name),
        logits=logits,
        label=label,
        label_singly=trace(_one_by_one(label)),
        layout=layout,
        box=box,
        lower=lower,
        upper=upper,
        free=free,
        features=sum(size for size, moves in zip(layout.sizes, layout.perturbed, strict=True) if moves),
        classes=head_found.classes,
        head=head_found.how,
        rounding=head_found.rounding,
        parameters=int(parameters()) if parameters and getattr(model, "built", True) else None,
    )


def _name(model: Any, name: str | None) -> str:
    return name or getattr(model, "name", None) or getattr(model, "__name__", None) or "model"


def _layout(model: Any, input_shape: tuple[int, ...] | None, perturb: str | list[str] | None) -> InputLayout:
    inputs = _declared_inputs(model)
    if inputs is None:
        shape = input_shape or _built_shape(model)
        if shape is None:
            raise ConfigError(
                f"{_name(model, None)}: the model does not say what it takes: pass input_shape=, the shape "
                "of one sample, or call the model on a batch first"
            )
        return _single("input", shape, "float32")
    kind: Kind = "single"
    if isinstance(inputs, Mapping):
        kind, names, tensors = "dict", list(inputs), list(inputs.values())
    elif isinstance(inputs, (list, tuple)):
        tensors = list(inputs)
        names = [tensor.name for tensor in tensors]
        kind = "single" if len(tensors) == 1 else "list"
    else:
        tensors, names = [inputs], [inputs.name]
    if len(tensors) == 1 and kind == "single":
        return _single(names[0], _closed(tensors[0], input_shape), _dtype(tensors[0]))
    return _several(kind, [str(name) for name in names], tensors, perturb)


def _several(
    kind: Kind, names: list[str], tensors: list[Any], perturb: str | list[str] | None
) -> InputLayout:
    chosen = [perturb] if isinstance(perturb, str) else perturb
    floats = [name for name, tensor in zip(names, tensors, strict=True) if "float" in _dtype(tensor)]
    if chosen is None and len(floats) == len(names):
        chosen = names
    if chosen is None or not set(chosen) <= set(names):
        raise ConfigError(f"perturb: expected one or more of the inputs {names}, got {perturb!r}")
    for name in chosen:
        if name not in floats:
            raise ModelRefused(f"input {name!r} takes integers: there is no gradient to search along")
    return InputLayout(
        kind=kind,
        names=tuple(names),
        shapes=tuple(_closed(tensor, None) for tensor in tensors),
        dtypes=tuple(_dtype(tensor) for tensor in tensors),
        perturbed=tuple(name in chosen for name in names),
    )


def _single(name: str, shape: tuple[int, ...], dtype: str) -> InputLayout:
    if "float" not in dtype:
        raise ModelRefused(
            f"the model takes {dtype} inputs: expected floating point, since there is no gradient to search "
            "along; rebuild it with a float input (a Rescaling layer may follow)"
        )
    return InputLayout(
        kind="single", names=(str(name),), shapes=(tuple(shape),), dtypes=(dtype,), perturbed=(True,)
    )


def _built_shape(model: Any) -> tuple[int, ...] | None:
    """Shape of the sample that a subclassed model was first called on."""
    config = getattr(model, "get_build_config", lambda: None)() or {}
    shape = config.get("input_shape")
    if not isinstance(shape, (list, tuple)) or not all(isinstance(n, int) for n in shape[1:]):
        return None
    return tuple(shape[1:])


def _declared_inputs(model: Any) -> Any:
    """The symbolic inputs in the structure that the model is called with, or None."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    try:
        return model.input
    except AttributeError:  # a Sequential model that was built and never called
        return inputs


def _closed(tensor: Any, input_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    declared = tuple(tensor.shape)[1:]
    if input_shape is not None:
        fits = len(declared) == len(input_shape) and all(
            want in (None, got) for want, got in zip(declared, input_shape, strict=True)
        )
        if fits:
            return tuple(input_shape)
    if None in declared:
        raise ConfigError(
            f"the model's input has open dimensions {declared}: pass input_shape=, the shape of one sample"
        )
    return declared


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _box_rows(layout: InputLayout, box: Box) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    sides = [
        box.rows(shape) if moves else (np.zeros(size, np.float32), np.ones(size, np.float32))
        for shape, size, moves in zip(layout.shapes, layout.sizes, layout.perturbed, strict=True)
    ]
    return layout.spread([low for low, _ in sides]), layout.spread([high for _, high in sides])


def _free(layout: InputLayout, freeze: Any) -> NDArray[np.bool_]:
    free = layout.spread(
        [np.full(size, moves) for size, moves in zip(layout.sizes, layout.perturbed, strict=True)]
    )
    if freeze is None:
        return free
    if layout.kind != "single":
        raise ConfigError("freeze: expected a model with one input; use perturb= to choose among several")
    try:
        mask = np.asarray(freeze, bool)
        if mask.shape != (layout.width,):
            mask = np.broadcast_to(mask, layout.shapes[0]).reshape(-1)
    except ValueError as error:
        raise ConfigError(
            f"freeze: expected a mask that broadcasts to {layout.shapes[0]}, got shape {np.shape(freeze)}"
        ) from error
    if mask.all():
        raise ConfigError("freeze: expected at least one feature that may change, got none")
    return ~mask


def _probe(
    layout: InputLayout, lower: NDArray[np.float32], upper: NDArray[np.float32], free: NDArray[np.bool_]
) -> Tensor:
    """Seeded rows to look at a model with: uniform in the box, normal where a side is infinite."""
    draw = np.random.default_rng(0)
    shape = (_PROBES, layout.width)
    with np.errstate(invalid="ignore"):
        uniform = lower + (upper - lower) * draw.random(shape, dtype=np.float32)
    rows = np.where(np.isfinite(uniform), uniform, np.clip(draw.standard_normal(shape), lower, upper))
    return tf.constant(np.where(free, rows, 0.0).astype(np.float32))


def _raw_output(
    model: Any, layout: InputLayout, output: str | int | None, probe: Tensor
) -> tuple[Callable[[Tensor], Tensor], Callable[..., Any]]:
    """Rows to the chosen output, float32, checked to be one score a class; and how to make it a graph."""
    # a Keras layer is told that it is inference; a plain callable takes the batch alone
    arguments = {"training": False} if hasattr(model, "trainable_weights") else {}

    def raw(rows: Tensor) -> Tensor:
        return tf.cast(_choose(model, model(layout.from_rows(rows), **arguments), output), tf.float32)

    compiled = traced(tf.TensorSpec([None, layout.width]))
    try:
        try:
            out = compiled(raw)(probe)
        except tf.errors.UnimplementedError:  # such as channels first on a CPU, which XLA alone can do
            compiled = _by_xla(layout.width)
            out = compiled(raw)(probe)
    except (ConfigError, ModelRefused):
        raise
    except Exception as error:
        raise ModelRefused(
            f"{_name(model, None)}: the model failed on a batch of shape {layout.describe()}: "
            f"{one_line(error)}"
        ) from error
    if len(out.shape) != 2:
        raise ModelRefused(
            f"{_name(model, None)}: expected outputs (N, classes), got {('N', *out.shape[1:])}: not a "
            "classifier of one class a sample"
        )
    return raw, compiled


def _by_xla(width: int) -> Callable[..., Any]:
    """Compile by XLA. It makes code for each number of rows anew, so they are padded to powers of two."""

    def compiled(function: Callable[[Tensor], Tensor]) -> Any:
        inner = tf.function(function, jit_compile=True, autograph=False, reduce_retracing=True)

        def padded(rows: Tensor) -> Tensor:
            count = tf.shape(rows)[0]
            bits = tf.math.ceil(tf.math.log(tf.cast(tf.maximum(count, 1), tf.float32)) / np.log(2) - 1e-3)
            size = tf.cast(tf.round(2.0**bits), tf.int32)
            whole = tf.ensure_shape(tf.pad(rows, [[0, size - count], [0, 0]]), [None, width])
            return inner(whole)[:count]

        return traced(tf.TensorSpec([None, width]))(padded)

    return compiled


def _choose(model: Any, out: Any, output: str | int | None) -> Tensor:
    if isinstance(out, Mapping):
        named = dict(out)
    elif isinstance(out, (list, tuple)):
        names = getattr(model, "output_names", None) or [str(i) for i in range(len(out))]
        named = dict(zip(names, out, strict=True))
    elif output in (None, 0, *(getattr(model, "output_names", None) or [])):
        return out
    else:
        raise ConfigError(f"output: expected none (the model has one output), got {output!r}")
    if output is None and len(named) == 1:
        return next(iter(named.values()))
    key = list(named)[output] if isinstance(output, int) and 0 <= output < len(named) else output
    if key not in named:
        raise ConfigError(f"output: expected one of the model's outputs {list(named)}, got {output!r}")
    return named[key]


def _last_layers(model: Any, output: str | int | None) -> list[Any]:
    """Layers that may hold the activation a model ends in, most likely first."""
    outputs = getattr(model, "outputs", None)
    history = [getattr(tensor, "_keras_history", None) for tensor in outputs or []]
    last = [entry[0] for entry in history if entry is not None]
    if isinstance(output, int) and output < len(last):
        last = [last[output]]
    flat = [layer for one in last for layer in _inside(one)]
    rest = _inside(model)
    return flat + [layer for layer in rest if not any(layer is known for known in flat)]


def _inside(layer: Any) -> list[Any]:
    """A layer and all layers in it, last first."""
    parts = getattr(layer, "layers", None) or []
    return [deep for part in reversed(list(parts)) for deep in _inside(part)] or [layer]


def _one_by_one(label: Any) -> Any:
    """Each row as a batch of one."""
    return lambda rows: tf.map_fn(lambda row: label(row[None])[0], rows, fn_output_signature=tf.int32)


def _require_gradient(model: Any, logits: Any, probe: Tensor, free: NDArray[np.bool_]) -> None:
    with tf.GradientTape() as tape:
        tape.watch(probe)
        score = tf.reduce_sum(logits(probe)[:, 0])
    gradient = tape.gradient(score, probe)
    if gradient is not None and not np.all(np.isfinite(gradient.numpy()[:, free])):
        raise ModelRefused(f"{_name(model, None)}: the model's gradient is not finite inside the box")
    if gradient is None:
        embeds = any(type(layer).__name__ == "Embedding" for layer in _inside(model))
        why = "it looks its inputs up in an embedding" if embeds else "its output does not depend on them"
        raise ModelRefused(
            f"{_name(model, None)}: no gradient reaches the inputs: {why}, or a step on the way cannot be "
            "differentiated"
        )
