"""A part of an audit, done apart: ``--shard K/N``."""

from __future__ import annotations

from dataclasses import dataclass

from robustcheck.auditing._begin import begin
from robustcheck.auditing._plan import make_plan
from robustcheck.auditing._run import Run, run_shards, told_of
from robustcheck.config import AuditConfig
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.progress import OnProgress
from robustcheck.report import prepare_folder
from robustcheck.shards import ShardStore
from robustcheck.text import option
from robustcheck.transfer import require_comparable


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an audit that was done: ``shards`` of ``total`` are in its folder."""

    shards: int
    total: int


def audit_part(config: AuditConfig, on_progress: OnProgress) -> Part:
    """Do the shards that ``config.shard`` names, and keep them in ``config.out``.

    Raises:
        Incomplete: a shard took its workers with it.
        ConfigError: no part or no folder is named.
    """
    if config.shard is None or config.out is None:
        raise ConfigError(f"{option('shard')}: expected K/N, and a folder, {option('out')}")
    folder = prepare_folder(config.out, force=config.force, resume=config.resume)
    plan, store = make_plan(config, on_progress), ShardStore(folder)
    require_comparable(plan.models)
    begun = begin(plan, store, resume=config.resume, settings=config.settings)
    part, parts = config.shard
    audit = Run(plan=plan, begun=begun, store=store)
    lost = run_shards(audit, config, on_progress, range(part - 1, len(begun.shards), parts))
    if lost:
        raise Incomplete(f"{told_of(audit, lost)}; {option('resume')} tries again")
    return Part(shards=len(store.done), total=len(begun.shards))
