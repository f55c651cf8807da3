"""Flags made from the tables of settings, and the few that several commands share besides."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, get_args, get_origin

from robustcheck.settings import Setting, audit_settings, choices, is_union


def add_flags(parser: argparse.ArgumentParser, settings: Iterable[Setting]) -> None:
    """A flag for each setting, in the group that it names."""
    groups = {group.title: group for group in parser._action_groups}
    for setting in settings:
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        add_flag(groups[setting.group], setting)


def add_flag(parser: Any, setting: Setting) -> None:
    """One flag; what is not given is None."""
    parser.add_argument(f"--{setting.flag}", dest=setting.name, help=_help(setting), **_kind(setting))


def audit_flags(*names: str) -> list[Setting]:
    """Some settings of an audit, by name."""
    return [audit_settings()[name] for name in names]


def groups_of_audit(*groups: str) -> list[Setting]:
    """The settings of an audit in some groups of flags."""
    return [setting for group in groups for setting in audit_settings().values() if setting.group == group]


def with_default(settings: Iterable[Setting], name: str, default: object) -> list[Setting]:
    """Settings of a command where one has another default than elsewhere."""
    return [
        replace(setting, default_text=str(default)) if setting.name == name else setting
        for setting in settings
    ]


def add_data_flag(parser: argparse.ArgumentParser) -> None:
    """``--data``, which stands before all groups."""
    add_flag(parser, audit_settings()["data"])


def add_import_flag(parser: Any) -> None:
    """The user's own layers."""
    add_flag(parser, audit_settings()["imports"])


def add_json_flag(parser: Any, what: str = "one JSON document") -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help=f"print {what} instead of tables")


def add_quiet_flag(parser: Any, what: str = "no progress, no tables") -> None:
    """``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help=what)


def add_result_flags(parser: argparse.ArgumentParser, what: str = "one JSON document") -> None:
    """``--json`` and ``--quiet``, among the flags that say where a result goes."""
    output = next(group for group in parser._action_groups if group.title == "output")
    add_json_flag(output, what)
    add_quiet_flag(output)


def _help(setting: Setting) -> str:
    many = " (any number of times)" if _is_list(setting) and not setting.several else ""
    default = "" if setting.default_text is None else f"; default: {setting.default_text}"
    return f"{setting.help}{many}{default}"


def _is_list(setting: Setting) -> bool:
    return get_args(setting.written)[-1:] == (Ellipsis,)


def _kind(setting: Setting) -> dict[str, Any]:
    """How argparse is to read the type that a setting is written as."""
    written = setting.written
    words = choices(written)
    if written is bool:
        return {"action": "store_true", "default": None}
    if words is not None:
        return {"choices": words}
    item = get_args(written)[0] if get_origin(written) is tuple else written
    if _is_list(setting) and choices(item) is not None:
        return {"action": "append", "choices": choices(item)}
    metavar = setting.metavar or ("N" if item is int else "X" if item is float else setting.name.upper())
    if _is_list(setting):
        many = {"nargs": "+"} if setting.several else {"action": "append"}
        return {**many, "type": item, "metavar": metavar}
    if get_origin(written) is tuple:
        return {"nargs": len(get_args(written)), "type": item, "metavar": metavar}
    return {"type": _reader(written), "metavar": metavar}


def _reader(written: Any) -> Callable[[str], Any]:
    """A number where one is meant, or a word."""
    if not is_union(written):
        reader: Callable[[str], Any] = written
        return reader
    numbers = [kind for kind in (int, float) if kind in get_args(written)]

    def number_or_word(text: str) -> Any:
        for kind in numbers:
            try:
                return kind(text)
            except ValueError:
                continue
        return text

    return number_or_word
