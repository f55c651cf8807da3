"""Tasks done in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from robustcheck.distribute._tasks import Work


class Here:
    """This process.

    Args:
        work: what is done with the argument of a task.
        on_news: told of a task while it is done.
    """

    capacity, tries = 1, 1

    def __init__(self, work: Work, on_news: Callable[[int, int, int], None]) -> None:
        self._work, self._on_news = work, on_news

    def submit(self, key: int, argument: Any) -> Future[Any]:
        """Do the task at once; what it raises is raised here."""
        future: Future[Any] = Future()
        future.set_result(self._work(argument, lambda done, total: self._on_news(key, done, total)))
        return future

    def news(self) -> Iterator[tuple[int, int, int]]:
        """Told at once."""
        return iter(())

    def close(self) -> None:
        """Nothing to end."""
