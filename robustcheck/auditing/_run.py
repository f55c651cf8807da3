"""Run a plan: search, transfer, measures, report."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import tensorflow as tf

import robustcheck
from robustcheck import measures
from robustcheck.auditing._plan import OnProgress, Plan
from robustcheck.distortion import attack
from robustcheck.errors import Incomplete
from robustcheck.results import AuditReport, Cost, Provenance, SearchResult, TransferMatrix
from robustcheck.transfer import cross_errors, require_comparable


def run(plan: Plan, on_progress: OnProgress) -> AuditReport:
    """Search every model, try the examples on all, and sum up."""
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
    transfer = cross_errors(plan.models, plan.samples, results, plan.transfer) if plan.references else None
    return _report(plan, results, transfer, started, seconds)


def _report(
    plan: Plan,
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


def _provenance(plan: Plan, started: datetime) -> Provenance:
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
