"""What is deployed, as a predictor that decides on the audited model's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robustcheck.config import DeployedOptions, HeadKind
from robustcheck.errors import ConfigError, ModelRefused, RobustcheckError, one_line
from robustcheck.intake import LoadedModel, RuntimeModel
from robustcheck.models import Asked, Classifier, Predictor, own_labels, predictor_like, random_rows, wrap
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
        # under the subject's conditions, whatever its own are
        ready = replace(model, name=name, **subject.conditions)
        if options.max_calls is not None and not isinstance(model, Classifier):
            ready = _limited(ready, options.max_calls)
        return Form(name=name, predictor=ready, types="a function")
    try:
        free = None if subject.free.all() else ~subject.free
        box = (subject.lower, subject.upper)
        wrapped = wrap(model, box=box, freeze=free, cost=subject.cost, **_options(subject, model))
    except RobustcheckError as error:
        # what is no Keras model may be a function of arrays
        hint = (
            "" if hasattr(model, "get_weights") else "; robustcheck.predictor(...) takes a function of arrays"
        )
        raise type(error)(f"deployed {name}: {error}{hint}") from error
    _require_classes(wrapped.classes, subject, name)
    return Form(name=name, predictor=replace(wrapped, name=name), types=_types_of(model))


def _limited(predictor: Predictor, most: int) -> Predictor:
    """A predictor that is asked about so many rows at most, each once."""
    asked = Asked(
        predict=lambda x: own_labels(predictor, x.reshape(len(x), -1)),
        shape=predictor.input_shape,
        classes=predictor.classes,
        name=predictor.name,
        returns="labels",
        most=most,
    )
    return replace(predictor_like(predictor, asked), digest=predictor.digest)


def _types_of(model: Any) -> str:
    """The types that a Keras model's layers with weights compute in."""
    weighted = [layer for layer in getattr(model, "layers", ()) if getattr(layer, "weights", None)]
    policies = (getattr(layer, "dtype_policy", None) for layer in weighted)
    names = {getattr(policy, "name", "") for policy in policies} - {""}
    return f"Keras {', '.join(sorted(names))}".strip()


def _options(subject: Classifier, model: Any) -> dict[str, Any]:
    """How the subject is read, but for what a form with one input or output leaves no choice of."""
    options = dict(vars(subject.options))
    options |= {"votes": None, "input_shape": options["input_shape"] or subject.input_shape}
    alone = {"output": "outputs", "perturb": "inputs"}
    return options | {name: None for name, of in alone.items() if len(getattr(model, of, None) or ()) == 1}


def _of_file(file: RuntimeModel, subject: Classifier, options: DeployedOptions, name: str) -> Form:
    if subject.layout.kind != "single":
        raise ModelRefused(f"deployed {name}: expected a model with one input beside it, got several")
    layout, notes = _layout(file, subject, options, name)
    takes = options.takes or (_PIXELS if file.whole else None)
    if takes is not None:
        notes.append(f"the box is handed to it as {takes[0]:g} to {takes[1]:g}")
    predict = reading(file, subject, takes, layout)
    scores = _tried(predict, subject, name)
    _require_scores(scores.shape[1], subject, name)
    head = subject.ends_in.kind
    if scores.shape[1] == 1:
        head, said = _head_of(scores, head)
        notes += said
    asked = Asked(
        predict=predict,
        shape=subject.input_shape,
        classes=subject.classes,
        name=name,
        most=options.max_calls,
        head=head,
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


def _tried(predict: Callable[[Array], Array], subject: Classifier, name: str) -> Array:
    """Scores ``[B, units]`` of rows to try."""
    try:
        return predict(random_rows(subject).reshape(-1, *subject.input_shape))
    except Exception as error:
        raise ModelRefused(
            f"deployed {name}: could not be called on samples of shape {subject.input_shape}: "
            f"{one_line(error)}"
        ) from error


def _require_scores(units: int, subject: Classifier, name: str) -> None:
    """Refuse a file that gives another number of scores than there are classes."""
    if units == 1 and subject.classes > 2:
        hint = (
            ": where that is the class itself, robustcheck.predictor(..., returns='labels') takes a function "
            "around the runtime"
        )
        raise _refused(name, f"{subject.classes} scores a sample", subject, "one number", hint)
    _require_classes(2 if units == 1 else units, subject, name)


def _head_of(scores: Array, head: HeadKind) -> tuple[HeadKind, list[str]]:
    """How one output decides: as the model's does, unless its values say that it cannot."""
    inside = bool(((scores >= 0) & (scores <= 1)).all())
    if head == "sigmoid" and not inside:
        return "binary_logit", ["its output goes beyond 0 to 1: it is taken for a logit, positive is class 1"]
    if head == "binary_logit" and inside:
        return "sigmoid", ["its output is from 0 to 1: it is taken for a probability, above 0.5 is class 1"]
    return head, []


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
        if file.shape is not None and len(file.shape) != turned.ndim - 1:
            # axes of size 1 differ, and no size is open then
            turned = turned.reshape(len(turned), *(size or 1 for size in file.shape))
        return file.predict(np.ascontiguousarray(turned))

    return predict


def _layout(
    file: RuntimeModel, subject: Classifier, options: DeployedOptions, name: str
) -> tuple[str, list[str]]:
    """How samples are handed to a file: as asked, or as its shape says."""
    if options.layout != "auto":
        if not _fits(file, subject, options.layout):
            got = ("N", *(size or "any" for size in file.shape or ()))
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
    raise _refused(name, f"inputs of shape {subject.input_shape}", subject, file.shape, hint)


def _fits(file: RuntimeModel, subject: Classifier, layout: str) -> bool:
    """Whether samples turned so are what a file takes, but for axes of size 1."""
    if file.shape is None:
        return layout == "same"
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
