"""Settings in force: flags over ``robustcheck.toml`` over ``[tool.robustcheck]`` in ``pyproject.toml``.

Keys are those of the tables in :mod:`robustcheck.settings`; those of training with pools stand in a table
``[harden]`` of their own. Both files are looked for in the current folder; paths in them are relative to it,
as on the command line. Every key that is not known, and every value of the wrong type, is an error, and all
are told at once.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from robustcheck import intake
from robustcheck.config import AFTERWARDS, NO_FIGURES, AuditConfig
from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.results import PlanDocument
from robustcheck.settings import Setting, audit_settings, harden_settings, is_union, made
from robustcheck.stored import read_toml
from robustcheck.text import brief, listed

_FILE, _PYPROJECT = Path("robustcheck.toml"), Path("pyproject.toml")
_HARDEN = "harden"
DEFAULT_OUT = "robustcheck-report"


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """Settings as they are written, and for each where it was set.

    Attributes:
        table: what can be set.
        values: what is set, by name.
        source: where.
        defaults: what holds besides where nothing is set, in place of the dataclass's own.
    """

    table: Mapping[str, Setting]
    values: Mapping[str, Any]
    source: Mapping[str, str]
    defaults: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """A value, or None where it is not set."""
        return self.values.get(name)

    def audit(self, command: str, **over: Any) -> AuditConfig:
        """The audit that is asked for; ``over``: values that hold instead, as they are written.

        Raises:
            ConfigError: naming the flag that is missing or makes no sense.
        """
        values = {**self.defaults, **self.values, **over}
        if "model" not in values or "data" not in values:
            missing = "MODEL" if "model" not in values else "--data SOURCE"
            raise ConfigError(f"expected {missing}, on the command line or in {_FILE}")
        return _config(values, command=command, settings=_of_figures(values))

    def toml(self) -> str:
        """As a ``robustcheck.toml`` that would give the same, with where each value is from."""
        lines = []
        for name, setting in self.table.items():
            if setting.flag_only:
                continue
            value = self.values.get(name, self.defaults.get(name, setting.default))
            if value is None or value == ():
                lines.append(f"# {name} is not set")
            else:
                lines.append(f"{name} = {_toml(value)}  # {self.source.get(name, 'default')}")
        return "\n".join(lines) + "\n"


def _of_figures(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide figures, for a plan; not where work is done and what becomes of a report."""
    table = audit_settings()
    return {
        name: value for name, value in values.items() if name in table and table[name].group not in NO_FIGURES
    }


