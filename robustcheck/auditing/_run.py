"""Run a plan: search, transfer, measures, report."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version

import tensorflow as tf

import robustcheck
from robustcheck import checks, measures
from robustcheck.auditing._plan import Plan, conditions_of
from robustcheck.config import SearchedNorm, SearchOptions
from robustcheck.distortion import attack
from robustcheck.errors import Incomplete, Interrupted, SearchInterrupted
from robustcheck.models import Classifier
from robustcheck.norms import NORMS
from robustcheck.progress import OnProgress, renamed
from robustcheck.results import AuditReport, Cost, NormFacts, Provenance, SearchResult, TransferMatrix
from robustcheck.transfer import cross_errors, require_comparable


def run(plan: Plan, on_progress: OnProgress) -> AuditReport:
    """Search every model, try the examples on all, check and sum up.

    Raises:
        Interrupted: Ctrl-C after the first samples; with the report of what was done.
    """
    require_comparable(plan.models)
    started, done = datetime.now(UTC), _Searches()
    try:
        for options in plan.searches:
            done.add(options.norm, *_timed(plan, plan.subject, options, on_progress))
        made_for = {
            name: _search(plan, classifier, plan.searches[0], on_progress)
            for name, classifier in (plan.references.items() if plan.attack_references else ())
        }
        transfer = _transfer(plan, {plan.subject.name: done.first, **made_for}, on_progress)
        on_progress("check", 0, 1)
        report = replace(_report(plan, done, transfer, started), made_for=made_for)
        on_progress("check", 1, 1)
        return report
    except KeyboardInterrupt as stop:
        if not done.results and isinstance(stop, SearchInterrupted):
            # within the first search the rows that were done come with the interruption
            done.add(plan.searches[0].norm, stop.done, (datetime.now(UTC) - started).total_seconds())
        if not done.results or not done.first.correct.any():
            raise
        raise Interrupted(_partial(plan, done, started)) from stop


class _Searches:
    """What the searches of the subject found so far, by norm, and their seconds."""

    def __init__(self) -> None:
        self.results: dict[SearchedNorm, SearchResult] = {}
        self.seconds: dict[SearchedNorm, float] = {}

    def add(self, norm: SearchedNorm, result: SearchResult, seconds: float) -> None:
        self.results[norm], self.seconds[norm] = result, seconds

    @property
    def first(self) -> SearchResult:
        return next(iter(self.results.values()))


def _timed(
    plan: Plan, classifier: Classifier, options: SearchOptions, on_progress: OnProgress
) -> tuple[SearchResult, float]:
    begun = time.perf_counter()
    return _search(plan, classifier, options, on_progress), time.perf_counter() - begun


def _search(
    plan: Plan, classifier: Classifier, options: SearchOptions, on_progress: OnProgress
) -> SearchResult:
    in_norm = f" {NORMS[options.norm].title}" if len(plan.searches) > 1 else ""
    result = attack(
        classifier,
        plan.samples,
        plan.targets,
        options=options,
        batch_size=plan.batch_size,
        on_progress=renamed(on_progress, f"search {classifier.name}{in_norm}"),
    )
    if classifier is plan.subject and not result.correct.any():
        raise Incomplete(
            f"{classifier.name}: none of the {len(plan.samples)} samples is classified right, so nothing can "
            "be attacked; do the labels and the range of the data fit the model?"
        )
    return result


def _transfer(
    plan: Plan, results: Mapping[str, SearchResult], on_progress: OnProgress
) -> TransferMatrix | None:
    if not plan.references:
        return None
    return cross_errors(plan.models, plan.samples, results, plan.transfer, on_progress)


def _report(plan: Plan, done: _Searches, transfer: TransferMatrix | None, started: datetime) -> AuditReport:
    seed, subject = plan.searches[0].seed, plan.subject
    facts = {
        norm: replace(
            bare, noise_curve=checks.noise_curve(subject, done.results[norm], bare.curve, seed=seed)
        )
        for norm, bare in _facts(done).items()
    }
    return _believed(
        replace(
            _bare(plan, done, facts, transfer, started),
            checks=checks.run_checks(
                subject,
                list(done.results.values()),
                seed=seed,
                unlabelled=plan.data.labels == "model",
                strata=plan.strata,
            ),
        )
    )


def _partial(plan: Plan, done: _Searches, started: datetime) -> AuditReport:
    """The report of an audit that was interrupted: the samples done of the subject, nothing else."""
    note = f"the audit was interrupted: {len(done.first)} of {len(plan.samples)} samples are in this report"
    missing = [NORMS[options.norm].title for options in plan.searches if options.norm not in done.results]
    if missing:
        note += f", and the search in {', '.join(missing)} is not"
    bare = _bare(plan, done, _facts(done), None, started)
    return _believed(
        replace(
            bare,
            complete=False,
            verdict="INCOMPLETE",
            data=replace(bare.data, notes=[note, *bare.data.notes]),
            checks=checks.skipped("the audit was interrupted"),
        )
    )


def _facts(done: _Searches) -> dict[SearchedNorm, NormFacts]:
    """What each search came to, without the noise that asks the model once more."""
    return {
        norm: NormFacts(
            counts=measures.count(result),
            curve=measures.robust_accuracy_curve(result),
            cost=_cost(result, done.seconds[norm]),
        )
        for norm, result in done.results.items()
    }


def _bare(
    plan: Plan,
    done: _Searches,
    facts: Mapping[SearchedNorm, NormFacts],
    transfer: TransferMatrix | None,
    started: datetime,
) -> AuditReport:
    """The report without its checks."""
    norm, *more = facts
    return AuditReport(
        model=plan.facts[plan.subject.name],
        references=[plan.facts[name] for name in plan.references],
        data=plan.data,
        norm=norm,
        **vars(facts[norm]),
        measures=measures.audit_measures(done.results, transfer),
        transfer=transfer,
        further={name: facts[name] for name in more},
        provenance=_provenance(plan, started),
        samples=done.first,
        conditions=conditions_of(plan.subject),
        further_samples={name: done.results[name] for name in more},
    )


def _believed(report: AuditReport) -> AuditReport:
    """The report with a doubt on each measure that may not be believed."""
    return replace(report, measures=measures.believed(report.measures, measures.Grounds.of(report)))


def _cost(result: SearchResult, seconds: float) -> Cost:
    attacked = result.correct
    return Cost(
        gradient_evaluations_per_sample=float(result.gradient_evaluations[attacked].mean()),
        forward_evaluations_per_sample=float(result.forward_evaluations[attacked].mean()),
        seconds=seconds,
    )


def _search_facts(options: SearchOptions) -> dict[str, str | int | float | None]:
    """How it was searched; the norms stand elsewhere."""
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
        seed=plan.searches[0].seed,
        batch_size=plan.batch_size,
        options=_search_facts(plan.searches[0]),
        started=started.isoformat(timespec="seconds"),
        command=plan.command,
    )
