"""TOML and JSON, with limits of size and depth that are checked before they are parsed."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from robustcheck.errors import ConfigError, ReportRefused, one_line
from robustcheck.stored._files import read_limited

T = TypeVar("T")

# settings and policies; what is larger or deeper is none. Keys by the line: each costs what all before it do
_MOST_TOML, _DEEPEST, _MOST_LINES = 2**20, 32, 20_000
# no report, plan or baseline that robustcheck wrote is larger; with its depth, it bounds what is made of it
MOST_JSON, _MOST_VALUES = 32 * 2**20, 10**6
# a key of more parts than tables may be deep
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_DEEPEST}}}")


def read_toml(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    """The tables of a TOML file, and its bytes.

    Raises:
        ConfigError: the file cannot be read, is too large, not TOML, or tables in tables without end.
    """
    content = read_limited(path, f"{what} in TOML", ConfigError, most=_MOST_TOML)
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        if text.count("\n") > _MOST_LINES:
            raise ConfigError(f"{path}: expected {what} of at most {_MOST_LINES} lines")
        if _DOTTED.search(text):
            raise ConfigError(f"{path}: expected {what} in TOML, got a key of more than {_DEEPEST} parts")
        stored = tomllib.loads(text)
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected {what} in TOML: {one_line(error)}") from error
    if _is_deeper(stored, _DEEPEST):
        raise ConfigError(f"{path}: expected {what} in TOML, got tables in tables without end")
    return stored, content


def _is_deeper(value: Any, most: int) -> bool:
    """Whether tables and arrays are nested deeper; without recursion, which has a limit of its own."""
    level = [value]
    for _ in range(most):
        inner = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, (dict, list))
        ]
        level = [item for group in inner for item in group]
    return any(isinstance(item, (dict, list)) for item in level)


def read_json(
    path: Path,
    what: str,
    *,
    schema: str,
    validate: Callable[[dict[str, Any], str], T],
    older: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
) -> T:
    """A document that robustcheck wrote, in strict JSON: no NaN, nothing infinite.

    Args:
        path: the file.
        what: is expected there, for messages.
        schema: the value that its key ``schema`` must have.
        validate: makes something of the document, given as values and as text; it may raise pydantic's
            ``ValidationError``, of which the first fault is told.
        older: for each schema that is read besides, what makes a document of the present one of it.

    Raises:
        ReportRefused: the file cannot be read, is too large, or is not such a document.
    """
    from pydantic import ValidationError

    try:
        text = read_limited(path, what, ReportRefused, most=MOST_JSON).decode("utf-8")
        if text.count(",") > _MOST_VALUES:  # what is wrong with each would be kept
            raise ReportRefused(f"{path}: expected {what} of at most {_MOST_VALUES} values")
        stored = json.loads(text, parse_constant=_not_json, parse_float=_finite)
        name = stored.get("schema") if isinstance(stored, dict) else None
        if isinstance(name, str) and name in (older or {}):
            stored = (older or {})[name](stored)
            text = json.dumps(stored)
        elif name != schema:
            raise ReportRefused(f"{path}: expected {what} of schema {schema}")
        return validate(stored, text)
    except ReportRefused:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ReportRefused(f"{path}: expected {what} of schema {schema}: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise ReportRefused(f"{path}: expected {what} in JSON: {one_line(error)}") from error


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value
