"""What is to be audited, checked and ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck import intake
from robustcheck.config import AuditConfig, BoxLike, SearchOptions, Target, TransferOptions
from robustcheck.distortion import default_batch_size
from robustcheck.errors import ConfigError, DataRefused
from robustcheck.models import Classifier, logits_of, wrap
from robustcheck.results import Conditions, DataFacts, ModelFacts
from robustcheck.samples import Samples, as_samples

# called with the stage, what is done of it and what there is
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """One audit: classifiers, samples with their targets, and what the report is to say of them."""

    subject: Classifier
    references: Mapping[str, Classifier]
    facts: Mapping[str, ModelFacts]
    samples: Samples
    targets: NDArray[np.int64]
    data: DataFacts
    options: SearchOptions
    batch_size: int
    attack_references: bool
    transfer: TransferOptions
    command: str | None

    @property
    def models(self) -> dict[str, Classifier]:
        return {self.subject.name: self.subject, **self.references}


def make_plan(config: AuditConfig, on_progress: OnProgress) -> Plan:
    """Load and wrap the models and data of a configuration."""
    loaded = _load_models(config, on_progress)
    freeze = intake.read_arrays(config.freeze, "freeze")[0] if config.freeze else None
    # how images are read depends on the model; other data are there first, and tell a model its input's shape
    images = isinstance(config.data, str | Path) and Path(config.data).is_dir()
    data = None if images else _load_data(config)
    shape = None if data is None else _sample_shape(data.x)
    subject = as_classifier(loaded[0].model, loaded[0].name, config.box, input_shape=shape, freeze=freeze)
    # a reference may have an axis of size 1 more or less, so it gets the subject's box feature by feature
    box = subject.lower, subject.upper
    frozen = None if freeze is None else ~subject.free
    others = [as_classifier(one.model, one.name, box, input_shape=shape, freeze=frozen) for one in loaded[1:]]
    classifiers = _named_apart([subject, *others], named=isinstance(config.references, Mapping))
    return _plan(config, loaded, classifiers, data or _load_data(config, subject))


def _load_models(config: AuditConfig, on_progress: OnProgress) -> list[intake.LoadedModel]:
    """The subject, then the references, each with its name if it was given one."""
    references: list[tuple[Any, str | None]]
    if isinstance(config.references, Mapping):
        references = [(given, name) for name, given in config.references.items()]
    else:
        specs = [one for given in config.references for one in intake.model_specs(given)]
        references = [_named(one) for one in specs]
    sources = [_named(config.model), *references]
    loaded = []
    for done, (given, name) in enumerate(sources):
        on_progress("load", done, len(sources))
        loaded.append(intake.load_model(given, name))
    on_progress("load", len(sources), len(sources))
    return loaded


def _load_data(config: AuditConfig, subject: Classifier | None = None) -> intake.LoadedData:
    """The data; for a folder of images the subject says how they are read."""
    names = config.class_names
    return intake.load_data(
        config.data,
        input_shape=() if subject is None else subject.input_shape,
        classes=0 if subject is None else subject.classes,
        x_key=config.x_key,
        y_key=config.y_key,
        class_names=intake.read_class_names(names) if isinstance(names, Path) else names,
        limit=config.limit,
        seed=config.options.seed,
        need_labels=config.labels == "data",
    )


def _plan(
    config: AuditConfig,
    loaded: list[intake.LoadedModel],
    classifiers: list[Classifier],
    data: intake.LoadedData,
) -> Plan:
    subject, names = classifiers[0], data.class_names
    if names is not None and len(names) != subject.classes:
        raise ConfigError(f"class_names: expected {subject.classes} names, got {len(names)}")
    label = None if config.labels == "model" else data.y
    samples = as_samples(subject, data.x, label, data_range=config.data_range, index=data.index)
    samples, targets = choose_targets(subject, samples, config.target, seed=config.options.seed)
    return Plan(
        subject=subject,
        references={one.name: one for one in classifiers[1:]},
        facts={
            one.name: model_facts(one, path=file.path, sha256=file.sha256)
            for one, file in zip(classifiers, loaded, strict=True)
        },
        samples=samples,
        targets=targets,
        data=_data_facts(config, subject, samples, data),
        options=config.options,
        batch_size=config.batch_size or default_batch_size(subject),
        attack_references=config.transfer == "all",
        transfer=TransferOptions(rms=config.transfer_rms, seed=config.options.seed),
        command=config.command,
    )


def _sample_shape(x: Any) -> tuple[int, ...] | None:
    """Shape of a sample where there is one array of them, for a model that does not tell."""
    return None if isinstance(x, (dict, list, tuple)) else tuple(np.shape(x)[1:])


def as_classifier(
    model: Any,
    name: str | None,
    box: BoxLike,
    *,
    input_shape: tuple[int, ...] | None = None,
    freeze: Any = None,
) -> Classifier:
    """Wrap a model; a classifier is taken as its maker wrapped it, under the name given."""
    if isinstance(model, Classifier):
        return model if name is None else replace(model, name=name)
    return wrap(model, box=box, name=name, input_shape=input_shape, freeze=freeze)


def _named(spec: Any) -> tuple[Any, str | None]:
    """``name=MODEL`` as (MODEL, name); a path may hold an equals sign itself."""
    if not isinstance(spec, str):
        return spec, None
    name, equals, path = spec.partition("=")
    return (path, name) if equals and not Path(spec).exists() and "/" not in name else (spec, None)


def _named_apart(classifiers: list[Classifier], *, named: bool) -> list[Classifier]:
    """Classifiers whose names ``transfer.A->B`` can tell apart.

    A suffix makes names different that were found; a clash of names that the caller chose is refused.
    """
    names: list[str] = []
    for one in classifiers:
        if "->" in one.name or not one.name:
            raise ConfigError(
                f"model: expected a name without '->', got {one.name!r}; name=MODEL gives another"
            )
        number, candidate = 2, one.name
        while candidate in names:
            candidate, number = f"{one.name}-{number}", number + 1
        names.append(candidate)
    if named and classifiers[0].name in [one.name for one in classifiers[1:]]:
        raise ConfigError(
            f"references: expected other names than the model's own, got {classifiers[0].name!r}"
        )
    return [replace(one, name=name) for one, name in zip(classifiers, names, strict=True)]


def choose_targets(
    subject: Classifier, samples: Samples, target: Target, *, seed: int
) -> tuple[Samples, NDArray[np.int64]]:
    """The class each sample is to be given, -1 = any other; samples of a target class are left out."""
    if target is None:
        return samples, np.full(len(samples), -1, np.int64)
    classes = subject.classes
    if target == "random":
        # one draw a row of the source, so that a limit or a shard does not change a sample's target
        steps = np.random.default_rng(seed).integers(1, classes, size=int(samples.index.max()) + 1)
        return samples, (samples.label + steps[samples.index]) % classes
    if target == "least-likely":
        scores = logits_of(subject, np.nan_to_num(samples.rows))
        np.put_along_axis(scores, samples.label[:, None], np.inf, axis=1)
        return samples, scores.argmin(axis=1).astype(np.int64)
    if isinstance(target, str) or not 0 <= target < classes:
        raise ConfigError(
            f"target: expected 'random', 'least-likely' or a class 0 to {classes - 1}, got {target!r}"
        )
    others = samples.label != target
    if not others.any():
        raise DataRefused(f"target: expected samples of other classes than {target}, got none")
    note = f"{int((~others).sum())} samples of the target class {target} are left out"
    kept = samples.take(others) if others.all() else samples.take(others).noted(note)
    return kept, np.full(len(kept), target, np.int64)


def model_facts(classifier: Classifier, *, path: str | None = None, sha256: str | None = None) -> ModelFacts:
    """What a report says of a model."""
    return ModelFacts(
        name=classifier.name,
        path=path,
        sha256=sha256,
        parameters=classifier.parameters,
        input_shape=list(classifier.input_shape),
        classes=classifier.classes,
        head=classifier.head,
    )


def conditions_of(classifier: Classifier) -> Conditions:
    """Where a search on the classifier may go."""
    return Conditions(lower=classifier.lower, upper=classifier.upper, freeze=~classifier.free)


def _data_facts(
    config: AuditConfig, subject: Classifier, samples: Samples, data: intake.LoadedData
) -> DataFacts:
    return DataFacts(
        path=data.path,
        sha256=data.sha256,
        samples=len(samples),
        limit=config.limit,
        box=subject.box.describe(),
        box_sha256=conditions_of(subject).sha256,
        data_range=None if config.data_range is None else list(config.data_range),
        labels=config.labels,
        target=None if config.target is None else str(config.target),
        frozen=int(subject.features - subject.free.sum()),
        class_names=None if data.class_names is None else list(data.class_names),
        notes=list(samples.notes),
    )
