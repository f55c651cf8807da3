"""Settings of an audit: flags over ``robustcheck.toml`` over ``[tool.robustcheck]`` in ``pyproject.toml``.

Keys are the long flags with underscores. Both files are looked for in the current folder; paths in them are
relative to it, as on the command line. Every key that is not known, and every value of the wrong type, is an
error, and all are told at once.
"""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from robustcheck import intake
from robustcheck.config import (
    AuditConfig,
    Box,
    BoxLike,
    Draw,
    HeadKind,
    Method,
    ModelOptions,
    SearchOptions,
    Target,
)
from robustcheck.errors import ConfigError
from robustcheck.stored import read_toml
from robustcheck.text import brief, option

_FILE, _PYPROJECT = Path("robustcheck.toml"), Path("pyproject.toml")
DEFAULT_OUT = "robustcheck-report"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set for an audit, as it is written; None = not set."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    model: str | None = None
    data: str | None = None
    reference: list[str] | None = None
    transfer: Literal["all", "one-way"] = "all"
    transfer_rms: list[float] | None = None
    box: list[float] | str = "0,1"
    data_range: list[float] | None = None
    x_key: str | None = None
    y_key: str | None = None
    limit: int | None = None
    sample: Draw = "stratified"
    class_names: str | None = None
    freeze: str | None = None
    labels: Literal["data", "model"] = "data"
    target: str | int | None = None
    input_shape: list[int] | None = None
    output: str | int | None = None
    perturb: list[str] | None = None
    head: HeadKind | Literal["auto"] = "auto"
    imports: list[str] | None = None
    method: Method = SearchOptions().method
    budget: int | None = None
    seed: int = 0
    batch_size: int | None = None
    policy: str | None = None
    baseline: str | None = None
    out: str = DEFAULT_OUT
    force: bool = False
    report_assets: bool = False

    def config(self, command: str) -> AuditConfig:
        """The audit that is asked for.

        Raises:
            ConfigError: naming the flag that is missing or makes no sense.
        """
        if self.model is None or self.data is None:
            missing = "MODEL" if self.model is None else "--data SOURCE"
            raise ConfigError(f"expected {missing}, on the command line or in {_FILE}")
        low_high = self.data_range
        if low_high is not None and len(low_high) != 2:
            raise ConfigError(f"{option('data_range')}: expected two numbers, got {low_high}")
        return AuditConfig(
            model=self.model,
            data=self.data,
            references=tuple(self.reference or ()),
            out=Path(self.out),
            force=self.force,
            box=_box(self.box),
            data_range=None if low_high is None else (low_high[0], low_high[1]),
            x_key=self.x_key,
            y_key=self.y_key,
            class_names=_path(self.class_names),
            freeze=_path(self.freeze),
            labels=self.labels,
            target=_target(self.target),
            limit=self.limit,
            sample=self.sample,
            model_options=ModelOptions(
                input_shape=None if self.input_shape is None else tuple(self.input_shape),
                output=_output(self.output),
                perturb=None if self.perturb is None else tuple(self.perturb),
                head=self.head,
            ),
            imports=tuple(self.imports or ()),
            batch_size=self.batch_size,
            transfer=self.transfer,
            transfer_rms=tuple(self.transfer_rms or ()),
            options=SearchOptions(method=self.method, budget=self.budget, seed=self.seed),
            policy=_path(self.policy),
            baseline=_path(self.baseline),
            report_assets=self.report_assets,
            command=command,
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _box(given: list[float] | str) -> BoxLike:
    if isinstance(given, str) and given.endswith(".npz"):
        found = intake.read_by_input(Path(given), "lower", "upper")
        if isinstance(found, dict):
            return {name: Box.of((lower, upper)) for name, (lower, upper) in found.items()}
        return Box.of((found[0], found[1]))
    try:
        low, high = map(float, given.split(",") if isinstance(given, str) else given)
    except ValueError as error:
        raise ConfigError(f"--box: expected two numbers or one .npz file, got {brief(given)}") from error
    return Box.of((low, high))


def _output(given: str | int | None) -> str | int | None:
    """A position, where it is a number."""
    return int(given) if isinstance(given, str) and given.isdecimal() else given


def _target(word: str | int | None) -> Target:
    if word is None or word == "random" or word == "least-likely":
        return word  # type: ignore[return-value]  # narrowed by the comparison, which mypy does not see
    try:
        return int(word)
    except ValueError as error:
        raise ConfigError(f"--target: expected random, least-likely or a class, got {word!r}") from error


@dataclass(frozen=True)
class Sourced:
    """Settings, and for each that is set where it was set."""

    settings: Settings
    source: Mapping[str, str]

    def toml(self) -> str:
        """As a ``robustcheck.toml`` that would give the same, with where each value is from."""
        lines = []
        for one in fields(Settings):
            value = getattr(self.settings, one.name)
            if value is None:
                lines.append(f"# {one.name} is not set")
            else:
                lines.append(f"{one.name} = {_toml(value)}  # {self.source.get(one.name, 'default')}")
        return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value in TOML, whose strings are those of JSON but for the delete character."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)  # inf and nan are the same in both
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_settings(arguments: argparse.Namespace) -> Sourced:
    """The settings in force: the flags given, over the files.

    Raises:
        ConfigError: every fault of the files with its place.
    """
    names = {one.name for one in fields(Settings)}
    flags = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    faults: list[str] = []
    for origin, given in (*_files(), ("flag", flags)):
        faults += _faults(origin, given)
        values |= given
        source |= dict.fromkeys(given, origin)
    if faults:
        raise ConfigError("\n".join(faults))
    return Sourced(Settings(**values), source)


def _files() -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, Any]] = []
    if _PYPROJECT.is_file():
        tool = read_toml(_PYPROJECT, "settings")[0].get("tool", {})
        section = tool.get("robustcheck", {}) if isinstance(tool, dict) else tool
        found.append((f"{_PYPROJECT} [tool.robustcheck]", section))
    if _FILE.is_file():
        found.append((str(_FILE), read_toml(_FILE, "settings")[0]))
    for origin, given in found:
        if not isinstance(given, dict):
            raise ConfigError(f"{origin}: expected a table, got {given!r}")
    return found


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Settings)


def _faults(origin: str, given: dict[str, Any]) -> list[str]:
    """What is wrong with some settings, a line each."""
    if not given or origin == "flag":
        return []
    from pydantic import ValidationError

    try:
        # as JSON, since in strict mode objects become dataclasses only from there
        _adapter().validate_json(json.dumps(given, default=str))
    except ValidationError as error:
        faults = {}
        for one in error.errors():
            name = str(one["loc"][0])
            if one["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
                near = difflib.get_close_matches(name, [field.name for field in fields(Settings)], n=1)
                faults[name] = "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
            else:
                message = f"{one['msg'][:1].lower()}{one['msg'][1:]}"
                faults.setdefault(name, f"{message}, got {one['input']!r}")
        return [f"{origin}: {name}: {message}" for name, message in faults.items()]
    return []
