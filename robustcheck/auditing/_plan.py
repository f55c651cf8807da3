"""What is to be audited, checked and ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck import intake
from robustcheck.arrays import I64, blocks, slices
from robustcheck.auditing._load import (
    for_reference,
    load_data,
    load_forms,
    load_models,
    named_apart,
    recipe_like,
    subject_recipe,
)
from robustcheck.config import AuditConfig, DeployedOptions, SearchOptions, Target, TransferOptions
from robustcheck.deployed import Form, make_form
from robustcheck.distortion import beyond_float32, default_batch_size
from robustcheck.errors import ConfigError, DataRefused, ModelRefused, RobustcheckError
from robustcheck.models import Classifier, Predictor, logits_of
from robustcheck.progress import OnProgress
from robustcheck.recipe import Recipe
from robustcheck.results import Conditions, DataFacts, ModelFacts
from robustcheck.samples import Samples, as_samples
from robustcheck.text import option


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """One audit: classifiers, samples with their targets, and what the report is to say of them.

    ``recipes``: how each model is made in another process; ``searches``: how to search, once for each norm;
    ``strata``: class of every row of the source that the samples were drawn from, None where unknown;
    ``forms``: what is deployed, and ``deployed`` how it takes samples.
    """

    subject: Classifier
    references: Mapping[str, Predictor]
    forms: tuple[Form, ...]
    recipes: Mapping[str, Recipe]
    facts: Mapping[str, ModelFacts]
    samples: Samples
    targets: I64
    data: DataFacts
    searches: tuple[SearchOptions, ...]
    batch_size: int
    strata: NDArray[Any] | None
    attack_references: bool
    transfer: TransferOptions
    deployed: DeployedOptions
    command: str | None

    @property
    def models(self) -> dict[str, Predictor]:
        """All that examples are tried on, by name, the subject first."""
        return {self.subject.name: self.subject, **self.references}

    @property
    def attacked(self) -> dict[str, Classifier]:
        """The models that examples are made for, by name, the subject first; what has no gradient is none."""
        asked = self.models if self.attack_references else {self.subject.name: self.subject}
        return {name: model for name, model in asked.items() if isinstance(model, Classifier)}


def make_plan(config: AuditConfig, on_progress: OnProgress) -> Plan:
    """Load and wrap the models and data of a configuration."""
    loaded = load_models(config, on_progress)
    if isinstance(loaded[0].model, intake.RuntimeModel):
        raise ModelRefused(
            f"{loaded[0].path}: expected a Keras model to audit, got a file that decides and has no "
            f"gradient: audit the model that it was made of, and give the file with {option('deployed')}"
        )
    data = load_data(config, loaded[0].model)
    recipe = subject_recipe(config, loaded[0], data)
    subject = recipe.shared()
    # a reference may have an axis of size 1 more or less, so it gets the subject's box feature by feature
    sides = conditions_of(subject)
    if config.freeze is None:
        sides = replace(sides, freeze=np.zeros_like(sides.freeze))
    models: list[Predictor] = [subject]
    recipes: list[Recipe | None] = [recipe]
    for reference in loaded[1:]:
        if _decides_alone(reference.model):
            form = make_form(reference, subject, config.deployed, reference.name or "reference")
            models.append(form.predictor)
            recipes.append(None)
            continue
        options = for_reference(subject.options, reference.model)
        made = replace(recipe_like(reference, sides, options), imports=config.imports)
        models.append(_reference(made, subject))
        recipes.append(made)
    models = named_apart(models, named=isinstance(config.references, Mapping))
    named = {
        model.name: replace(made, name=model.name)
        for made, model in zip(recipes, models, strict=True)
        if made is not None
    }
    subject = models[0] if isinstance(models[0], Classifier) else subject
    return _plan(config, loaded, [subject, *models[1:]], named, data)


def _decides_alone(given: Any) -> bool:
    """Whether a model has no gradient, so that it cannot be wrapped as a classifier."""
    return isinstance(given, intake.RuntimeModel | Predictor) and not isinstance(given, Classifier)


def _reference(recipe: Recipe, subject: Classifier) -> Classifier:
    """A reference under the conditions of the subject; a refusal says that it is on the reference."""
    try:
        return recipe.shared()
    except RobustcheckError as error:
        name = recipe.name or "one without a name"
        raise type(error)(
            f"reference {name}, for a model that takes {subject.input_shape}: {error}"
        ) from error


def _plan(
    config: AuditConfig,
    loaded: list[intake.LoadedModel],
    models: list[Predictor],
    recipes: Mapping[str, Recipe],
    data: intake.LoadedData,
) -> Plan:
    subject, names = models[0], data.class_names
    assert isinstance(subject, Classifier)
    if names is not None and len(names) != subject.classes:
        raise ConfigError(f"{option('class_names')}: expected {subject.classes} names, got {len(names)}")
    if data.folders is not None and config.class_names is None:
        intake.require_folders(str(data.path), data.folders, subject.classes)
    label = None if config.labels == "model" else data.y
    samples = as_samples(subject, data.x, label, data_range=config.data_range, index=data.index)
    without = [model.name for model in models if not isinstance(model, Classifier)]
    alone = [f"no examples were made for {name}, which has no gradient" for name in without]
    links = [f"the file of {file.name} is a link to {file.link}" for file in loaded if file.link is not None]
    for note in (*data.notes, *links, *alone):
        samples = samples.noted(note)
    held = _held_by_cost(subject, samples)
    if held:
        samples = samples.noted(
            f"{held} features are so dear that float32 cannot tell what a change of them costs, and are held"
        )
    samples, targets = choose_targets(subject, samples, config.target, seed=config.options.seed)
    return Plan(
        subject=subject,
        references={model.name: model for model in models[1:]},
        forms=tuple(load_forms(config, subject)),
        recipes=recipes,
        facts={model.name: model_facts(model, file) for model, file in zip(models, loaded, strict=True)},
        samples=samples,
        targets=targets,
        data=_data_facts(config, subject, samples, data),
        searches=config.searches,
        batch_size=config.batch_size or default_batch_size(subject),
        strata=None if config.labels == "model" else data.strata,
        attack_references=config.transfer == "all",
        transfer=TransferOptions(rms=config.transfer_rms, draws=config.noise_draws, seed=config.options.seed),
        deployed=config.deployed,
        command=config.command,
    )


def _held_by_cost(subject: Classifier, samples: Samples) -> int:
    """How many features that may change are held in some sample because of what they cost."""
    if not subject.priced:
        return 0
    held = np.zeros(subject.layout.width, bool)
    for block in blocks(samples.finite):
        rows = samples.rows[block]
        held |= beyond_float32(*subject.bounds(rows), rows, subject.cost).any(axis=0)
    return int(np.sum(held & subject.free))


def choose_targets(
    subject: Classifier, samples: Samples, target: Target, *, seed: int
) -> tuple[Samples, I64]:
    """The class each sample is to be given, -1 = any other; samples of a target class are left out."""
    if target is None:
        return samples, np.full(len(samples), -1, np.int64)
    classes = subject.classes
    if target == "random":
        # one draw a row of the source, so that a limit or a shard does not change a sample's target
        steps = np.random.default_rng(seed).integers(1, classes, size=int(samples.index.max()) + 1)
        return samples, (samples.label + steps[samples.index]) % classes
    if target == "least-likely":
        # what is not finite is not attacked, and nothing outside the box may reach the model
        inside, chosen = samples.rows[np.flatnonzero(samples.finite)[0]], np.empty(len(samples), np.int64)
        for block in slices(len(samples)):
            rows = np.where(samples.finite[block, None], samples.rows[block], inside)
            scores = logits_of(subject, rows)
            np.put_along_axis(scores, samples.label[block, None], np.inf, axis=1)
            chosen[block] = scores.argmin(axis=1)
        return samples, chosen
    if isinstance(target, str) or not 0 <= target < classes:
        raise ConfigError(
            f"{option('target')}: expected 'random', 'least-likely' or a class 0 to {classes - 1}, "
            f"got {target!r}"
        )
    others = samples.label != target
    if not others.any():
        raise DataRefused(f"{option('target')}: expected samples of other classes than {target}, got none")
    note = f"{int((~others).sum())} samples of the target class {target} are left out"
    kept = samples.take(others) if others.all() else samples.take(others).noted(note)
    return kept, np.full(len(kept), target, np.int64)


def model_facts(model: Predictor, loaded: intake.LoadedModel) -> ModelFacts:
    """What a report says of a model."""
    head, options = "decisions alone", {}
    if isinstance(loaded.model, intake.RuntimeModel):
        head += f", {loaded.model.runtime}, {loaded.model.types}"
    if isinstance(model, Classifier):
        head = model.head
        options = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(model.options).items()
            # the shape is there already
            if name != "input_shape" and value not in (None, "auto")
        }
    return ModelFacts(
        name=model.name,
        path=loaded.path,
        sha256=loaded.sha256 or model.digest,
        trusted=loaded.trusted,
        parameters=model.parameters,
        input_shape=list(model.input_shape),
        classes=model.classes,
        head=head,
        options=options,
    )


def conditions_of(classifier: Classifier) -> Conditions:
    """Where a search on the classifier may go."""
    return Conditions(
        lower=classifier.lower, upper=classifier.upper, freeze=~classifier.free, cost=classifier.cost
    )


def _data_facts(
    config: AuditConfig, subject: Classifier, samples: Samples, data: intake.LoadedData
) -> DataFacts:
    return DataFacts(
        path=data.path,
        sha256=data.sha256,
        samples=len(samples),
        limit=config.limit,
        box=subject.box,
        box_sha256=conditions_of(subject).sha256,
        data_range=None if samples.stored is None else list(samples.stored),
        labels=config.labels,
        target=None if config.target is None else str(config.target),
        frozen=int(subject.features - subject.free.sum()),
        class_names=None if data.class_names is None else list(data.class_names),
        notes=list(samples.notes),
        sample=data.sample,
        left_out=data.left_out,
        cost=[float(subject.cost.min()), float(subject.cost.max())] if subject.priced else None,
    )
