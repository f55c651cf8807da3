"""Run a plan: search, transfer, measures, report."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version

import tensorflow as tf

import robustcheck
from robustcheck import checks, measures
from robustcheck.auditing._plan import Plan, conditions_of
from robustcheck.config import SearchOptions
from robustcheck.distortion import attack
from robustcheck.errors import Incomplete, Interrupted, SearchInterrupted
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress, renamed
from robustcheck.results import AuditReport, Cost, Provenance, SearchResult, TransferMatrix
from robustcheck.transfer import cross_errors, require_comparable


def run(plan: Plan, on_progress: OnProgress) -> AuditReport:
    """Search every model, try the examples on all, check and sum up.

    Raises:
        Interrupted: Ctrl-C after the first samples; with the report of what was done.
    """
    require_comparable(plan.models)
    started = datetime.now(UTC)
    results: dict[str, SearchResult] = {}
    begun = time.perf_counter()
    try:
        subject = _search(plan, plan.subject, on_progress)
        seconds = time.perf_counter() - begun
        results[plan.subject.name] = subject
        for name, classifier in plan.references.items() if plan.attack_references else ():
            results[name] = _search(plan, classifier, on_progress)
        transfer = _transfer(plan, results, on_progress)
        on_progress("check", 0, 1)
        report = _report(plan, results, transfer, started, seconds)
        on_progress("check", 1, 1)
        return report
    except KeyboardInterrupt as stop:
        seconds = time.perf_counter() - begun
        # within the search of the subject the rows that were done come with the interruption
        done = results.get(plan.subject.name, stop.done if isinstance(stop, SearchInterrupted) else None)
        if done is None or not done.correct.any():
            raise
        raise Interrupted(_partial(plan, done, started, seconds)) from stop


def _search(plan: Plan, classifier: Classifier, on_progress: OnProgress) -> SearchResult:
    result = attack(
        classifier,
        plan.samples,
        plan.targets,
        options=plan.options,
        batch_size=plan.batch_size,
        on_progress=renamed(on_progress, f"search {classifier.name}"),
    )
    if classifier is plan.subject and not result.correct.any():
        raise Incomplete(
            f"{classifier.name}: none of the {len(plan.samples)} samples is classified right, so nothing can "
            "be attacked; do the labels and the range of the data fit the model?"
        )
    return result


def _transfer(plan: Plan, results: dict[str, SearchResult], on_progress: OnProgress) -> TransferMatrix | None:
    if not plan.references:
        return None
    return cross_errors(plan.models, plan.samples, results, plan.transfer, on_progress)


def _report(
    plan: Plan,
    results: dict[str, SearchResult],
    transfer: TransferMatrix | None,
    started: datetime,
    seconds: float,
) -> AuditReport:
    subject, seed = results[plan.subject.name], plan.options.seed
    bare = _bare(plan, subject, transfer, started, seconds, complete=True)
    return replace(
        bare,
        noise_curve=checks.noise_curve(plan.subject, subject, bare.curve, seed=seed),
        checks=checks.run_checks(
            plan.subject,
            subject,
            seed=seed,
            unlabelled=plan.data.labels == "model",
            strata=plan.strata,
        ),
        made_for={name: result for name, result in results.items() if name != plan.subject.name},
    )


def _partial(plan: Plan, done: SearchResult, started: datetime, seconds: float) -> AuditReport:
    """The report of an audit that was interrupted: the samples done of the subject, nothing else."""
    note = f"the audit was interrupted: {len(done)} of {len(plan.samples)} samples are in this report"
    bare = _bare(plan, done, None, started, seconds, complete=False)
    return replace(
        bare,
        complete=False,
        verdict="INCOMPLETE",
        data=replace(bare.data, notes=[note, *bare.data.notes]),
        checks=checks.skipped("the audit was interrupted"),
    )


def _bare(
    plan: Plan,
    subject: SearchResult,
    transfer: TransferMatrix | None,
    started: datetime,
    seconds: float,
    *,
    complete: bool,
) -> AuditReport:
    """The report without what asks the model once more."""
    counts = measures.count(subject)
    labelled = plan.data.labels != "model"
    grounds = measures.Grounds(
        complete=complete, labelled=labelled, correct=counts.correct, found=counts.found
    )
    return AuditReport(
        model=plan.facts[plan.subject.name],
        references=[plan.facts[name] for name in plan.references],
        data=plan.data,
        counts=counts,
        measures=measures.believed(measures.audit_measures(subject, transfer), grounds),
        curve=measures.robust_accuracy_curve(subject),
        transfer=transfer,
        cost=_cost(subject, seconds),
        provenance=_provenance(plan, started),
        samples=subject,
        conditions=conditions_of(plan.subject),
    )


def _cost(result: SearchResult, seconds: float) -> Cost:
    attacked = result.correct
    return Cost(
        gradient_evaluations_per_sample=float(result.gradient_evaluations[attacked].mean()),
        forward_evaluations_per_sample=float(result.forward_evaluations[attacked].mean()),
        seconds=seconds,
    )


def _search_facts(options: SearchOptions) -> dict[str, str | int | float | None]:
    """How it was searched; an audit has one norm, which needs no name."""
    facts = asdict(options) | {"budget": options.evaluations}
    return {name: value for name, value in facts.items() if name != "norm"}


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
        options=_search_facts(plan.options),
        started=started.isoformat(timespec="seconds"),
        command=plan.command,
    )
