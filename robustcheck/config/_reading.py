"""Settings whose values are made of what is written, where that takes more than a type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustcheck.config._box import Box, BoxLike
from robustcheck.config._values import require
from robustcheck.errors import ConfigError
from robustcheck.text import brief


def read_box(given: Any) -> BoxLike | Path:
    """A box as it is written: two numbers, or ``LO,HI``, or the name of an ``.npz``."""
    if isinstance(given, str) and given.endswith(".npz"):
        return Path(given)
    try:
        low, high = map(float, given.split(",") if isinstance(given, str) else given)
    except ValueError as error:
        raise ConfigError(f"--box: expected two numbers or one .npz file, got {brief(given)}") from error
    return Box.of((low, high))


def read_shard(given: str) -> tuple[int, int]:
    """``K/N`` as two numbers."""
    first, slash, second = given.partition("/")
    require(bool(slash) and first.isdecimal() and second.isdecimal(), "--shard", "K/N, such as 1/3", given)
    return int(first), int(second)
