"""A plan as a document: what an audit is begun with, and what it goes on with."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

import robustcheck
from robustcheck import checks
from robustcheck.arrays import slices
from robustcheck.auditing._plan import Plan
from robustcheck.config import SearchOptions
from robustcheck.deployed import Form
from robustcheck.distortion import start_facts
from robustcheck.errors import ConfigError
from robustcheck.identity import content_of
from robustcheck.results import PlanDocument, ShardFacts, sample_ids
from robustcheck.shards import PLAN, ShardStore
from robustcheck.text import option

# shards of a search at most, so that files stay few
_MOST_SHARDS = 10_000


def begin(
    plan: Plan,
    store: ShardStore,
    *,
    kept: bool = True,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PlanDocument:
    """Begin an audit in a folder, or go on with the one that was begun there.

    ``kept``: whether another process may go on with it, and so has to know whether its models are these.

    Raises:
        ConfigError: another audit was begun there, or one that cannot be told from another.
        ModelRefused: the rows of a batch influence one another in a model.
    """
    document = _document(plan, settings, kept=kept)
    if resume:
        contents = dict(zip((facts.name for facts in document.models), document.contents, strict=True))
        for name, content in (*contents.items(), *document.deployed.items()):
            if content is None:
                raise ConfigError(
                    f"{option('resume')}: {name}: expected a model file, or a model whose content can "
                    "be told, to know that it is the same"
                )
        if (store.folder / PLAN).is_file():
            return store.resume(document)
    finite = np.flatnonzero(plan.samples.finite)
    for name in plan.attacked:
        checks.require_own_rows(plan.attacked[name], plan.samples.rows[finite])
    measured = [start_facts(model, plan.samples) for model in plan.attacked.values()]
    document = replace(document, facts=measured)
    store.begin(document)
    return document


def _document(plan: Plan, settings: Mapping[str, Any] | None, *, kept: bool) -> PlanDocument:
    """The plan without what is measured."""
    first = plan.searches[0]
    shards = [(plan.subject.name, options) for options in plan.searches]
    shards += [(name, first) for name in list(plan.attacked)[1:]]
    return PlanDocument(
        models=list(plan.facts.values()),
        contents=[_content(plan, name) if kept else None for name in plan.facts],
        data=plan.data,
        samples_sha256=_digest(plan),
        options=search_facts(first),
        norms=[options.norm for options in plan.searches],
        batch_size=plan.batch_size,
        transfer={
            "attacked": len(plan.attacked),
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(plan.transfer).items()
            },
        },
        facts=[],
        shards=[
            shard
            for name, options in shards
            for shard in _cut(name, options, len(plan.samples), plan.batch_size)
        ],
        versions=versions(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=plan.command,
        settings=None if settings is None else dict(settings),
        deployed={form.name: _form_content(plan, form) if kept else None for form in plan.forms},
    )


def _content(plan: Plan, name: str) -> str | None:
    """Digest of a model; None where that cannot be told."""
    recipe = plan.recipes.get(name)
    return plan.facts[name].sha256 if recipe is None else recipe.content()


def _form_content(plan: Plan, form: Form) -> str | None:
    """Digest of a deployed form, and how it takes samples; None where that cannot be told."""
    digest = form.sha256 or content_of(getattr(form.predictor, "model", None))
    options = plan.deployed
    return None if digest is None else f"{digest} {options.takes} {options.layout}"


def search_facts(options: SearchOptions) -> dict[str, str | int | float | None]:
    """How it was searched; the norms stand elsewhere."""
    facts = asdict(options) | {"budget": options.evaluations}
    return {name: value for name, value in facts.items() if name != "norm"}


def versions() -> dict[str, str]:
    """Of what computes the figures."""
    return {
        "robustcheck": robustcheck.__version__,
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
        "tensorflow_probability": version("tensorflow-probability"),
        "numpy": version("numpy"),
    }


def _digest(plan: Plan) -> str:
    """Digest of the samples as they are searched: inputs, rows in the source, labels, targets."""
    samples, digest = plan.samples, hashlib.sha256()
    for column in (samples.index, samples.label, plan.targets, samples.finite):
        digest.update(np.ascontiguousarray(column).tobytes())
    for block in slices(len(samples)):
        digest.update("".join(sample_ids(samples.rows[block])).encode())
    return digest.hexdigest()


def _cut(model: str, options: SearchOptions, count: int, batch_size: int) -> list[ShardFacts]:
    """The shards of one search: whole batches, which do not depend on who does them."""
    batches = -(-count // batch_size)
    size = batch_size * -(-batches // _MOST_SHARDS)
    return [
        ShardFacts(model=model, norm=options.norm, start=start, stop=min(start + size, count))
        for start in range(0, count, size)
    ]
