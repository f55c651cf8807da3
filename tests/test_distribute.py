from __future__ import annotations

import multiprocessing.resource_tracker
import multiprocessing.spawn
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from robustcheck.distribute import (
    TRIES,
    Futures,
    Here,
    Lost,
    Processes,
    RayActors,
    Task,
    Tell,
    Work,
    work_off,
)
from robustcheck.errors import ConfigError, DataRefused, Incomplete

News = list[tuple[int, int, int]]


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; what else it is given it does as it is named."""

    scratch: Path

    def __call__(self) -> Work:
        (self.scratch / f"setup-{os.getpid()}").touch()
        return self.double

    def double(self, argument: Any, tell: Tell) -> Any:
        if argument == "refuse":
            raise DataRefused("expected a number, got a word")
        if argument == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if argument == "die once" and not (self.scratch / "died").exists():
            (self.scratch / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if argument == "tell":
            tell(1, 2)
        if argument == "sleep":
            time.sleep(60)
        return os.getpid() if isinstance(argument, str) else 2 * argument


def nothing_first(number: int, count: int) -> None:
    """In place of what imports TensorFlow."""
    assert 0 <= number < count


def tasks(*arguments: Any) -> list[Task]:
    def handing(argument: Any) -> Callable[[], Any]:
        return lambda: argument

    return [Task(key, handing(argument)) for key, argument in enumerate(arguments)]


def test_tasks_are_done_here(tmp_path: Path) -> None:
    news: News = []

    def tell(*what: int) -> None:
        news.append((what[0], what[1], what[2]))

    here = Here(Doubling(tmp_path)(), tell)
    assert dict(work_off(tasks(1, 2, "tell"), here, tell)) == {0: 2, 1: 4, 2: os.getpid()}
    assert news == [(2, 1, 2)]
    with pytest.raises(DataRefused):
        list(work_off(tasks("refuse"), here, tell))


def test_processes_do_tasks_and_are_replaced(tmp_path: Path) -> None:
    """One dies once and its task is done again; one dies each time and is given up; no other is lost."""
    news: News = []
    workers = Processes(Doubling(tmp_path), 2, nothing_first)
    given = tasks(*range(6), "die", "die once", "tell", *range(6))
    done = dict(work_off(given, workers, lambda *what: news.append(what)))
    assert done[6] == Lost(f"its worker died, {TRIES} times")
    assert isinstance(done[7], int)
    assert [done[key] for key in (*range(6), *range(9, 15))] == 2 * [0, 2, 4, 6, 8, 10]
    assert news == [(8, 1, 2)]
    assert len(list(tmp_path.glob("setup-*"))) > TRIES
    assert done[8] != os.getpid()


def test_what_a_task_raises_in_a_process_is_raised_here_and_ends_all(tmp_path: Path) -> None:
    workers = Processes(Doubling(tmp_path), 2, nothing_first)
    begun = time.monotonic()
    with pytest.raises(DataRefused, match="expected a number"):
        list(work_off(tasks("sleep", "refuse"), workers, lambda *_: None))
    assert time.monotonic() - begun < 50


def test_a_loop_that_is_left_kills_what_is_at_work(tmp_path: Path) -> None:
    workers = Processes(Doubling(tmp_path), 2, nothing_first)
    loop = work_off(tasks(3, "sleep"), workers, lambda *_: None)
    assert next(loop) == (0, 6)
    begun = time.monotonic()
    loop.close()
    assert time.monotonic() - begun < 50
    running = [int(path.name.partition("-")[2]) for path in tmp_path.glob("setup-*")]
    for process in running:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_process_that_is_killed_while_it_starts_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process is started with goes through a pipe that nobody reads yet: it must not fill it."""
    multiprocessing.resource_tracker.ensure_running()  # not with what is put in place of Python
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode("/bin/false"))
    ended: list[BaseException] = []

    def work() -> None:
        workers = Processes(partial(Doubling, tmp_path / ("x" * 10**6)), 1, nothing_first)
        try:
            list(work_off(tasks(1), workers, lambda *_: None))
        except Incomplete as error:
            ended.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert "a process ended before it began" in str(*ended)


def test_a_process_that_is_killed_while_it_starts_is_replaced(tmp_path: Path) -> None:
    """It is no script that has no guard, which ends by itself."""
    workers = Processes(Doubling(tmp_path), 1, _DiesOnArrival(tmp_path))
    assert dict(work_off(tasks(1, 2), workers, lambda *_: None)) == {0: 2, 1: 4}
    assert (tmp_path / "died").exists()


