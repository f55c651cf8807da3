"""One audit from start to finish; the only place that knows the order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from robustcheck import intake
from robustcheck.auditing._begin import begin
from robustcheck.auditing._plan import make_plan
from robustcheck.auditing._run import Run, run
from robustcheck.config import (
    AuditConfig,
    BoxLike,
    DataRange,
    DeployedOptions,
    Draw,
    FileOptions,
    HeadKind,
    Layout,
    ModelOptions,
    Precision,
    SearchedNorm,
    SearchOptions,
    Target,
    TransferOptions,
)
from robustcheck.errors import ConfigError, Incomplete, Interrupted, one_line
from robustcheck.policy import Policy, judged, read_policy
from robustcheck.progress import OnProgress, silent
from robustcheck.report import prepare_folder, read_evidence, read_report, write_report
from robustcheck.results import AuditReport, Evidence, plan_without_places, without_places
from robustcheck.shards import KEPT, ShardStore
from robustcheck.text import option


def audit(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    references: Mapping[str, Any] | None = None,
    deployed: Mapping[str, Any] | Sequence[Any] | str | Path | None = None,
    precision: Sequence[Precision] | Precision = (),
    deployed_range: tuple[float, float] | None = None,
    deployed_layout: Layout = "auto",
    max_calls: int | None = None,
    labels: Literal["data", "model"] | None = None,
    y_key: str | None = None,
    limit: int | None = None,
    sample: Draw = "stratified",
    input_shape: tuple[int, ...] | None = None,
    output: str | int | None = None,
    perturb: str | Sequence[str] | None = None,
    freeze: Any = None,
    cost: Any = None,
    head: HeadKind | Literal["auto"] = "auto",
    votes: int | None = None,
    box: BoxLike = (0.0, 1.0),
    data_range: DataRange = None,
    target: Target = None,
    transfer: Literal["all", "one-way"] = "all",
    transfer_rms: tuple[float, ...] = (),
    noise_draws: int = TransferOptions.draws,
    options: SearchOptions | None = None,
    norms: Sequence[SearchedNorm] | None = None,
    batch_size: int | None = None,
    class_names: tuple[str, ...] | None = None,
    policy: Policy | str | Path | None = None,
    baseline: AuditReport | str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
    report_assets: bool = False,
    no_examples: bool = False,
    verbose_provenance: bool = False,
    trust_model: bool = False,
    expect_sha256: str | None = None,
    max_params: int = FileOptions.max_params,
    preflight: Literal["auto", "always", "never"] = "auto",
    max_data_bytes: int = AuditConfig.max_data_bytes,
    jobs: int | None = None,
    executor: Any = "local",
    ray_address: str | None = None,
    gpus_per_worker: float = 0.0,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> AuditReport:
    """Audit a live model: minimal distortions, transfer to the references, measures.

    Args:
        model: whatever :func:`robustcheck.wrap` takes, or a classifier that it made.
        x, y: samples and labels as :func:`robustcheck.minimal_distortion` takes them; or as ``x`` alone what
            gives both: a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, a finite generator, a list of
            batches. A list is several inputs where the model has them, else samples or batches of them.
        references: models by name that the examples are tried on; they are attacked too.
        deployed: what the model is deployed as, by name: a ``.tflite``, ``.onnx`` or Keras file, a Keras
            model, or what :func:`robustcheck.predictor` makes; held against the samples and examples.
        precision: types that forms of the model are made in on the spot: ``"float16"``, ``"bfloat16"`` or
            ``"int8"``, as Keras quantises.
        deployed_range: values that deployed files take in place of the box.
        deployed_layout: how they take an image: ``"same"``, ``"channels-first"``, ``"transposed"`` or
            ``"flipped"``; ``"auto"`` sees by the shape whether channels come first.
        max_calls: rows that each of these may be asked about, each once.
        labels: ``"model"`` audits against the model's own predictions, as is done where there are no labels.
        y_key: which label is meant where each sample has a mapping of them.
        limit: samples at most.
        sample: how these are drawn: the ``"first"``, at ``"random"``, or ``"stratified"``, at random with the
            classes in proportion. Sources that do not tell how long they are give their first.
        input_shape, output, perturb, freeze, cost, head, votes: how the model is to be read, as for
            :func:`robustcheck.wrap`.
        box: the values the models take (classifiers bring their own).
        data_range: stored values that are mapped to the box.
        target: class to reach; None = any other than the label.
        transfer: ``"one-way"`` makes no examples for the references.
        transfer_rms: sizes at which all models' examples are compared besides their own.
        noise_draws: draws of the Gaussian noise that examples are compared with.
        options: how to search.
        norms: in which distances are to be the shortest, a search each: ``"l2"``, ``"linf"``, ``"l1"``;
            None = that of ``options``. The examples of the first are tried on the references.
        batch_size: samples searched at once.
        class_names: for the report.
        policy: rules that the report is judged by, or the file with them.
        baseline: report, or its folder, that the policy measures changes against.
        out: report folder to write.
        force: replace a report that is there.
        report_assets: write styles and images as files beside the page.
        no_examples: leave samples and examples out of the report's files: distances alone.
        verbose_provenance: leave absolute paths in the report, of which it else keeps the last name.
        trust_model, expect_sha256, max_params, preflight: how far models given as files are believed before
            they are loaded: whether their code is run; digest of the subject's; parameters that they may
            declare; whether they are first loaded in a process of its own.
        max_data_bytes: of a source that does not tell its length that are read.
        jobs: processes that search at once, each with its share of the cores; a script that asks for several
            needs ``if __name__ == "__main__":`` around what it does.
        executor: where searches run: ``"local"``, ``"ray"``, or any ``concurrent.futures.Executor``. A live
            model is saved and loaded there as Keras does it.
        ray_address: of a Ray cluster; None = a Ray of this machine, for the while.
        gpus_per_worker: of each worker on Ray, or a share of one.
        resume: go on with what an audit that was stopped left in ``out``.
        on_progress: called with (stage, done, total).

    Raises:
        InputRefused: a model or data that cannot be audited.
        Incomplete: no sample can be attacked.
        Interrupted: Ctrl-C after the first samples; with the report of what was done, which is written too.
    """
    streamed = y is None and intake.is_stream(x)
    labelled = y is not None or (streamed and (y_key is not None or intake.is_labelled(x)))
    config = AuditConfig(
        model=model,
        data=x if streamed else (x, y),
        references=references or {},
        deployed=DeployedOptions(
            forms=_forms(deployed),
            precision=(precision,) if isinstance(precision, str) else tuple(precision),
            takes=deployed_range,
            layout=deployed_layout,
            max_calls=max_calls,
        ),
        out=None if out is None else Path(out),
        force=force,
        box=box,
        data_range=data_range,
        class_names=class_names,
        freeze=freeze,
        cost=cost,
        labels=labels or ("data" if labelled else "model"),
        y_key=y_key,
        limit=limit,
        sample=sample,
        model_options=ModelOptions(
            input_shape=input_shape,
            output=output,
            perturb=(perturb,) if isinstance(perturb, str) else None if perturb is None else tuple(perturb),
            head=head,
            votes=votes,
        ),
        target=target,
        batch_size=batch_size,
        transfer=transfer,
        transfer_rms=transfer_rms,
        noise_draws=noise_draws,
        options=options or SearchOptions(),
        norms=_norms(norms),
        policy=policy,
        baseline=baseline,
        report_assets=report_assets,
        no_examples=no_examples,
        verbose_provenance=verbose_provenance,
        files=FileOptions(
            trust_model=trust_model,
            expect_sha256=expect_sha256,
            max_params=max_params,
            preflight=preflight,
        ),
        max_data_bytes=max_data_bytes,
        jobs=jobs,
        executor=executor,
        ray_address=ray_address,
        gpus_per_worker=gpus_per_worker,
        resume=resume,
    )
    return audit_config(config, on_progress or silent)


def _forms(given: Any) -> tuple[Any, ...] | Mapping[str, Any]:
    """Deployed forms by name, or one or several without."""
    if given is None or isinstance(given, Mapping):
        return given or {}
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def _norms(given: Sequence[SearchedNorm] | None) -> tuple[SearchedNorm, ...] | None:
    """One norm or several, checked by the configuration."""
    if isinstance(given, str):
        return (cast(SearchedNorm, given),)
    return None if given is None else tuple(given)


def audit_config(config: AuditConfig, on_progress: OnProgress) -> AuditReport:
    """Load what the configuration names, audit it, judge the report and write it where it is wanted.

    Raises:
        ConfigError: a part of an audit is asked for, of which there is no report.
        Interrupted: Ctrl-C after the first samples; with the report of what was done, which is written too.
    """
    if config.shard is not None:
        part = "/".join(map(str, config.shard))
        raise ConfigError(
            f"{option('shard')}: expected an audit in one piece, got part {part}: audit_part does it, and "
            "merge makes the report"
        )
    gate = _Gate.of(config.policy, config.baseline)
    with _kept(config) as (folder, store):
        plan = make_plan(config, on_progress)
        begun = begin(plan, store, kept=folder is not None, resume=config.resume, settings=config.settings)

        def written(report: AuditReport) -> AuditReport:
            judged = gate.judge(replace(report, examples=not config.no_examples))
            judged = judged if config.verbose_provenance else without_places(judged)
            if folder is not None:
                _write(judged, folder, config)
            return judged

        if folder is not None and store.finished:
            report = read_report(folder)
            if report.complete:
                return written(report)
        try:
            report = written(run(Run(plan=plan, begun=begun, store=store), config, on_progress))
        except Interrupted as stop:
            raise Interrupted(written(stop.done)) from stop
        if report.complete:
            store.finish(begun if config.verbose_provenance else plan_without_places(begun))
        return report


def _write(report: AuditReport, folder: Path, config: AuditConfig) -> None:
    try:
        write_report(report, folder, assets=config.report_assets)
    except OSError as error:
        raise Incomplete(f"{folder}: expected room for the report: {one_line(error)}; {KEPT}") from error


@contextmanager
def _kept(config: AuditConfig) -> Iterator[tuple[Path | None, ShardStore]]:
    """The report folder, and where the work is kept: there, or for a while elsewhere."""
    if config.out is not None:
        folder = prepare_folder(config.out, force=config.force, resume=config.resume)
        yield folder, ShardStore(folder)
        return
    with tempfile.TemporaryDirectory(prefix="robustcheck-") as scratch:
        yield None, ShardStore(Path(scratch))


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
