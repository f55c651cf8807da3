"""What a model takes: its inputs as a layout, the box of each, and rows to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustcheck.arrays import F32, Mask
from robustcheck.config import Box, BoxLike, ModelOptions
from robustcheck.errors import ConfigError, ModelRefused
from robustcheck.models._layout import InputLayout, Kind
from robustcheck.text import brief, option

_PROBES = 16
# values for inputs that are not perturbed and have no box: a mask of ones lets everything through, and every
# table has an entry 1
_FILLS = ("ones", "uniform", "zeros")


@dataclass(frozen=True, eq=False)
class Domain:
    """Where the rows of a layout may lie.

    Attributes:
        lower, upper: sides of the box, ``[D]``; 0 and 1 for inputs without a box.
        free: features that may change, ``[D]``.
        text: the box for reports.
        filled: features of inputs that have no box, ``[D]``.
    """

    lower: F32
    upper: F32
    free: Mask
    text: str
    filled: Mask

    def probes(self) -> list[F32]:
        """Sets of seeded rows ``[P, D]`` to try a model on, none outside the box; the likeliest first.

        Uniform in the box, half-normal from the side that is finite where one is not. Sets differ in the
        inputs that have no box, so there is one where all have.
        """
        draw = np.random.default_rng(0)
        shape = (_PROBES, len(self.lower))
        share, normal = draw.random(shape, np.float32), draw.standard_normal(shape, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            inside = self.lower + (self.upper - self.lower) * share
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        inside = np.where(low & ~high, self.lower + np.abs(normal), inside)
        inside = np.where(~low & high, self.upper - np.abs(normal), inside)
        inside = np.where(~low & ~high, normal, inside)
        inside = np.clip(inside, self.lower, self.upper).astype(np.float32)
        if not self.filled.any():
            return [inside]
        fills = {"ones": np.ones_like(share), "uniform": share, "zeros": np.zeros_like(share)}
        return [np.where(self.filled, fills[name], inside).astype(np.float32) for name in _FILLS]


def random_rows(classifier: Any) -> F32:
    """Seeded rows ``[P, D]`` in the box of a classifier; inputs without a box are ones."""
    moves = np.repeat(classifier.layout.perturbed, classifier.layout.sizes)
    return Domain(classifier.lower, classifier.upper, classifier.free, "", ~moves).probes()[0]


def name_of(model: Any, name: str | None = None) -> str:
    """What to call a model."""
    return name or getattr(model, "name", None) or getattr(model, "__name__", None) or "model"


def declared_inputs(model: Any) -> Any:
    """The symbolic inputs in the structure that the model is called with, or None."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    try:
        return model.input
    except AttributeError:  # a Sequential model that was built and never called
        return inputs


def input_shapes(model: Any) -> tuple[tuple[int | None, ...], ...] | None:
    """Shape of a sample for each input, None where it is open; None for a model that does not tell."""
    layout = getattr(model, "layout", None)
    if isinstance(layout, InputLayout):
        return layout.shapes
    inputs = declared_inputs(model)
    if inputs is None:
        shape = _built_shape(model)
        return None if shape is None else (shape,)
    return tuple(tuple(tensor.shape)[1:] for tensor in _tensors(inputs)[1])


def input_names(model: Any) -> tuple[str, ...] | None:
    """Names of the inputs; None for a model that does not tell."""
    layout = getattr(model, "layout", None)
    if isinstance(layout, InputLayout):
        return layout.names
    inputs = declared_inputs(model)
    return None if inputs is None else tuple(_tensors(inputs)[0])


def declared_classes(model: Any, output: str | int | None) -> int | None:
    """How many classes a model has, as far as it tells without being called."""
    if isinstance(getattr(model, "layout", None), InputLayout):
        return int(model.classes)
    shape = getattr(model, "output_shape", None) if output is None else None
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
        return None
    return max(shape[1], 2)


def _tensors(inputs: Any) -> tuple[list[str], list[Any], Kind]:
    """Names and symbolic tensors of inputs, and the structure they come in."""
    if isinstance(inputs, Mapping):
        return [str(name) for name in inputs], list(inputs.values()), "dict"
    if isinstance(inputs, (list, tuple)):
        tensors = list(inputs)
        return [str(tensor.name) for tensor in tensors], tensors, "single" if len(tensors) == 1 else "list"
    return [str(inputs.name)], [inputs], "single"


