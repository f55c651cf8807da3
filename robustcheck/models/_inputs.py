"""What a model takes: its inputs as a layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustcheck.config import ModelOptions
from robustcheck.errors import ConfigError, ModelRefused
from robustcheck.models._layout import InputLayout, Kind
from robustcheck.text import brief, option


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
