"""The loop over tasks, and what it needs of the workers that do them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

# how often a task is begun before it is given up
TRIES = 3
# seconds after which news of the tasks under way are looked for
_TICK = 0.2

# told by a task about itself: (units done, units in all)
Tell: TypeAlias = Callable[[int, int], None]
# what a worker does with the argument of a task
Work: TypeAlias = Callable[[Any, Tell], Any]


# called once in each worker before its first task; it and what tasks take and give can be pickled
Setup: TypeAlias = Callable[[], Work]


@dataclass(frozen=True)
class Task:
    """One piece of work, by its number; its argument is made when its turn comes."""

    key: int
    argument: Callable[[], Any]


@dataclass(frozen=True)
class Lost:
    """In place of a result: the workers that the task was given to died, each time."""

    reason: str


class Workers(Protocol):
    """Where tasks are done."""

    @property
    def capacity(self) -> int:
        """Tasks in flight at most."""

    @property
    def tries(self) -> int:
        """How often a task is begun before it is given up."""

    def submit(self, key: int, argument: Any) -> Future[Any]:
        """Begin a task; a worker that dies over it shows as ``BrokenExecutor``."""

    def news(self) -> Iterator[tuple[int, int, int]]:
        """What tasks said of themselves since the last call: (key, units done, units in all)."""

    def close(self) -> None:
        """End all workers, whatever they are doing."""


def work_off(
    tasks: Sequence[Task], workers: Workers, on_news: Callable[[int, int, int], None]
) -> Iterator[tuple[int, Any]]:
    """Do all tasks, in any order; gives the key of each with its result, or with :class:`Lost`.

    What a task raises ends the loop. A task whose worker died comes again when the others had their turn.
    """
    waiting, begun = deque(tasks), Counter[int]()
    running: dict[Future[Any], Task] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers.capacity:
                task = waiting.popleft()
                begun[task.key] += 1
                running[workers.submit(task.key, task.argument())] = task
            done, _ = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
            for news in workers.news():
                on_news(*news)
            # of one that was cancelled from outside nobody is told
            for future in [
                *done,
                *(future for future in running if future.cancelled() and future not in done),
            ]:
                task = running.pop(future)
                failure = future.exception()
                if isinstance(failure, BrokenExecutor) and begun[task.key] < workers.tries:
                    waiting.append(task)
                elif isinstance(failure, BrokenExecutor):
                    yield task.key, Lost(f"its worker died, {TRIES} times")
                else:
                    yield task.key, future.result()
    finally:
        workers.close()