def layout_of(model: Any, options: ModelOptions) -> InputLayout:
    """Which inputs a model takes.

    Raises:
        ConfigError: what the model does not tell was not said either, or does not fit it.
        ModelRefused: inputs that have no gradient.
    """
    inputs = declared_inputs(model)
    if inputs is None:
        shape = options.input_shape or _built_shape(model)
        if shape is None:
            raise ConfigError(
                f"{name_of(model)}: the model does not say what it takes: pass {option('input_shape')}, the "
                "shape of one sample, or call the model on a batch first"
            )
        return _single("input", shape, "float32", None)
    names, tensors, kind = _tensors(inputs)
    batch = _fixed_batch(tensors)
    if kind == "single":
        if options.perturb not in (None, (names[0],)):
            raise ConfigError(
                f"{option('perturb')}: expected none (the model has one input, {names[0]!r}), got "
                f"{brief(options.perturb)}"
            )
        return _single(names[0], _closed(tensors[0], options.input_shape), _dtype(tensors[0]), batch)
    return _several(kind, names, tensors, options.perturb, batch)


def _fixed_batch(tensors: list[Any]) -> int | None:
    """The only number of rows that a model takes, where its inputs state one."""
    sizes = {next(iter(tensor.shape), None) for tensor in tensors} - {None}
    return next(iter(sizes)) if len(sizes) == 1 else None


def _several(
    kind: Kind, names: list[str], tensors: list[Any], perturb: Sequence[str] | None, batch: int | None
) -> InputLayout:
    floats = [name for name, tensor in zip(names, tensors, strict=True) if "float" in _dtype(tensor)]
    # codes have no gradient, so what may change of itself are the others
    chosen = floats if perturb is None else perturb
    if not chosen or not set(chosen) <= set(names):
        raise ConfigError(
            f"{option('perturb')}: expected one or more of the inputs {names}, got {brief(perturb)}"
        )
    for name in chosen:
        if name not in floats:
            raise ModelRefused(f"input {name!r} takes integers: there is no gradient to search along")
    return InputLayout(
        kind=kind,
        names=tuple(names),
        shapes=tuple(_closed(tensor, None) for tensor in tensors),
        dtypes=tuple(_dtype(tensor) for tensor in tensors),
        perturbed=tuple(name in chosen for name in names),
        batch=batch,
    )


def _single(name: str, shape: tuple[int, ...], dtype: str, batch: int | None) -> InputLayout:
    if "float" not in dtype:
        raise ModelRefused(
            f"the model takes {dtype} inputs: expected floating point, since there is no gradient to search "
            "along; rebuild it with a float input (a Rescaling layer may follow)"
        )
    return InputLayout(
        kind="single",
        names=(name,),
        shapes=(tuple(shape),),
        dtypes=(dtype,),
        perturbed=(True,),
        batch=batch,
    )


def _built_shape(model: Any) -> tuple[int, ...] | None:
    """Shape of the sample that a subclassed model was first called on."""
    config = getattr(model, "get_build_config", lambda: None)() or {}
    shape = config.get("input_shape")
    if not isinstance(shape, (list, tuple)) or not all(isinstance(n, int) for n in shape[1:]):
        return None
    return tuple(shape[1:])


