"""Load the models and data that a configuration names, and wrap the models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robustcheck import intake
from robustcheck.config import AuditConfig, FileOptions, ModelOptions
from robustcheck.deployed import Form, in_precision, make_form
from robustcheck.errors import ConfigError
from robustcheck.models import Classifier, Predictor, declared_classes, input_names, input_shapes
from robustcheck.progress import OnProgress
from robustcheck.recipe import KNOWN, Recipe
from robustcheck.results import Conditions
from robustcheck.text import option


def load_models(config: AuditConfig, on_progress: OnProgress) -> list[intake.LoadedModel]:
    """The subject, then the references, each with its name if it was given one."""
    sources = intake.model_sources(config.model, config.references, config.files)
    loaded = []
    for done, source in enumerate(sources):
        on_progress("load", done, len(sources))
        loaded.append(intake.load_model(source.spec, source.name, config.imports, source.files))
    on_progress("load", len(sources), len(sources))
    return loaded


def load_forms(config: AuditConfig, subject: Classifier) -> list[Form]:
    """The deployed forms under the conditions of the subject, then those that are made of it.

    Raises:
        ModelRefused: a form of another model.
    """
    options = config.deployed
    forms = []
    for number, source in enumerate(intake.other_sources(options.forms, config.files), 1):
        loaded = intake.load_model(source.spec, source.name, config.imports, source.files)
        forms.append(make_form(loaded, subject, options, _name(loaded, number)))
    for precision in options.precision:
        model = in_precision(subject.model, precision, subject.name)
        made = intake.LoadedModel(model=model, name=precision, path=None, sha256=None)
        forms.append(make_form(made, subject, options, precision))
    names = _suffixed([form.name for form in forms])
    return [replace(form, name=name) for form, name in zip(forms, names, strict=True)]


def _name(loaded: intake.LoadedModel, number: int) -> str:
    """What measures call a form."""
    own = getattr(loaded.model, "name", None)
    return loaded.name or (own if isinstance(own, str) and own else f"deployed-{number}")


def _wanted(config: AuditConfig, model: Any) -> intake.Wanted:
    """How the data are to be read, as far as the subject tells before it is wrapped."""
    names = config.class_names
    given = config.model_options.input_shape
    shapes = input_shapes(model) if given is None else (given,)
    return intake.Wanted(
        shapes=shapes,
        names=input_names(model),
        classes=declared_classes(model, config.model_options.output),
        x_key=config.x_key,
        y_key=config.y_key,
        class_names=intake.read_class_names(names) if isinstance(names, Path) else names,
        limit=config.limit,
        sample=config.sample,
        seed=config.options.seed,
        need_labels=config.labels == "data",
        max_data_bytes=config.max_data_bytes,
        skip_bad=config.skip_bad,
        max_bad=config.max_bad,
    )


def load_data(config: AuditConfig, model: Any) -> intake.LoadedData:
    """The samples, read as the subject takes them."""
    return intake.load_data(config.data, _wanted(config, model))


def wrap_subject(
    config: AuditConfig, loaded: intake.LoadedModel, data: intake.LoadedData | None
) -> Classifier:
    """The subject as a classifier."""
    return subject_recipe(config, loaded, data).wrapped()


def subject_recipe(config: AuditConfig, loaded: intake.LoadedModel, data: intake.LoadedData | None) -> Recipe:
    """How the subject is wrapped; data tell the shape of a sample where nobody else does."""
    options = config.model_options
    if options.input_shape is None and data is not None and not isinstance(data.x, (dict, list)):
        options = replace(options, input_shape=_shape_of(loaded.model, tuple(np.shape(data.x)[1:])))
    box = intake.read_box(config.box) if isinstance(config.box, Path) else config.box
    for setting in ("freeze", "cost"):
        if isinstance(loaded.model, Classifier) and getattr(config, setting) is not None:
            raise ConfigError(
                f"{option(setting)}: expected a model, got a classifier, which is wrapped already: give it "
                "to robustcheck.wrap"
            )
    return Recipe(
        source=loaded.path or loaded.model,
        model=loaded.model,
        sha256=loaded.sha256,
        imports=config.imports,
        name=loaded.name,
        box=box,
        options=options,
        freeze=_read_features(config.freeze, "freeze"),
        files=_as_loaded(loaded),
        cost=_read_features(config.cost, "cost"),
    )


def _shape_of(model: Any, got: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of a sample where the model leaves it open; one axis of size 1 may be added or dropped."""
    shapes = input_shapes(model)
    if shapes is None:
        return got
    declared = shapes[0]
    if len(shapes) > 1 or None not in declared:
        return None
    for shape in (got, (*got, 1), got[:-1] if got[-1:] == (1,) else got):
        fits = zip(declared, shape, strict=False)
        if len(shape) == len(declared) and all(want in (None, size) for want, size in fits):
            return shape
    return None


def _read_features(given: Any, name: str) -> Any:
    """An array, or one for each input, from the file where a file is named."""
    if not isinstance(given, str | Path):
        return given
    found = intake.read_by_input(Path(given), name)
    return {part: arrays[0] for part, arrays in found.items()} if isinstance(found, dict) else found[0]


def recipe_like(loaded: intake.LoadedModel, sides: Conditions, options: ModelOptions) -> Recipe:
    """How a model is wrapped so that its search may go where another's may, at the same cost."""
    return Recipe(
        source=loaded.path or loaded.model,
        model=loaded.model,
        sha256=loaded.sha256,
        name=loaded.name,
        box=(sides.lower, sides.upper),
        options=options,
        freeze=sides.freeze if sides.freeze.any() else None,
        cost=sides.cost,
        files=_as_loaded(loaded),
    )


def _as_loaded(loaded: intake.LoadedModel) -> FileOptions:
    """A file that was tried here is loaded elsewhere without another trial."""
    return replace(KNOWN, trust_model=loaded.trusted)


def for_reference(options: ModelOptions, model: Any) -> ModelOptions:
    """The subject's options without what a reference with one input or output has no choice of."""
    output = options.output if len(getattr(model, "outputs", None) or [0, 0]) > 1 else None
    shapes = input_shapes(model)
    perturb = options.perturb if len(shapes or ()) > 1 else None
    tells = shapes is not None and not any(None in shape for shape in shapes)
    shape = None if tells else options.input_shape
    return replace(options, output=output, perturb=perturb, input_shape=shape)


def named_apart(classifiers: list[Predictor], *, named: bool) -> list[Predictor]:
    """Classifiers whose names ``transfer.A->B`` can tell apart.

    A suffix makes names different that were found; a clash of names that the caller chose is refused.
    """
    for classifier in classifiers:
        if "->" in classifier.name or not classifier.name:
            raise ConfigError(
                f"model: expected a name without '->', got {classifier.name!r}; name=MODEL gives another"
            )
    names = _suffixed([classifier.name for classifier in classifiers])
    if named and classifiers[0].name in [classifier.name for classifier in classifiers[1:]]:
        raise ConfigError(
            f"references: expected other names than the model's own, got {classifiers[0].name!r}"
        )
    return [replace(classifier, name=name) for classifier, name in zip(classifiers, names, strict=True)]


def _suffixed(names: list[str]) -> list[str]:
    """The same names, where those that were there already have a number behind them."""
    apart: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in apart:
            candidate, number = f"{name}-{number}", number + 1
        apart.append(candidate)
    return apart
