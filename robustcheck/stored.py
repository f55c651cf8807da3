"""Read stored things that may be hostile: with limits, and refusals that name the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from robustcheck.errors import ConfigError, one_line

# settings and policies; what is larger or deeper is none
_MOST_BYTES, _DEEPEST = 2**20, 32


def read_toml(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    """The tables of a TOML file, and its bytes.

    Raises:
        ConfigError: the file cannot be read, is too large, not TOML, or tables in tables without end.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path}: expected {what} of at most {_MOST_BYTES >> 20} MiB")
        stored = tomllib.loads(content.decode("utf-8"))
    except ConfigError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected {what} in TOML: {one_line(error)}") from error
    if _is_deeper(stored, _DEEPEST):
        raise ConfigError(f"{path}: expected {what} in TOML, got tables in tables without end")
    return stored, content


def _is_deeper(value: Any, most: int) -> bool:
    """Whether tables and arrays are nested deeper; without recursion, which has a limit of its own."""
    level = [value]
    for _ in range(most):
        inner = [
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))
        ]
        level = [item for group in inner for item in group]
    return any(isinstance(one, (dict, list)) for one in level)
