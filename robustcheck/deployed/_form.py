"""What is deployed, as a predictor that decides on the audited model's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robustcheck.config import DeployedOptions
from robustcheck.errors import ConfigError, ModelRefused, RobustcheckError
from robustcheck.intake import LoadedModel, RuntimeModel
from robustcheck.models import Asked, Classifier, Predictor, predictor_like, wrap
from robustcheck.text import option

Array: TypeAlias = NDArray[Any]

# ways to hand an image [B, H, W, C] to a file, but for the one that is seen by the shape
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "same": lambda x: x,
    "channels-first": lambda x: np.moveaxis(x, -1, 1) if x.ndim == 4 else x,
    "transposed": lambda x: np.swapaxes(x, 1, 2) if x.ndim > 2 else x,
    "flipped": lambda x: x[..., ::-1] if x.ndim == 4 else x,
}
_PIXELS = (0.0, 255.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """A deployed form.

    Attributes:
        name: that measures call it by.
        predictor: on the rows of the subject.
        path, sha256: of its file.
        runtime: what runs it, with the version; None for what is no file of a runtime.
        types: of its inputs and outputs, in words.
        notes: what was adapted, one sentence each.
        file: as its runtime calls it, where one does, and ``asked`` for decisions.
    """

    name: str
    predictor: Predictor
    path: str | None = None
    sha256: str | None = None
    runtime: str | None = None
    types: str = ""
    notes: tuple[str, ...] = ()
    file: RuntimeModel | None = None
    asked: Asked | None = None


def make_form(loaded: LoadedModel, subject: Classifier, options: DeployedOptions, name: str) -> Form:
    """A form of the subject, under its conditions.

    Raises:
        ModelRefused: it takes other inputs, or has other classes; with the flag that mends it.
    """
    made = _made(loaded, subject, options, name)
    return replace(made, name=name, path=loaded.path, sha256=loaded.sha256 or made.predictor.digest)


def _made(loaded: LoadedModel, subject: Classifier, options: DeployedOptions, name: str) -> Form:
    model = loaded.model
    if isinstance(model, RuntimeModel):
        return _of_file(model, subject, options, name)
    if isinstance(model, Predictor):
        _require_classes(model.classes, subject, name)
        if model.layout.width != subject.layout.width:
            raise _refused(name, f"inputs of shape {subject.input_shape}", subject, model.input_shape)
        ready = _under_conditions(model, subject, name)
        return Form(name=name, predictor=ready, types="a function", notes=())
    try:
        free = None if subject.free.all() else ~subject.free
        box = (subject.lower, subject.upper)
        wrapped = wrap(model, box=box, freeze=free, cost=subject.cost, **_options(subject))
    except RobustcheckError as error:
        raise type(error)(f"deployed {name}: {error}") from error
    _require_classes(wrapped.classes, subject, name)
    return Form(name=name, predictor=replace(wrapped, name=name), types=_types_of(model))


def _types_of(model: Any) -> str:
    """The types that a Keras model's layers with weights compute in."""
    weighted = [layer for layer in getattr(model, "layers", ()) if getattr(layer, "weights", None)]
    policies = (getattr(layer, "dtype_policy", None) for layer in weighted)
    names = {getattr(policy, "name", "") for policy in policies} - {""}
    return f"Keras {', '.join(sorted(names))}".strip()


def _under_conditions(model: Predictor, subject: Classifier, name: str) -> Predictor:
    """A predictor under the subject's conditions, whatever its own were."""
    keep = ("layout", "box", "lower", "upper", "free", "cost", "features")
    return replace(model, name=name, **{field: getattr(subject, field) for field in keep})


def _options(subject: Classifier) -> dict[str, Any]:
    options = dict(vars(subject.options))
    return options | {"votes": None, "input_shape": options["input_shape"] or subject.input_shape}