@dataclass
class _DiesOnArrival:
    """In place of what is called first: it kills the first process before that comes to its work."""

    scratch: Path

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not (self.scratch / "died").exists():
            (self.scratch / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, number: int, count: int) -> None:
        assert 0 <= number < count


def test_arguments_are_made_when_their_turn_comes(tmp_path: Path) -> None:
    made: list[int] = []

    def making(key: int) -> Callable[[], int]:
        def make() -> int:
            made.append(key)
            return key

        return make

    loop = work_off([Task(key, making(key)) for key in range(40)], one_thread(tmp_path), lambda *_: None)
    first = next(loop)
    assert len(made) <= 3
    assert dict([first, *loop]) == {key: 2 * key for key in range(40)}


def one_thread(scratch: Path) -> Futures:
    return Futures(Doubling(scratch), ThreadPoolExecutor(1))


class Unreliable(Executor):
    """Does what it is given at once; what it is told to lose it loses, once or each time."""

    def __init__(self, loses: set[int], *, times: int) -> None:
        self.left = dict.fromkeys(loses, times)

    def submit(self, function: Any, *arguments: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        number = arguments[-1]
        if self.left.get(number, 0):
            self.left[number] -= 1
            future.set_exception(BrokenExecutor("gone"))
        else:
            future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("times", [1, TRIES - 1, TRIES])
def test_any_executor_does_tasks_again_that_it_lost(tmp_path: Path, times: int) -> None:
    workers = Futures(Doubling(tmp_path), Unreliable({3}, times=times))
    done = dict(work_off(tasks(*range(8)), workers, lambda *_: None))
    expected: dict[int, Any] = {key: 2 * key for key in range(8)}
    if times == TRIES:
        expected[3] = Lost(f"its worker died, {TRIES} times")
    assert done == expected


def test_a_task_that_is_cancelled_ends_the_loop(tmp_path: Path) -> None:
    class Cancelling(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            return future

    with pytest.raises(CancelledError):
        list(work_off(tasks(1), Futures(Doubling(tmp_path), Cancelling()), lambda *_: None))


def test_an_executor_that_is_broken_for_good_loses_what_is_left(tmp_path: Path) -> None:
    class Broken(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            raise BrokenExecutor("no more")

    done = dict(work_off(tasks(1, 2), Futures(Doubling(tmp_path), Broken()), lambda *_: None))
    assert [type(result) for result in done.values()] == [Lost, Lost]


def test_loky(tmp_path: Path) -> None:
    """An executor that is not the standard library's, in processes."""
    loky = pytest.importorskip("loky", reason="loky is not installed")
    with loky.get_reusable_executor(max_workers=1, timeout=30) as executor:
        done = dict(work_off(tasks(4, "pid"), Futures(Doubling(tmp_path), executor), lambda *_: None))
    assert done[0] == 8
    assert done[1] != os.getpid()


@pytest.fixture
def quiet_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "from robustcheck.distribute import Processes, Task, work_off\n"
        "from test_distribute import Doubling, nothing_first\n"
        "from pathlib import Path\n"
        f"workers = Processes(Doubling(Path({str(tmp_path)!r})), 1, nothing_first)\n"
        "print(list(work_off([Task(0, lambda: 1)], workers, print)))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert 'must stand under if __name__ == "__main__":' in ended.stderr.splitlines()[-1]


@pytest.mark.usefixtures("quiet_ray")
def test_a_ray_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ray: expected a cluster at 127\.0\.0\.1:1: "):
        RayActors(Doubling(tmp_path), 1, nothing_first, address="127.0.0.1:1")


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_ray")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ray(tmp_path: Path) -> None:
    """A Ray of this machine: a task is done again that lost its actor, and given up when it always does."""
    import ray

    workers = RayActors(Doubling(tmp_path), 2, nothing_first)
    given = tasks(*range(4), "die", "die once", *range(4), "pid")
    done = dict(work_off(given, workers, lambda *_: None))
    assert done[4] == Lost(f"its worker died, {TRIES} times")
    assert [done[key] for key in (*range(4), *range(6, 10))] == 2 * [0, 2, 4, 6]
    assert os.getpid() not in (done[5], done[10])
    assert not ray.is_initialized()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    # one that is there already stays
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}},
    )
    try:
        with pytest.raises(Incomplete, match="ray: needs 3 CPUs, the cluster has 2"):
            RayActors(Doubling(tmp_path), 3, nothing_first)
        workers = RayActors(Doubling(tmp_path), None, nothing_first)
        assert workers.capacity == 2
        with pytest.raises(DataRefused, match="expected a number"):
            list(work_off(tasks("refuse"), workers, lambda *_: None))
        assert ray.is_initialized()
    finally:
        ray.shutdown()
