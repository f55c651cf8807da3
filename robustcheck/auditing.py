"""One audit from start to finish; the only place that knows the order.

``audit`` takes live models and arrays, ``audit_files`` what a command line names; both make a :class:`_Plan`
and run it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import robustcheck
from robustcheck import intake, measures
from robustcheck.config import AuditConfig, BoxLike, DataRange, SearchOptions, Target
from robustcheck.distortion import attack, default_batch_size, require_batch_size
from robustcheck.errors import ConfigError, DataRefused, Incomplete
from robustcheck.models import Classifier, logits_of, wrap
from robustcheck.report import prepare_folder, write_report
from robustcheck.results import (
    AuditReport,
    Cost,
    DataFacts,
    ModelFacts,
    Provenance,
    SearchResult,
    TransferMatrix,
)
from robustcheck.samples import Samples, as_samples
from robustcheck.transfer import cross_errors, require_comparable

__all__ = ["audit", "audit_files"]

# called with the stage, what is done of it and what there is
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    """What is to be audited, checked and ready."""

    subject: Classifier
    references: Mapping[str, Classifier]
    facts: Mapping[str, ModelFacts]
    samples: Samples
    targets: NDArray[np.int64]
    data: DataFacts
    options: SearchOptions
    batch_size: int
    attack_references: bool
    command: str | None

    @property
    def models(self) -> dict[str, Classifier]:
        return {self.subject.name: self.subject, **self.references}


def audit(
    model: Any,
    x: Any,
    y: Any,
    *,
    references: Mapping[str, Any] | None = None,
    box: BoxLike = (0.0, 1.0),
    data_range: DataRange = None,
    target: Target = None,
    options: SearchOptions | None = None,
    batch_size: int | None = None,
    class_names: tuple[str, ...] | None = None,
    out: str | Path | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> AuditReport:
    """Audit a live model: minimal distortions, transfer to the references, measures.

    Args:
        model: whatever :func:`robustcheck.wrap` takes, or a classifier that it made.
        x, y: samples and labels as :func:`robustcheck.minimal_distortion` takes them; ``y=None`` audits
            against the model's own predictions.
        references: models by name that the examples are tried on; they are attacked too.
        box: the values the models take (classifiers bring their own).
        data_range: stored values that are mapped to the box.
        target: class to reach; None = any other than the label.
        options: how to search.
        batch_size: samples searched at once.
        class_names: for the report.
        out: report folder to write.
        force: replace a report that is there.
        on_progress: called with (stage, done, total).

    Raises:
        InputRefused: a model or data that cannot be audited.
        Incomplete: no sample can be attacked.
    """
    folder = None if out is None else prepare_folder(Path(out), force=force)
    shape = None if isinstance(x, (dict, list, tuple)) else tuple(np.shape(x)[1:])
    subject = _as_classifier(model, None, box, shape)
    wrapped = {name: _as_classifier(one, name, box, shape) for name, one in (references or {}).items()}
    if subject.name in wrapped:
        raise ConfigError(f"references: expected other names than the model's own, got {subject.name!r}")
    if class_names is not None and len(class_names) != subject.classes:
        raise ConfigError(f"class_names: expected {subject.classes} names, got {len(class_names)}")
    if batch_size is not None:
        require_batch_size(batch_size)
    samples = as_samples(subject, x, y, data_range=data_range)
    samples, targets = _choose_targets(subject, samples, target, seed=(options or SearchOptions()).seed)
    plan = _Plan(
        subject=subject,
        references=wrapped,
        facts={one.name: _facts(one) for one in (subject, *wrapped.values())},
        samples=samples,
        targets=targets,
        data=_data_facts(
            subject, samples, y is None, target=target, data_range=data_range, class_names=class_names
        ),
        options=options or SearchOptions(),
        batch_size=batch_size or default_batch_size(subject),
        attack_references=True,
        command=None,
    )
    report = _run(plan, on_progress or (lambda *_: None))
    if folder is not None:
        write_report(report, folder)
    return report


def _as_classifier(
    model: Any, name: str | None, box: BoxLike, input_shape: tuple[int, ...] | None
) -> Classifier:
    if isinstance(model, Classifier):
        return model if name is None else replace(model, name=name)
    return wrap(model, box=box, name=name, input_shape=input_shape)


def audit_files(config: AuditConfig, on_progress: OnProgress) -> AuditReport:
    """Load what the configuration names, audit it and write the report folder."""
    folder = prepare_folder(config.out, force=config.force)
    plan = _plan_files(config, on_progress)
    report = _run(plan, on_progress)
    write_report(report, folder)
    return report


def _plan_files(config: AuditConfig, on_progress: OnProgress) -> _Plan:
    specs = (config.model, *config.references)
    loaded = []
    for done, spec in enumerate(specs):
        on_progress("load", done, len(specs))
        loaded.append(intake.load_model(*_named(spec)))
    on_progress("load", len(specs), len(specs))
    names = _unique([one.name for one in loaded])
    freeze = intake.read_arrays(config.freeze, "freeze")[0] if config.freeze else None
    subject = _classifier_of(loaded[0].model, config.box, names[0], freeze)
    # a reference may have an axis of size 1 more or less, so it gets the subject's box feature by feature
    box = subject.lower, subject.upper
    frozen = None if freeze is None else ~subject.free
    others = zip(loaded[1:], names[1:], strict=True)
    classifiers = [
        subject,
        *(_classifier_of(one.model, box, name, frozen) for one, name in others),
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
    samples, targets = _choose_targets(subject, samples, config.target, seed=config.options.seed)
    return _Plan(
        subject=subject,
        references={one.name: one for one in classifiers[1:]},
        facts={
            one.name: _facts(one, path=file.path, sha256=file.sha256)
            for one, file in zip(classifiers, loaded, strict=True)
        },
        samples=samples,
        targets=targets,
        data=_data_facts(
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
        command=config.command,
    )


def _classifier_of(model: Any, box: BoxLike, name: str, freeze: Any) -> Classifier:
    """A factory may return a model, or a classifier that it wrapped as the model needs."""
    if isinstance(model, Classifier):
        return replace(model, name=name)
    return wrap(model, box=box, name=name, freeze=freeze)


def _named(spec: str) -> tuple[str, str | None]:
    """``name=MODEL`` as (MODEL, name); a path may hold an equals sign itself."""
    name, equals, path = spec.partition("=")
    return (path, name) if equals and not Path(spec).exists() and "/" not in name else (spec, None)


def _unique(names: list[str]) -> list[str]:
    """Names made different by a suffix, in order."""
    unique: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in unique:
            candidate, number = f"{name}-{number}", number + 1
        unique.append(candidate)
    return unique


def _choose_targets(
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


def _facts(classifier: Classifier, *, path: str | None = None, sha256: str | None = None) -> ModelFacts:
    return ModelFacts(
        name=classifier.name,
        path=path,
        sha256=sha256,
        parameters=classifier.parameters,
        input_shape=list(classifier.input_shape),
        classes=classifier.classes,
        head=classifier.head,
    )


def _data_facts(
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
    return DataFacts(
        path=path,
        sha256=sha256,
        samples=len(samples),
        limit=limit,
        box=subject.box.describe(),
        data_range=None if data_range is None else list(data_range),
        labels="model" if own_labels else "data",
        target=None if target is None else str(target),
        frozen=int(subject.features - subject.free.sum()),
        class_names=None if class_names is None else list(class_names),
        notes=list(samples.notes),
    )


def _run(plan: _Plan, on_progress: OnProgress) -> AuditReport:
    require_comparable(plan.models)
    started = datetime.now(UTC)
    results: dict[str, SearchResult] = {}
    seconds = 0.0
    for name, classifier in plan.models.items():
        if classifier is not plan.subject and not plan.attack_references:
            break
        begun = time.perf_counter()
        results[name] = attack(
            classifier,
            plan.samples,
            plan.targets,
            options=plan.options,
            batch_size=plan.batch_size,
            on_progress=partial(on_progress, f"search {name}"),
        )
        if classifier is plan.subject:
            seconds = time.perf_counter() - begun
            if not results[name].correct.any():
                raise Incomplete(
                    f"{name}: none of the {len(plan.samples)} samples is classified right, so nothing can be "
                    "attacked; do the labels and the range of the data fit the model?"
                )
    transfer = cross_errors(plan.models, plan.samples, results) if plan.references else None
    return _report(plan, results, transfer, started, seconds)


def _report(
    plan: _Plan,
    results: dict[str, SearchResult],
    transfer: TransferMatrix | None,
    started: datetime,
    seconds: float,
) -> AuditReport:
    subject = results.pop(plan.subject.name)
    return AuditReport(
        model=plan.facts[plan.subject.name],
        references=[plan.facts[name] for name in plan.references],
        data=replace(plan.data, notes=[*plan.data.notes, *_doubts(subject, plan.subject.classes)]),
        counts=measures.count(subject),
        measures=measures.audit_measures(subject, transfer),
        curve=measures.robust_accuracy_curve(subject),
        transfer=transfer,
        cost=_cost(subject, seconds),
        provenance=_provenance(plan, started),
        samples=subject,
        made_for=results,
    )


def _doubts(result: SearchResult, classes: int) -> list[str]:
    """What about the counts suggests that model and data do not belong together."""
    counts = measures.count(result)
    tried = counts.correct + counts.already_wrong
    if counts.correct > 2 * tried / classes or classes < 3:
        return []
    return [
        f"only {counts.correct} of {tried} samples are classified right, about what chance would give: do "
        "the labels, the order of the classes and the range of the data fit the model?"
    ]


def _cost(result: SearchResult, seconds: float) -> Cost:
    attacked = result.correct
    return Cost(
        gradient_evaluations_per_sample=float(result.gradient_evaluations[attacked].mean()),
        forward_evaluations_per_sample=float(result.forward_evaluations[attacked].mean()),
        seconds=seconds,
    )


def _provenance(plan: _Plan, started: datetime) -> Provenance:
    devices = [device.device_type for device in tf.config.list_physical_devices()]
    return Provenance(
        robustcheck=robustcheck.__version__,
        python=platform.python_version(),
        tensorflow=version("tensorflow"),
        keras=version("keras"),
        tensorflow_probability=version("tensorflow-probability"),
        numpy=version("numpy"),
        device="GPU" if "GPU" in devices else "CPU",
        dtype="float32",
        seed=plan.options.seed,
        batch_size=plan.batch_size,
        options=asdict(plan.options) | {"budget": plan.options.evaluations},
        started=started.isoformat(timespec="seconds"),
        command=plan.command,
    )
