"""The folder that an audit's work is kept in: ``plan.json``, and a file for each shard that is done.

A file appears whole or not at all, and its name has the digest of its content: what was cut short or altered
is not taken for done.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from robustcheck.errors import ConfigError, Incomplete, ReportRefused, one_line
from robustcheck.results import PLAN_SCHEMA, PlanDocument, SampleExamples, ShardDone, plain
from robustcheck.stored import open_arrays, read_json
from robustcheck.text import option

PLAN, SHARDS = "plan.json", "shards"
# what is said of every audit that ends early in a folder
KEPT = f"what was done is kept, and {option('resume')} goes on"
_NAME = re.compile(r"(\d{5,})-([0-9a-f]{32})\.npz", re.ASCII)


class ShardStore:
    """A folder with a plan and its shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[int, Path] = {}

    def begin(self, plan: PlanDocument) -> None:
        """Forget what was there, and keep the plan."""
        self._clear()
        (self.folder / SHARDS).mkdir(parents=True)
        self._keep(plan)

    def resume(self, plan: PlanDocument) -> PlanDocument:
        """Go on with what is there, if it is the work of the same plan; what is not whole is removed.

        Returns:
            The plan as it was begun.

        Raises:
            ConfigError: it is the work of another plan.
        """
        try:
            begun = read_plan(self.folder)
        except ReportRefused as error:
            raise ReportRefused(f"{error}; {option('force')} begins anew") from error
        apart = begun.differences(plan)
        if apart:
            raise ConfigError(
                f"{self.folder}: expected the audit that was begun there, got another: {'; '.join(apart[:4])}"
                f"{'; and more' if len(apart) > 4 else ''}; {option('force')} begins anew"
            )
        self._files = {}
        for file in () if self.finished else sorted((self.folder / SHARDS).iterdir()):
            number = whole_shard(file)
            if number is None or number >= len(begun.shards):
                file.unlink()
            else:
                self._files[number] = file
        return begun

    @property
    def finished(self) -> bool:
        """Whether the report is there: only then are its shards gone."""
        return not (self.folder / SHARDS).exists()

    @property
    def done(self) -> set[int]:
        """Numbers of the shards that are there."""
        return set(self._files)

    def write(self, plan: PlanDocument, number: int, shard: ShardDone) -> None:
        """Keep a shard.

        Raises:
            Incomplete: there is no room.
        """
        buffer = io.BytesIO()
        about = {"plan": plan.sha256, "seconds": shard.seconds, "batch_size": shard.batch_size}
        np.savez(buffer, **shard.examples.arrays() | {key: np.array(value) for key, value in about.items()})
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()[:32]
        (self.folder / SHARDS).mkdir(exist_ok=True)
        file = self.folder / SHARDS / f"{number:05d}-{digest}.npz"
        write_whole(file, content)
        self._files[number] = file

    def read(self, plan: PlanDocument, number: int) -> ShardDone:
        """A shard that is there.

        Raises:
            ReportRefused: it is not of this plan.
        """
        file = self._files[number]
        examples = SampleExamples.load(file)
        with open_arrays(file, "a shard that robustcheck wrote", ReportRefused) as stored:
            key, seconds, batch_size = (stored[name] for name in ("plan", "seconds", "batch_size"))
        facts = plan.shards[number]
        same = str(key) == plan.sha256 and examples.norm == facts.norm
        if not same or len(examples) != facts.stop - facts.start:
            raise ReportRefused(f"{file}: expected a shard of {self.folder / PLAN}, got one of another plan")
        return ShardDone(examples=examples, seconds=float(seconds), batch_size=int(batch_size))

    def finish(self, plan: PlanDocument) -> None:
        """Keep the plan as it is to be told, and remove the shards, which are in the report by now."""
        self._keep(plan)
        self._clear()

    def _keep(self, plan: PlanDocument) -> None:
        text = json.dumps(plain(plan), indent=2, allow_nan=False) + "\n"
        write_whole(self.folder / PLAN, text.encode("ascii"))

    def _clear(self) -> None:
        shutil.rmtree(self.folder / SHARDS, ignore_errors=True)
        self._files = {}


def read_plan(folder: Path) -> PlanDocument:
    """The plan of a folder.

    Raises:
        ReportRefused: there is none that robustcheck wrote.
    """
    plan: PlanDocument = read_json(
        folder / PLAN,
        "a plan",
        schema=PLAN_SCHEMA,
        validate=lambda _, text: _adapter().validate_json(text, strict=True),
    )
    return plan


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(PlanDocument)


def whole_shard(file: Path) -> int | None:
    """The number of the shard in a file; None where the file is not as it was written."""
    name = _NAME.fullmatch(file.name)
    if name is None or not file.is_file():
        return None
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return int(name[1]) if digest.startswith(name[2]) else None


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a loss of power.

    Raises:
        Incomplete: it cannot be written, as on a disk that is full.
    """
    scratch = file.with_name(f".writing-{file.name}")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise Incomplete(
            f"{file.parent}: expected room for {len(content)} bytes: {one_line(error)}; {KEPT}"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file outlast a loss of power too, where folders can be told so."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
