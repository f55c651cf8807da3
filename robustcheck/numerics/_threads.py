"""The work on many rows by several threads: NumPy lets others run while it is at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf

Projection = TypeVar("Projection", bound=Callable[..., tuple[Any, Any]])

# values of a block of rows below which handing it to a thread takes longer than it saves
_LEAST = 2**16


def in_threads(function: Projection) -> Projection:
    """Decorator: split a function of rows, each of whose answers is its own, among the cores.

    Its arguments are arrays of ``B`` rows, the first ``[B, D]``, or numbers; it returns two such arrays.
    """

    @wraps(function)
    def call(first: Any, *arguments: Any, **settings: Any) -> tuple[Any, Any]:
        blocks = min(_threads(), len(first), first.size // _LEAST)
        if blocks < 2:
            return function(first, *arguments, **settings)
        ends = np.linspace(0, len(first), blocks + 1).astype(int)
        parts = [slice(start, end) for start, end in pairwise(ends)]

        def of(part: slice) -> tuple[Any, Any]:
            def cut(value: Any) -> Any:
                return value[part] if isinstance(value, np.ndarray) else value

            return function(*map(cut, (first, *arguments)), **{key: cut(settings[key]) for key in settings})

        done = list(_pool(os.getpid()).map(of, parts))
        return np.concatenate([a for a, _ in done]), np.concatenate([b for _, b in done])

    return cast(Projection, call)


def _threads() -> int:
    """Cores that this process may use; fewer where TensorFlow was told so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, tf.config.threading.get_intra_op_parallelism_threads() or cores)


@cache
def _pool(_process: int) -> ThreadPoolExecutor:
    """The threads of a process; a fork of it has none."""
    return ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="robustcheck")
