"""Put the parts of one audit together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from robustcheck.errors import ReportRefused
from robustcheck.report import prepare_folder
from robustcheck.results import PlanDocument, plain
from robustcheck.shards._store import PLAN, SHARDS, ShardStore, read_plan, whole_shard
from robustcheck.text import option

# numbers of shards that a message names
_NAMED = 5


def gather(folders: Sequence[Path], out: Path, *, force: bool, command: str | None = None) -> PlanDocument:
    """Put the parts of one audit into a folder, from which ``resume`` makes the report.

    ``command``: what was typed, in place of that of one of the parts.

    Raises:
        ReportRefused: parts of different audits, a shard that is missing, there twice, or not whole.
        ConfigError: ``out`` must not be written to.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ReportRefused(f"{folder}: expected the folder of a part, got no folder")
    plans = [read_plan(folder) for folder in folders]
    plan = replace(plans[0], command=command)
    files: dict[int, Path] = {}
    for folder, other in zip(folders, plans, strict=True):
        _require_same(plan, other, folders[0], folder)
        for number, file in _shards_of(folder).items():
            if number in files:
                first = files[number].parent.parent
                raise ReportRefused(f"{folder}: expected each shard once, got shard {number} in {first} too")
            files[number] = file
    missing = [number for number in range(len(plan.shards)) if number not in files]
    if missing:
        named = ", ".join(map(str, missing[:_NAMED])) + (" and more" if len(missing) > _NAMED else "")
        why = _parts_of(missing, len(plan.shards), len(folders)) or "is a part missing, or was one stopped?"
        raise ReportRefused(
            f"expected all {len(plan.shards)} shards in the {len(folders)} folders, got none of {named}: "
            f"{why}"
        )
    # parts that were put together before, without coming to a report, are put together again
    folder = prepare_folder(out, force=force, resume=not (out / "report.json").exists())
    store = ShardStore(folder)
    store.begin(plan)
    for file in files.values():
        shutil.copyfile(file, folder / SHARDS / file.name)
    return plan


def _parts_of(missing: Sequence[int], total: int, given: int) -> str | None:
    """Which whole parts the missing shards are, if they are, besides those given."""
    for parts in range(given + 1, total + 1):
        # each part has the same number, one more or less: else the thousands of shards need not be looked at
        if abs(len(missing) * parts - total * (parts - given)) > given * parts:
            continue
        whole = sorted({number % parts for number in missing})
        if sum(len(range(first, total, parts)) for first in whole) == len(missing):
            return f"that is part {', '.join(f'{first + 1}/{parts}' for first in whole)}"
    return None


def _shards_of(folder: Path) -> dict[int, Path]:
    """The shards of a folder by number."""
    if not (folder / SHARDS).is_dir():
        whole = (folder / "report.json").is_file()
        got = "the report of a whole audit" if whole else "a plan without them"
        raise ReportRefused(f"{folder}: expected shards of an audit, got {got}")
    found = {}
    for file in sorted((folder / SHARDS).glob("*.npz")):
        if file.name.startswith("."):
            continue
        number = whole_shard(file)
        if number is None:
            raise ReportRefused(
                f"{file}: expected a shard as it was written, got one that was cut short or altered; "
                f"{option('resume')} makes it again where it was made"
            )
        found[number] = file
    return found


def _require_same(plan: PlanDocument, other: PlanDocument, there: Path, here: Path) -> None:
    apart = plan.differences(other)
    if not apart and json.dumps(plain(plan.facts)) != json.dumps(plain(other.facts)):
        apart = [
            "what the machines measured of the models before they began: give one plan to all, by copying "
            f"{PLAN} and {option('resume')}"
        ]
    if apart:
        raise ReportRefused(
            f"{here}: expected a part of the audit in {there}, got another: {'; '.join(apart[:4])}"
        )
