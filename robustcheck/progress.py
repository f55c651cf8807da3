"""How work tells how far it is: one protocol for searches, transfer, audits and training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# called now and then with (stage, units done, units in all); a stage begins with 0 done
OnProgress: TypeAlias = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def renamed(on_progress: OnProgress, stage: str) -> OnProgress:
    """Progress of a part of the work under the name of a stage."""
    return lambda _, done, total: on_progress(stage, done, total)


def within(on_progress: OnProgress, start: int, count: int, total: int) -> OnProgress:
    """Progress of a part as that of the whole, whose units ``start`` to ``start + count`` the part is.

    The last of these units is told by the whole, when the part has ended.
    """
    return lambda stage, done, most: on_progress(
        stage, start + int(min(done / most, 1.0) * (count - 1)), total
    )