def _of_file(file: RuntimeModel, subject: Classifier, options: DeployedOptions, name: str) -> Form:
    if subject.layout.kind != "single":
        raise ModelRefused(f"deployed {name}: expected a model with one input beside it, got several")
    outputs = 2 if file.units == 1 and subject.classes == 2 else file.units
    _require_classes(outputs, subject, name)
    layout, notes = _layout(file, subject, options, name)
    takes = options.takes or (_PIXELS if file.whole else None)
    if takes is not None:
        notes.append(f"the box is handed to it as {takes[0]:g} to {takes[1]:g}")
    asked = Asked(
        predict=reading(file, subject, takes, layout),
        shape=subject.input_shape,
        classes=subject.classes,
        name=name,
        batch=file.batch,
        most=options.max_calls,
        head=subject.ends_in.kind,
    )
    return Form(
        name=name,
        predictor=predictor_like(subject, asked),
        runtime=file.runtime,
        types=file.types,
        notes=tuple(notes),
        file=file,
        asked=asked,
    )


def reading(
    file: RuntimeModel, subject: Predictor, takes: tuple[float, float] | None, layout: str
) -> Callable[[Array], Array]:
    """The file as a function of samples ``[B, *shape]`` in units of the box."""
    shape = subject.input_shape
    lower, upper = (side.reshape(shape) for side in (subject.lower, subject.upper))
    if takes is not None and not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise ConfigError(f"{option('deployed_range')}: expected a box with finite sides, got {subject.box}")

    def predict(x: Array) -> Array:
        if takes is not None:
            low, high = takes
            x = low + (x - lower) / np.where(upper > lower, upper - lower, 1.0) * (high - low)
        turned = LAYOUTS[layout](np.asarray(x, np.float32))
        sizes = [mine or its for mine, its in zip(file.shape, turned.shape[1:], strict=False)]
        if turned.shape[1:] != tuple(sizes):
            sizes = [size or 1 for size in file.shape]
        return file.predict(np.ascontiguousarray(turned.reshape(len(turned), *sizes)))

    return predict


def _layout(
    file: RuntimeModel, subject: Classifier, options: DeployedOptions, name: str
) -> tuple[str, list[str]]:
    """How samples are handed to a file: as asked, or as its shape says."""
    if options.layout != "auto":
        if not _fits(file, subject, options.layout):
            got = ("N", *(size or "any" for size in file.shape))
            raise ModelRefused(
                f"deployed {name}: {option('deployed_layout', options.layout)} does not make samples of "
                f"shape {subject.input_shape} what it takes, {got}"
            )
        return options.layout, []
    if _fits(file, subject, "same"):
        return "same", []
    if _fits(file, subject, "channels-first"):
        return "channels-first", ["its channels come first: samples are turned"]
    hint = ""
    if _fits(file, subject, "transposed"):
        hint = f"; {option('deployed_layout', 'transposed')} hands it images with their axes exchanged"
    raise _refused(name, f"inputs of shape {subject.input_shape}", subject, tuple(file.shape), hint)


def _fits(file: RuntimeModel, subject: Classifier, layout: str) -> bool:
    """Whether samples turned so are what a file takes, but for axes of size 1."""
    turned = LAYOUTS[layout](np.empty((1, *subject.input_shape), np.bool_)).shape[1:]
    if len(turned) == len(file.shape):
        return all(want in (None, size) for want, size in zip(file.shape, turned, strict=True))
    sizes = [size for size in file.shape if size != 1]
    return None not in sizes and sizes == [size for size in turned if size != 1]


def _require_classes(classes: int, subject: Classifier, name: str) -> None:
    if classes != subject.classes:
        hint = f": is it a form of this model? {option('deployed')} names another file"
        raise _refused(name, f"{subject.classes} classes", subject, classes, hint)


def _refused(name: str, expected: str, subject: Classifier, got: object, hint: str = "") -> ModelRefused:
    return ModelRefused(f"deployed {name}: expected {expected} as {subject.name} has, got {got}{hint}")
