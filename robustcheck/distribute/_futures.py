"""Tasks on an executor of the user's: threads, loky, Dask, MPI."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from robustcheck.distribute._tasks import TRIES, Setup, Work

# tasks in flight where an executor does not say how many workers it has
_UNKNOWN = 64
# in a worker: what it was set up for, and what it does
_ready: dict[str, Work] = {}
_setting_up = threading.Lock()


class Futures:
    """Any ``concurrent.futures.Executor``; it is not shut down.

    The setup travels with each task, and is used by the first in each worker.
    """

    tries = TRIES

    def __init__(self, setup: Setup, executor: Executor) -> None:
        self._executor = executor
        self._setup, self._name = setup, uuid.uuid4().hex
        self.capacity = 2 * int(getattr(executor, "_max_workers", None) or _UNKNOWN // 2)
        self._begun: set[Future[Any]] = set()

    def submit(self, key: int, argument: Any) -> Future[Any]:  # noqa: ARG002  # tasks do not tell of themselves
        """Hand a task over."""
        try:
            future = self._executor.submit(_do, self._name, self._setup, argument)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self._begun.add(future)
        future.add_done_callback(self._begun.discard)
        return future

    def news(self) -> Iterator[tuple[int, int, int]]:
        """Tasks elsewhere tell nothing before they are done."""
        return iter(())

    def close(self) -> None:
        """Cancel what has not begun."""
        for future in list(self._begun):
            future.cancel()


def _do(name: str, setup: Setup, argument: Any) -> Any:
    """In a worker: a task; what an earlier audit had set up there is forgotten."""
    with _setting_up:
        if name not in _ready:
            _ready.clear()
            _ready[name] = setup()
        work = _ready[name]
    return work(argument, _nobody)


def _nobody(done: int, total: int) -> None:
    """Nobody is told."""
