"""Settings as tables, made from the fields of the dataclasses in :mod:`robustcheck.config`.

Flags of the command line, keys of ``robustcheck.toml`` and arguments of the pytest plugin are these tables; a
setting is described once, where it is a field.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from robustcheck.config import AuditConfig, HardenConfig

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that can be set.

    Attributes:
        name: the key in files and the argument in Python.
        flag: of the command line, without dashes before it.
        group: of flags that it stands in; "" for what has a place of its own.
        help: of the flag.
        written: the type that it is written as in a file.
        default: as it is in the dataclass; None where it must be given.
        default_text: what help says of the default; None = nothing.
        metavar: what help calls the value, or each of two.
        several: whether one flag takes all values of a list.
        flag_only: whether no file may set it.
        read: makes the field's value of what is written.
    """

    name: str
    flag: str
    group: str
    help: str
    written: Any
    default: Any
    default_text: str | None
    metavar: str | tuple[str, ...] | None
    several: bool
    flag_only: bool
    read: Callable[[Any], Any]


@cache
def table(owner: type) -> Mapping[str, Setting]:
    """The settings of a dataclass and of those that it holds, by name, in the order of its fields."""
    found: dict[str, Setting] = {}
    hints = get_type_hints(owner)
    for field in fields(owner):
        said = field.metadata
        if "nested" in said:
            found |= table(said["nested"])
        elif "help" in said:
            name = said.get("key", field.name)
            default = None if field.default is MISSING else field.default
            found[name] = Setting(
                name=name,
                flag=said.get("flag", name).replace("_", "-"),
                group=said["group"],
                help=said["help"],
                written=said.get("written", _without_none(hints[field.name])),
                default=default,
                default_text=said.get("default", _shown(default)),
                metavar=said.get("metavar"),
                several=said.get("several", False),
                flag_only=said.get("flag_only", False),
                read=said.get("read", _read),
            )
    return types.MappingProxyType(found)


def audit_settings() -> Mapping[str, Setting]:
    """What can be set for an audit."""
    return table(AuditConfig)


def harden_settings() -> Mapping[str, Setting]:
    """What can be set for training with pools, besides the audits before and after."""
    return table(HardenConfig)


def made(owner: type[Made], written: Mapping[str, Any], **more: Any) -> Made:
    """A dataclass of settings as they are written; what is not there has its default.

    Args:
        owner: the dataclass.
        written: values by the name of the setting, of the type in :attr:`Setting.written`.
        more: fields that are no settings, or that are set already.

    Raises:
        ConfigError: a value outside its range.
    """
    known, given = table(owner), dict(more)  # type: ignore[arg-type]  # a type can be hashed
    for field in fields(owner):  # type: ignore[arg-type]  # a dataclass, as the table needs
        name = field.metadata.get("key", field.name)
        if field.name in more:
            continue
        if "nested" in field.metadata:
            given[field.name] = made(field.metadata["nested"], written)
        elif name in written and name in known:
            given[field.name] = known[name].read(written[name])
    return owner(**given)


def _read(value: Any) -> Any:
    """Lists of a file as tuples."""
    return tuple(value) if isinstance(value, list) else value


def _without_none(hint: Any) -> Any:
    """A type without None: what is not set is not there."""
    if is_union(hint):
        some = [part for part in get_args(hint) if part is not type(None)]
        return some[0] if len(some) == 1 else Union[tuple(some)]  # noqa: UP007  # made of values
    return hint


def _shown(default: Any) -> str | None:
    if default is None or default is False or default == ():
        return None
    return f"{default:g}" if isinstance(default, float) else str(default)


def is_union(written: Any) -> bool:
    """Whether a value may be written as one of several types."""
    return get_origin(written) in (Union, types.UnionType)


def choices(written: Any) -> tuple[str, ...] | None:
    """The words that are allowed, where these alone are."""
    parts = get_args(written) if is_union(written) else (written,)
    if not all(get_origin(part) is Literal for part in parts):
        return None
    return tuple(str(word) for part in parts for word in get_args(part))
