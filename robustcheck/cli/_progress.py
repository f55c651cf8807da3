"""Progress on stderr: bars on a terminal, else a line every tenth."""

from __future__ import annotations

import os
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from robustcheck.text import printable

# a stage that will take longer than this is announced, once it has run for so long
_LONG_SECONDS, _SURE_SECONDS = 30.0, 10.0


class ProgressDisplay:
    """Called with (stage, done, total) as an audit goes on."""

    def __init__(self, log: Console) -> None:
        self._log = log
        self._bars = log.is_terminal and not log.quiet and not os.environ.get("CI")
        # of each stage when it was first told of, and what was done then
        self._started: dict[str, tuple[float, int]] = {}
        self._tenths: dict[str, int] = {}
        self._announced: set[str] = set()
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.fields[stage]}", markup=False, table_column=Column(ratio=1, overflow="fold")),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=log,
            disable=not self._bars,
        )

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` of a stage are done."""
        stage = printable(stage)
        now = time.monotonic()
        started, before = self._started.setdefault(stage, (now, done))
        spent = now - started
        if self._bars:
            if stage not in self._tasks:
                self._tasks[stage] = self._progress.add_task("", stage=stage, total=total)
            self._progress.update(self._tasks[stage], completed=done)
        elif total:
            self._line(stage, done, total)
        if before < done < total and spent > _SURE_SECONDS and stage not in self._announced:
            self._announced.add(stage)
            left = spent * (total - done) / (done - before)
            if left > _LONG_SECONDS:
                self._log.print(Text(f"{stage}: about {_duration(left)} left for {total - done} of {total}"))

    def _line(self, stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total
        if tenth > self._tenths.get(stage, 0):
            self._tenths[stage] = tenth
            self._log.print(Text(f"{stage}: {10 * tenth} % ({done} of {total})"))


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