def _closed(tensor: Any, input_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    declared = tuple(tensor.shape)[1:]
    if input_shape is not None:
        fits = len(declared) == len(input_shape) and all(
            want in (None, got) for want, got in zip(declared, input_shape, strict=True)
        )
        if not fits:
            raise ConfigError(
                f"{option('input_shape')}: expected a shape that fits the model's {declared}, got "
                f"{tuple(input_shape)}"
            )
        return tuple(input_shape)
    if None in declared:
        raise ConfigError(
            f"the model's input has open dimensions {declared}: pass {option('input_shape')}, the shape of "
            "one sample"
        )
    return declared


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def domain_of(layout: InputLayout, box: BoxLike, freeze: Any) -> Domain:
    """Where the rows of a layout may lie.

    Args:
        layout: of the model.
        box: one for all inputs that are perturbed; or one for each of those that a mapping names, or a list
            in the order of the inputs.
        freeze: mask of features that may not change, broadcast to a sample; by input where there are several.

    Raises:
        ConfigError: a box or a mask that does not fit.
    """
    boxes, text = _by_input(layout, box)
    sides = []
    for name, shape, size in zip(layout.names, layout.shapes, layout.sizes, strict=True):
        own = boxes.get(name)
        sides.append(
            (np.zeros(size, np.float32), np.ones(size, np.float32)) if own is None else own.rows(shape)
        )
    lower, upper = (layout.spread([side[i] for side in sides]) for i in (0, 1))
    filled = [
        np.full(size, boxes.get(name) is None) for name, size in zip(layout.names, layout.sizes, strict=True)
    ]
    free = _free(layout, freeze) & (lower < upper)
    return Domain(lower, upper, free, text, layout.spread(filled))


def _by_input(layout: InputLayout, box: BoxLike) -> tuple[dict[str, Box], str]:
    """The box of each input that has one, and all as a text."""
    moving = [name for name, moves in zip(layout.names, layout.perturbed, strict=True) if moves]
    if isinstance(box, Mapping):
        given = dict(box)
    elif isinstance(box, list) and layout.kind != "single" and len(box) == len(layout.names):
        given = dict(zip(layout.names, box, strict=True))
    else:
        whole = Box.of(box)
        if layout.kind != "single" and whole.lower.shape == whole.upper.shape == (layout.width,):
            # feature by feature over all inputs, as another classifier or a report has it
            return _cut(layout, whole), whole.describe()
        return dict.fromkeys(moving, whole), whole.describe()
    unknown = [name for name in given if name not in layout.names]
    missing = [name for name in moving if name not in given]
    if unknown or missing:
        raise ConfigError(
            f"{option('box')}: expected a box for each of the inputs {moving} that may change, got some for "
            f"{list(given)}"
        )
    boxes = {name: Box.of(value) for name, value in given.items() if value is not None}
    return boxes, ", ".join(f"{name} {boxes[name].describe()}" for name in moving)


def _cut(layout: InputLayout, whole: Box) -> dict[str, Box]:
    ends = np.cumsum(layout.sizes)
    parts = zip(layout.names, layout.perturbed, ends - layout.sizes, ends, strict=True)
    return {name: Box(whole.lower[i:j], whole.upper[i:j]) for name, moves, i, j in parts if moves}


def _free(layout: InputLayout, freeze: Any) -> Mask:
    moving = [np.full(size, moves) for size, moves in zip(layout.sizes, layout.perturbed, strict=True)]
    free: Mask = layout.spread(moving)
    if freeze is None:
        return free
    if isinstance(freeze, Mapping):
        unknown = set(map(str, freeze)) - set(layout.names)
        if unknown:
            raise ConfigError(
                f"{option('freeze')}: expected masks of the inputs {list(layout.names)}, got "
                f"{sorted(unknown)}"
            )
        named = zip(layout.names, layout.shapes, layout.sizes, strict=True)
        mask = layout.spread(
            [
                _mask(freeze[name], shape) if name in freeze else np.zeros(size, bool)
                for name, shape, size in named
            ]
        )
    elif layout.kind == "single" or np.shape(freeze) == (layout.width,):
        mask = _mask(freeze, layout.shapes[0] if layout.kind == "single" else (layout.width,))
    else:
        raise ConfigError(
            f"{option('freeze')}: expected a mask by input, {{name: mask}}, for the inputs "
            f"{list(layout.names)}; {option('perturb')} freezes whole inputs"
        )
    if (mask | ~free).all():
        raise ConfigError(f"{option('freeze')}: expected at least one feature that may change, got none")
    rest: Mask = free & ~mask
    return rest


def _mask(given: Any, shape: tuple[int, ...]) -> Mask:
    """A mask of one input, flat."""
    mask: Mask = np.asarray(given, bool)
    if mask.shape == (int(np.prod(shape)),):
        return mask
    try:
        return np.broadcast_to(mask, shape).reshape(-1).astype(bool)
    except ValueError as error:
        raise ConfigError(
            f"{option('freeze')}: expected a mask that broadcasts to {shape}, got shape {np.shape(given)}"
        ) from error
