"""Tasks on Ray: actors on one machine or many, which Ray restarts, and whose tasks it repeats."""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from typing import Any

from robustcheck.distribute._tasks import TRIES, Setup, Work
from robustcheck.errors import ConfigError, Incomplete, one_line

# seconds in which an address must answer
_ANSWER = 10.0
# seconds that a cluster may take to start workers, such as by adding machines
_DEADLINE = 300.0


class RayActors:
    """Actors of Ray, one task in flight for each.

    Without an address a Ray of this machine alone is started, and stopped at the end.

    Args:
        setup: makes an actor ready for tasks; it goes through the object store once.
        count: of actors; None = as many as there is room for.
        first: called in each actor before all else, with its number and the count on its machine.
        address: of a cluster, as ``ray.init`` takes it.
        gpus: of each actor, or a share of one.
        deadline: seconds to wait for the actors to start.

    Raises:
        ConfigError: Ray is not installed, or cannot be reached.
        Incomplete: there is no room for an actor.
    """

    # a task that was lost comes back when Ray has repeated it so often
    tries = 1

    def __init__(
        self,
        setup: Setup,
        count: int | None,
        first: Callable[[int, int], None],
        *,
        address: str | None = None,
        gpus: float = 0.0,
        deadline: float = _DEADLINE,
    ) -> None:
        self._ray, self._actors = _imported(), list[Any]()
        self._owned = not self._ray.is_initialized()
        if self._owned:
            _connect(self._ray, address)
        try:
            room = self._room(gpus)
            wanted = max(count or room, 1)
            # a cluster may grow to hold more, this machine does not
            if address is None and wanted > room:
                raise Incomplete(self._no_room(wanted, gpus))
            self._actors = self._started(setup, wanted, first, gpus, deadline)
        except BaseException:
            self.close()
            raise
        self.capacity = len(self._actors)
        self._free = list(self._actors)

    def _room(self, gpus: float) -> int:
        """Actors that there is room for."""
        there = self._ray.cluster_resources()
        return int(min(there.get("CPU", 0), there.get("GPU", 0) / gpus if gpus else math.inf))

    def _started(
        self, setup: Setup, wanted: int, first: Callable[[int, int], None], gpus: float, deadline: float
    ) -> list[Any]:
        """Those of the actors wanted that came up in time."""
        ray = self._ray
        actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=-1, max_task_retries=TRIES - 1)(_Actor)
        self._shared = ray.put(setup)  # lost when nobody holds it, and actors that restart need it
        self._actors = [actor.remote([self._shared], first) for _ in range(wanted)]
        ready = {made.here.remote(): made for made in self._actors}
        begun, late = ray.wait(list(ready), num_returns=wanted, timeout=deadline)
        if not begun:
            raise Incomplete(f"{self._no_room(wanted, gpus)}, for {deadline:.0f} seconds")
        for ref in late:
            ray.kill(ready[ref])
        try:
            ray.get(begun)
        except ray.exceptions.RayError as error:
            raise Incomplete(f"ray: a worker could not be started: {one_line(error)}") from error
        return [ready[ref] for ref in begun]

    def _no_room(self, wanted: int, gpus: float) -> str:
        there = self._ray.cluster_resources()
        needs, has = f"{wanted} CPUs", f"{there.get('CPU', 0):g}"
        if gpus:
            needs, has = f"{needs} and {wanted * gpus:g} GPUs", f"{has} and {there.get('GPU', 0):g}"
        return f"ray: needs {needs}, the cluster has {has}"

    def submit(self, key: int, argument: Any) -> Future[Any]:  # noqa: ARG002  # actors do not tell of tasks
        """Hand a task to an actor that has none."""
        actor, future = self._free.pop(), Future[Any]()
        future.add_done_callback(lambda _: self._free.append(actor))

        def done(inner: Future[Any]) -> None:
            failure = inner.exception()
            if failure is None:
                future.set_result(inner.result())
            elif isinstance(failure, self._ray.exceptions.RayActorError):
                future.set_exception(BrokenExecutor(str(failure)))
            else:
                future.set_exception(getattr(failure, "cause", None) or failure)

        actor.do.remote(argument).future().add_done_callback(done)
        return future

    def news(self) -> Iterator[tuple[int, int, int]]:
        """Actors tell nothing of a task before it is done."""
        return iter(())

    def close(self) -> None:
        """End the actors, and a Ray that was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        if self._owned:
            self._ray.shutdown()


class _Actor:
    """In a worker."""

    def __init__(self, shared: list[Any], first: Callable[[int, int], None]) -> None:
        # an actor has one core: its share is that of one of as many as there are cores
        first(0, os.cpu_count() or 1)
        setup: Setup = _imported().get(shared[0])
        self._work: Work = setup()

    def here(self) -> bool:
        return True

    def do(self, argument: Any) -> Any:
        return self._work(argument, lambda *_: None)


def _imported() -> Any:
    # only if the user did not say anything, before Ray is there
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "ray: expected Ray, which is not installed: pip install robustcheck-keras[ray]"
        ) from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    how: dict[str, Any] = {"address": address, "logging_level": "error", "log_to_driver": False}
    if address is None:
        # what can be imported here can be imported there
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        how |= {"address": "local", "include_dashboard": False, "runtime_env": {"env_vars": path}}
    _require_reachable(address)
    try:
        ray.init(**how)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"ray: expected a cluster at {address}: {error}") from error


def _require_reachable(address: str | None) -> None:
    """Refuse an address that nobody answers at, on which Ray would wait for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"ray: expected a cluster at {address}: {one_line(error)}") from error
