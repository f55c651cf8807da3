"""Audit a model, train it with pools, audit it again, and compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from robustcheck.auditing._audit import audit_config
from robustcheck.auditing._load import load_data, load_models, wrap_subject
from robustcheck.compare import compare
from robustcheck.config import RUN_FILES, HardenConfig
from robustcheck.hardening import Hardened, compile_for, find_cuts, harden
from robustcheck.progress import OnProgress
from robustcheck.report import comparison_page
from robustcheck.results import AuditReport, Comparison
from robustcheck.samples import as_samples


@dataclass(frozen=True, kw_only=True, eq=False)
class Hardening:
    """What training with pools came to.

    Attributes:
        trained: the run.
        model: file of the hardened model.
        before, after: the audits.
        comparison: of the two.
    """

    trained: Hardened
    model: Path
    before: AuditReport
    after: AuditReport
    comparison: Comparison


def harden_and_audit(config: HardenConfig, on_progress: OnProgress) -> Hardening:
    """Audit, train, audit, compare; ``out`` gets the model, both reports and ``compare.html``.

    A run that was stopped goes on when it is started again with the same settings.

    Raises:
        ConfigError: layers that are not there, or results of another run in ``out``.
        InputRefused: a model that cannot be cut, or data that do not fit it.
    """
    config.require_free()
    # what is wrong with model, data or layers is told before any work
    train = _prepare(config, on_progress)
    before = _audit(config, config.audit.model, "before", on_progress)
    trained = train()
    after = _audit(config, str(config.model), "after", on_progress)
    found = compare(before.evidence, after.evidence)
    page = comparison_page(found, before.evidence, after.evidence)
    (config.out / "compare.html").write_text(page, "utf-8")
    return Hardening(trained=trained, model=config.model, before=before, after=after, comparison=found)


def _audit(config: HardenConfig, model: Any, name: str, on_progress: OnProgress) -> AuditReport:
    # what an interrupted run left is its own, and so is the file that it wrote
    files = config.audit.files
    if name == "after":
        files = replace(files, expect_sha256=None, preflight="never")
    audit = replace(config.audit, model=model, out=config.out / name, force=True, command=None, files=files)
    return audit_config(audit, on_progress)


def _prepare(config: HardenConfig, on_progress: OnProgress) -> Callable[[], Hardened]:
    """Load and check; what is returned trains, and writes the model."""
    source = replace(
        config.audit, data=config.data, x_key=config.x_key, y_key=config.y_key, limit=None, labels="data",
        references=(), transfer_rms=(),
    )  # fmt: skip
    loaded = load_models(source, on_progress)[0]
    data = load_data(source, loaded.model)
    classifier = wrap_subject(source, loaded, data)
    box = classifier.lower, classifier.upper
    layers = config.layers[0] if config.layers == ("all",) else list(config.layers)
    cuts = [cut.name for cut in find_cuts(loaded.model, layers, box)]
    samples = as_samples(classifier, data.x, data.y, data_range=source.data_range)
    whole = samples.take(samples.finite)
    compile_for(loaded.model, classifier, config.rate)

    def train() -> Hardened:
        on_progress("train", 0, config.epochs)
        progress = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, _: on_progress("train", epoch + 1, config.epochs)
        )
        done = harden(
            loaded.model,
            whole.rows.reshape(len(whole), *classifier.input_shape),
            whole.label,
            layers=cuts,
            pool=config.pool,
            box=box,
            head=source.model_options.head,
            epochs=config.epochs,
            batch_size=config.batch_size,
            checkpoint=config.run,
            callbacks=[progress],
        )
        # without the optimiser's state
        plain = keras.Model(loaded.model.inputs, loaded.model.outputs, name=loaded.model.name)
        plain.save(config.model)
        for name in RUN_FILES:  # the run is over
            (config.run / name).unlink(missing_ok=True)
        config.run.rmdir()
        return done

    return train
