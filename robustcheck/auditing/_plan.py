"""What is to be audited, checked and ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck import intake
from robustcheck.config import AuditConfig, BoxLike, DataRange, SearchOptions, Target, TransferOptions
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


def plan_files(config: AuditConfig, on_progress: OnProgress) -> Plan:
    """Load the models and data that a configuration names."""
    specs = (config.model, *(one for spec in config.references for one in intake.model_specs(spec)))
    loaded = []
    for done, spec in enumerate(specs):
        on_progress("load", done, len(specs))
        loaded.append(intake.load_model(*_named(spec)))
    on_progress("load", len(specs), len(specs))
    names = _unique([one.name for one in loaded])
    require_names(names)
    freeze = intake.read_arrays(config.freeze, "freeze")[0] if config.freeze else None
    subject = as_classifier(loaded[0].model, names[0], config.box, freeze=freeze)
    # a reference may have an axis of size 1 more or less, so it gets the subject's box feature by feature
    box = subject.lower, subject.upper
    frozen = None if freeze is None else ~subject.free
    others = zip(loaded[1:], names[1:], strict=True)
    classifiers = [
        subject,
        *(as_classifier(one.model, name, box, freeze=frozen) for one, name in others),
    ]
    class_names = intake.read_class_names(config.class_names, subject.classes) if config.class_names else None
    data = intake.load_data(
        config.data,
        input_shape=subject.input_shape,
        classes=subject.classes,
        x_key=config.x_key,
        y_key=config.y_key,
        class_names=class_names,
        limit=config.limit,
        seed=config.options.seed,
        need_labels=config.labels == "data",
    )
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
        data=data_facts(
            subject,
            samples,
            label is None,
            target=config.target,
            data_range=config.data_range,
            class_names=data.class_names,
            path=data.path,
            sha256=data.sha256,
            limit=config.limit,
        ),
        options=config.options,
        batch_size=config.batch_size or default_batch_size(subject),
        attack_references=config.transfer == "all",
        transfer=TransferOptions(rms=config.transfer_rms, seed=config.options.seed),
        command=config.command,
    )


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


def _named(spec: str) -> tuple[str, str | None]:
    """``name=MODEL`` as (MODEL, name); a path may hold an equals sign itself."""
    name, equals, path = spec.partition("=")
    return (path, name) if equals and not Path(spec).exists() and "/" not in name else (spec, None)


def require_names(names: Iterable[str]) -> None:
    """Refuse names of models that ``transfer.A->B`` could not tell apart."""
    for name in names:
        if "->" in name or not name:
            raise ConfigError(f"model: expected a name without '->', got {name!r}; name=MODEL gives another")


def _unique(names: list[str]) -> list[str]:
    """Names made different by a suffix, in order."""
    unique: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in unique:
            candidate, number = f"{name}-{number}", number + 1
        unique.append(candidate)
    return unique


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


def data_facts(
    subject: Classifier,
    samples: Samples,
    own_labels: bool,
    *,
    target: Target,
    data_range: DataRange,
    class_names: tuple[str, ...] | None = None,
    path: str | None = None,
    sha256: str | None = None,
    limit: int | None = None,
) -> DataFacts:
    """What a report says of the data and the conditions of the audit."""
    return DataFacts(
        path=path,
        sha256=sha256,
        samples=len(samples),
        limit=limit,
        box=subject.box.describe(),
        box_sha256=conditions_of(subject).sha256,
        data_range=None if data_range is None else list(data_range),
        labels="model" if own_labels else "data",
        target=None if target is None else str(target),
        frozen=int(subject.features - subject.free.sum()),
        class_names=None if class_names is None else list(class_names),
        notes=list(samples.notes),
    )
