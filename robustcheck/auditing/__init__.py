"""One audit from start to finish; the only place that knows the order.

``audit`` takes live models and arrays, ``audit_files`` what a command line names; both make a plan
(``_plan``), run it (``_run``), judge the report and write it. ``replay`` repeats one sample of a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robustcheck.auditing._plan import (
    OnProgress,
    Plan,
    as_classifier,
    choose_targets,
    data_facts,
    model_facts,
    plan_files,
    require_names,
)
from robustcheck.auditing._replay import Replay, replay
from robustcheck.auditing._run import run
from robustcheck.config import AuditConfig, BoxLike, DataRange, SearchOptions, Target, TransferOptions
from robustcheck.distortion import default_batch_size, require_batch_size
from robustcheck.errors import ConfigError, Interrupted
from robustcheck.policy import Policy, judged, read_policy
from robustcheck.report import prepare_folder, read_evidence, write_report
from robustcheck.results import AuditReport, Evidence
from robustcheck.samples import as_samples

__all__ = ["Replay", "audit", "audit_files", "replay"]


def audit(
    model: Any,
    x: Any,
    y: Any,
    *,
    references: Mapping[str, Any] | None = None,
    box: BoxLike = (0.0, 1.0),
    data_range: DataRange = None,
    target: Target = None,
    transfer_rms: tuple[float, ...] = (),
    options: SearchOptions | None = None,
    batch_size: int | None = None,
    class_names: tuple[str, ...] | None = None,
    policy: Policy | str | Path | None = None,
    baseline: AuditReport | str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
    report_assets: bool = False,
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
        transfer_rms: sizes at which all models' examples are compared besides their own.
        options: how to search.
        batch_size: samples searched at once.
        class_names: for the report.
        policy: rules that the report is judged by, or the file with them.
        baseline: report, or its folder, that the policy measures changes against.
        out: report folder to write.
        force: replace a report that is there.
        report_assets: write styles and images as files beside the page.
        on_progress: called with (stage, done, total).

    Raises:
        InputRefused: a model or data that cannot be audited.
        Incomplete: no sample can be attacked.
        Interrupted: Ctrl-C after the first samples; with the report of what was done, which is written too.
    """
    gate = _Gate.of(policy, baseline)
    folder = None if out is None else prepare_folder(Path(out), force=force)
    shape = None if isinstance(x, (dict, list, tuple)) else tuple(np.shape(x)[1:])
    subject = as_classifier(model, None, box, input_shape=shape)
    wrapped = {
        name: as_classifier(one, name, box, input_shape=shape) for name, one in (references or {}).items()
    }
    require_names((subject.name, *wrapped))
    if subject.name in wrapped:
        raise ConfigError(f"references: expected other names than the model's own, got {subject.name!r}")
    if class_names is not None and len(class_names) != subject.classes:
        raise ConfigError(f"class_names: expected {subject.classes} names, got {len(class_names)}")
    if batch_size is not None:
        require_batch_size(batch_size)
    samples = as_samples(subject, x, y, data_range=data_range)
    samples, targets = choose_targets(subject, samples, target, seed=(options or SearchOptions()).seed)
    plan = Plan(
        subject=subject,
        references=wrapped,
        facts={one.name: model_facts(one) for one in (subject, *wrapped.values())},
        samples=samples,
        targets=targets,
        data=data_facts(
            subject, samples, y is None, target=target, data_range=data_range, class_names=class_names
        ),
        options=options or SearchOptions(),
        batch_size=batch_size or default_batch_size(subject),
        attack_references=True,
        transfer=TransferOptions(rms=transfer_rms, seed=(options or SearchOptions()).seed),
        command=None,
    )
    return _run_and_write(plan, on_progress or (lambda *_: None), gate, folder, report_assets)


def audit_files(config: AuditConfig, on_progress: OnProgress) -> AuditReport:
    """Load what the configuration names, audit it and write the report folder.

    Raises:
        Interrupted: Ctrl-C after the first samples; with the report of what was done, which is written too.
    """
    gate = _Gate.of(config.policy, config.baseline)
    folder = prepare_folder(config.out, force=config.force)
    plan = plan_files(config, on_progress)
    return _run_and_write(plan, on_progress, gate, folder, config.report_assets)


@dataclass(frozen=True)
class _Gate:
    """What the report will be judged by, read before the work begins."""

    policy: Policy | None
    baseline: Evidence | None

    @staticmethod
    def of(policy: Policy | str | Path | None, baseline: AuditReport | str | Path | None) -> _Gate:
        if isinstance(policy, str | Path):
            policy = read_policy(Path(policy))
        if isinstance(baseline, str | Path):
            return _Gate(policy, read_evidence(Path(baseline)))
        return _Gate(policy, None if baseline is None else baseline.evidence)

    def judge(self, report: AuditReport) -> AuditReport:
        """The report with its verdict, if there is a policy."""
        if self.policy is None:
            return report
        return judged(report, self.policy, report.evidence, self.baseline)


def _run_and_write(
    plan: Plan, on_progress: OnProgress, gate: _Gate, folder: Path | None, assets: bool
) -> AuditReport:
    try:
        report = gate.judge(run(plan, on_progress))
    except Interrupted as stop:
        partial = gate.judge(stop.done)
        if folder is not None:
            write_report(partial, folder, assets=assets)
        raise Interrupted(partial) from stop
    if folder is not None:
        write_report(report, folder, assets=assets)
    return report