def _toml(value: Any) -> str:
    """A value in TOML, whose strings are those of JSON but for the delete character."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)  # inf and nan are the same in both
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def planned_audit(plan: PlanDocument, here: Sourced, out: Path) -> AuditConfig | None:
    """The audit of a plan, to be finished in a folder; None where it would run code that the plan names.

    ``here``: what the report is judged by, and how it is written.

    Raises:
        ReportRefused: a plan that was not made on the command line, or with settings that make no sense.
    """
    planned = plan.settings
    if planned is None:
        raise ReportRefused(
            f"{out}: the audit was begun in Python, and is finished there: audit(..., resume=True)"
        )
    faults = _faults(str(out / "plan.json"), "", planned)
    if faults or not _of_figures(planned) == planned:
        raise ReportRefused(*listed(faults or [f"{out}: plan.json: expected settings of figures alone"]))
    sources = [planned.get("model"), planned.get("data")]
    sources += [*planned.get("reference", ()), *planned.get("deployed", ())]
    if planned.get("imports") or any(_runs_code(str(source)) for source in sources):
        return None
    after = [name for name, setting in here.table.items() if setting.group in AFTERWARDS]
    values = planned | {name: here.get(name) for name in after if here.get(name) is not None}
    return _config(values, command=plan.command, settings=planned, out=out, resume=True)


def _config(values: Mapping[str, Any], **more: Any) -> AuditConfig:
    """An audit; what is wrong with a small file is told at once, before TensorFlow starts."""
    config = made(AuditConfig, values, **more)
    return replace(config, box=intake.read_box(config.box)) if isinstance(config.box, Path) else config


def _runs_code(source: str) -> bool:
    """Whether a model or data, perhaps with a name before it, are ``package.module:function``."""
    return any(intake.is_function(spec) for spec in (source, source.partition("=")[2]))


def read_settings(flags: Mapping[str, Any] | argparse.Namespace) -> Sourced:
    """The settings of an audit in force: the flags given, over the files.

    Raises:
        ConfigError: every fault of the files with its place.
    """
    return _read("", flags, {"out": DEFAULT_OUT})


def read_harden_settings(flags: Mapping[str, Any] | argparse.Namespace) -> Sourced:
    """The settings of training with pools in force.

    Raises:
        ConfigError: every fault of the files with its place.
    """
    return _read(_HARDEN, flags, {})


def _read(
    place: str,
    flags: Mapping[str, Any] | argparse.Namespace,
    defaults: Mapping[str, Any],
) -> Sourced:
    table = _known(place)
    given = vars(flags) if isinstance(flags, argparse.Namespace) else flags
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    for origin, tables in _files():
        values |= tables[place]
        source |= dict.fromkeys(tables[place], origin)
    set_here = {name: value for name, value in given.items() if name in table and value is not None}
    source |= dict.fromkeys(set_here, "flag")
    return Sourced(table=table, values=values | set_here, source=source, defaults=defaults)


def _files() -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """Of each file that is there, the settings of an audit under "" and those of training under their name.

    Raises:
        ConfigError: every fault with its place.
    """
    found: list[tuple[str, Any]] = []
    if os.path.lexists(_PYPROJECT):
        tool = read_toml(_PYPROJECT, "settings")[0].get("tool", {})
        section = tool.get("robustcheck", {}) if isinstance(tool, dict) else tool
        found.append((f"{_PYPROJECT} [tool.robustcheck]", section))
    if os.path.lexists(_FILE):
        found.append((str(_FILE), read_toml(_FILE, "settings")[0]))
    apart = []
    for origin, given in found:
        if not isinstance(given, dict):
            raise ConfigError(f"{origin}: expected a table, got {brief(given)}")
        of_audit = {name: value for name, value in given.items() if name != _HARDEN}
        of_harden = given.get(_HARDEN, {})
        if not isinstance(of_harden, dict):
            raise ConfigError(f"{origin}: {_HARDEN}: expected a table, got {brief(of_harden)}")
        apart.append((origin, {"": of_audit, _HARDEN: of_harden}))
    faults = [
        fault
        for origin, tables in apart
        for name, settings in tables.items()
        for fault in _faults(f"{origin} [{name}]" if name else origin, name, settings)
    ]
    if faults:
        raise ConfigError(*listed(faults))
    return apart


@cache
def _adapter(name: str) -> Any:
    """Strict validation of a table: exactly its keys, each of its type."""
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {
        key: (setting.written, None) for key, setting in _known(name).items() if not setting.flag_only
    }
    return create_model("Settings", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _known(table: str) -> Mapping[str, Setting]:
    return harden_settings() if table else audit_settings()


def _faults(origin: str, table: str, given: dict[str, Any]) -> list[str]:
    """What is wrong with some settings, a line each."""
    if not given:
        return []
    from pydantic import ValidationError

    try:
        # as JSON, where an array is what a tuple is written as
        _adapter(table).model_validate_json(json.dumps(given, default=str))
    except ValidationError as error:
        faults = {}
        for fault in error.errors():
            name = str(fault["loc"][0])
            if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
                near = difflib.get_close_matches(name, _known(table), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                if name in _known(table):
                    faults[name] = "expected as a flag alone: what is trusted, no file decides"
                    continue
                if table and name in audit_settings():
                    hint = "; it is a setting of audits, which stand before the tables"
                faults[name] = f"unknown key{hint}"
            else:
                message = f"{fault['msg'][:1].lower()}{fault['msg'][1:]}"
                written, metavar = _known(table)[name].written, _known(table)[name].metavar
                if is_union(written) and metavar is not None:
                    message = f"expected {metavar}"  # not what the last of the types would have been
                faults.setdefault(name, f"{message}, got {brief(given[name])}")
        return [f"{origin}: {name}: {message}" for name, message in faults.items()]
    return []
