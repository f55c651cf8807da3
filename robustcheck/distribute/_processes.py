"""Tasks in processes of this machine, which may die and are replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from robustcheck.distribute._tasks import TRIES, Setup, Work
from robustcheck.errors import Incomplete

# where there is no such signal, to be asked to end is to be killed
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# a task tells of itself no more often, in seconds
_TELLING = 0.2
# seconds that the end of a process is waited for
_ENDING = 10.0


class Processes:
    """Spawned processes, never forked: TensorFlow hangs in a fork.

    Each is an executor of one worker, so that a worker that dies takes no task with it but its own.

    Args:
        setup: makes a worker ready for tasks.
        count: of processes.
        first: called in each process before all else, with its number and the count; light to import.
    """

    tries = TRIES

    def __init__(self, setup: Setup, count: int, first: Callable[[int, int], None]) -> None:
        self.capacity = count
        # in a file of our own, not among what a process is started with: that goes through a pipe that has no
        # reader yet, and whoever starts a process that is killed then would wait for ever
        self._scratch = tempfile.TemporaryDirectory(prefix="robustcheck-")
        self._setup, self._first = Path(self._scratch.name) / "setup", first
        self._setup.write_bytes(ForkingPickler.dumps(setup))
        self._workers: list[_Worker | None] = [None] * count
        self._busy: dict[int, Future[Any]] = {}

    def submit(self, key: int, argument: Any) -> Future[Any]:
        """Begin a task in a process that has none; one that died is replaced first."""
        number = next(at for at in range(self.capacity) if at not in self._busy or self._busy[at].done())
        last, worker = self._busy.get(number), self._workers[number]
        if worker is None or (last is not None and isinstance(last.exception(), BrokenExecutor)):
            if worker is not None:
                worker.require_begun()
                worker.end()
            worker = _Worker.start(self._setup, self._first, (number, self.capacity))
            self._workers[number] = worker
        self._busy[number] = worker.pool.submit(_do, key, argument)
        return self._busy[number]

    def news(self) -> Iterator[tuple[int, int, int]]:
        """What came over the pipes."""
        for worker in self._workers:
            if worker is not None:
                yield from worker.news()

    def close(self) -> None:
        """Kill what is still at work."""
        for worker in self._workers:
            if worker is not None:
                worker.end()
        self._scratch.cleanup()


class _Spawning(SpawnContext):
    """Keeps the process that an executor starts, to know how it ended."""

    started: Any = None

    def Process(self, *arguments: Any, **more: Any) -> Any:  # type: ignore[override]  # noqa: N802  # its name
        """What the executor calls."""
        self.started = super().Process(*arguments, **more)
        return self.started

    @property
    def killed(self) -> bool:
        """Whether it was ended by a signal; it is over, but that may not have been seen yet."""
        if self.started is None:
            return False
        self.started.join(_ENDING)
        return (self.started.exitcode or 0) < 0


@dataclass
class _Worker:
    """A process, and the pipe that it tells of its work through; the first thing it tells is its number."""

    pool: ProcessPoolExecutor
    pipe: Connection
    context: _Spawning
    process: int | None = None

    @staticmethod
    def start(setup: Path, first: Callable[[int, int], None], place: tuple[int, int]) -> _Worker:
        context = _Spawning()
        reader, writer = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin, initargs=(setup, first, place, writer)
        )
        return _Worker(pool, reader, context)

    def news(self) -> Iterator[tuple[int, int, int]]:
        with contextlib.suppress(EOFError, OSError):
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, int):
                    self.process = message
                else:
                    yield message

    def require_begun(self) -> None:
        """Of a process that died: refuse one that ended by itself before its work, as every other will."""
        for _ in self.news():
            pass
        if self.process is None and not self.context.killed:
            raise Incomplete(
                "a process ended before it began: what a script does must stand under "
                'if __name__ == "__main__": where it asks for several processes'
            )

    def end(self) -> None:
        for _ in self.news():
            pass
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, _KILL)
        self.pool.shutdown(wait=self.process is not None, cancel_futures=True)
        self.pipe.close()


@dataclass
class _Here:
    """In a worker: what it was started for, and what it does once it is set up."""

    setup: Path
    pipe: Connection
    work: Work | None = None


_here: _Here


def _begin(setup: Path, first: Callable[[int, int], None], place: tuple[int, int], pipe: Connection) -> None:
    """In a worker, first: it goes when its parent goes, and leaves Ctrl-C to it."""
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(os.getpid())
    _here = _Here(setup, pipe)
    first(*place)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(key: int, argument: Any) -> Any:
    """In a worker: a task. Set up here and not when it begins, so that what is refused is told as it is."""
    if _here.work is None:
        # only now, since its modules may be heavy
        setup: Setup = ForkingPickler.loads(_here.setup.read_bytes())
        _here.work = setup()
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _TELLING:
            last = now
            _here.pipe.send((key, done, total))

    return _here.work(argument, tell)
