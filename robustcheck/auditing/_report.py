"""The report of what the searches found: figures, curves, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import tensorflow as tf

from robustcheck import checks, measures
from robustcheck.auditing._begin import search_facts, versions
from robustcheck.auditing._plan import Plan, conditions_of
from robustcheck.config import SearchedNorm
from robustcheck.deployed import Held
from robustcheck.norms import NORMS
from robustcheck.remedies import Walk
from robustcheck.results import (
    AuditReport,
    Cost,
    DeployedRows,
    NormFacts,
    PlanDocument,
    Provenance,
    SearchResult,
    TransferMatrix,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Searched:
    """What the searches found.

    Attributes:
        results: of the subject, by norm, the first one first.
        seconds: that these took, summed over those who searched at once.
        made_for: of the references, by name.
        notes: on the searches.
        walks: by decisions alone, after each.
        held: what deployed forms came to, by name.
    """

    results: Mapping[SearchedNorm, SearchResult]
    seconds: Mapping[SearchedNorm, float]
    made_for: Mapping[str, SearchResult] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    walks: Mapping[SearchedNorm, Walk] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)

    @property
    def first(self) -> SearchResult:
        """Of the subject in the first norm."""
        return next(iter(self.results.values()))


def whole_report(
    plan: Plan, begun: PlanDocument, found: Searched, transfer: TransferMatrix | None
) -> AuditReport:
    """The report of an audit that was done."""
    seed, subject = plan.searches[0].seed, plan.subject
    facts = {
        norm: replace(
            bare, noise_curve=checks.noise_curve(subject, found.results[norm], bare.curve, seed=seed)
        )
        for norm, bare in _facts(found).items()
    }
    checked = checks.run_checks(
        subject,
        list(found.results.values()),
        seed=seed,
        unlabelled=plan.data.labels == "model",
        strata=plan.strata,
        walks=found.walks,
        made_for=found.made_for,
        facts=facts,
        forms=_rows(found),
    )
    bare = _bare(plan, begun, found, facts, transfer)
    return _believed(replace(bare, checks=checked, made_for=dict(found.made_for)))


def partial_report(plan: Plan, begun: PlanDocument, found: Searched, why: str) -> AuditReport:
    """The report of an audit that was not: the samples done of the subject, nothing else."""
    note = f"{why}: {len(found.first)} of {len(plan.samples)} samples are in this report"
    missing = [NORMS[options.norm].title for options in plan.searches if options.norm not in found.results]
    if missing:
        note += f", and the search in {', '.join(missing)} is not"
    bare = _bare(plan, begun, found, _facts(found), None)
    return _believed(
        replace(
            bare,
            complete=False,
            verdict="INCOMPLETE",
            data=replace(bare.data, notes=[note, *bare.data.notes]),
            checks=checks.skipped(why),
        )
    )


def _facts(found: Searched) -> dict[SearchedNorm, NormFacts]:
    """What each search came to, without the noise that asks the model once more."""
    return {
        norm: NormFacts(
            counts=measures.count(result),
            curve=measures.robust_accuracy_curve(result),
            cost=_cost(result, found.seconds[norm]),
        )
        for norm, result in found.results.items()
    }


def _bare(
    plan: Plan,
    begun: PlanDocument,
    found: Searched,
    facts: Mapping[SearchedNorm, NormFacts],
    transfer: TransferMatrix | None,
) -> AuditReport:
    """The report without its checks."""
    norm, *more = facts
    return AuditReport(
        model=plan.facts[plan.subject.name],
        references=[plan.facts[name] for name in plan.references],
        data=replace(plan.data, notes=[*plan.data.notes, *found.notes]),
        norm=norm,
        **vars(facts[norm]),
        measures=measures.audit_measures(found.results, transfer, _rows(found)),
        deployed=[held.facts for held in found.held.values()],
        deployed_rows=_rows(found),
        transfer=transfer,
        further={name: facts[name] for name in more},
        provenance=_provenance(plan, begun),
        samples=found.first,
        conditions=conditions_of(plan.subject),
        further_samples={name: found.results[name] for name in more},
    )


def _rows(found: Searched) -> dict[str, DeployedRows]:
    """What deployed forms make of the samples, by name."""
    return {name: held.rows for name, held in found.held.items()}


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


def _provenance(plan: Plan, begun: PlanDocument) -> Provenance:
    devices = [device.device_type for device in tf.config.list_physical_devices()]
    return Provenance(
        **versions(),
        device="GPU" if "GPU" in devices else "CPU",
        dtype="float32",
        seed=plan.searches[0].seed,
        batch_size=plan.batch_size,
        options=search_facts(plan.searches[0]),
        started=begun.started,
        command=begun.command,
    )
