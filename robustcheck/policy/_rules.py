"""A policy: its rules, checked, from TOML."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from robustcheck.errors import ConfigError, one_line
from robustcheck.measures import Metric, parse_metric
from robustcheck.results import PolicyFacts

_FOUND, _SAMPLES = 0.95, 30
# no policy that a person wrote is larger
_MOST_BYTES = 1_000_000

TEMPLATE = """\
# What a model must show before it ships: robustcheck gate REPORT --policy THIS_FILE
# Every bound below is a starting point. Set it from a report on a model that you trust.
schema = 1

[[rule]]
metric = "accuracy.clean"
min = 0.9

[[rule]]
metric = "distortion.l2.median"        # norms: l2 rms linf l1 l0; also mean p05 p25 p75 p95 min max
min = 0.5                              # in the units of the box
min_found = 0.95                       # a search that finds less says nothing
min_samples = 30
# confidence = 0.95                    # judge the bound of the interval instead of the figure
# max_drop = { relative = 0.05 }       # against --baseline, sample by sample where the data are the same

[[rule]]
metric = "accuracy.robust.l2@0.3"      # right, and no misclassified input found within 0.3
min = 0.7
severity = "warning"                   # told, but does not fail the gate

[[rule]]
metric = "check.search"                # the search found what it should have
"""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How far a measure may move against a baseline: a share of its old value, or in its own units."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    relative: float | None = None
    absolute: float | None = None

    def __post_init__(self) -> None:
        given = [one for one in (self.relative, self.absolute) if one is not None]
        if len(given) != 1:
            raise ConfigError("expected either relative or absolute")
        if not (math.isfinite(given[0]) and given[0] >= 0):
            raise ConfigError(f"expected a finite number of 0 or more, got {given[0]:g}")

    @property
    def text(self) -> str:
        """As a policy states it."""
        kind, value = (
            ("relative", self.relative) if self.relative is not None else ("absolute", self.absolute)
        )
        return f"{{ {kind} = {value:g} }}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a measure must be.

    Attributes:
        metric: a measure, in the grammar of ``robustcheck.measures.GRAMMAR``.
        min, max: bounds of its value.
        max_drop, max_rise: bounds of its change against a baseline.
        min_found: share of the attacked samples that the search must have found an example for; 0.95 for
            distortions and robust accuracy, of no meaning elsewhere.
        min_samples: samples that must be behind the figure.
        confidence: judge the bound of the interval at this level, not the figure.
        severity: "warning" is told but does not decide the verdict.

    Raises:
        ConfigError: a rule that makes no sense.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    metric: str
    min: float | None = None
    max: float | None = None
    max_drop: Limit | None = None
    max_rise: Limit | None = None
    min_found: float | None = None
    min_samples: int = _SAMPLES
    confidence: float | None = None
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        metric = parse_metric(self.metric)
        bounds = [getattr(self, name) for name in ("min", "max", "max_drop", "max_rise")]
        given = [one for one in bounds if one is not None]
        if metric.family == "check":
            _require(not given, f"{self.metric}: expected no bound, a check passes or not")
        else:
            _require(bool(given), f"{self.metric}: expected min, max, max_drop or max_rise")
        for value in (self.min, self.max):
            _require(value is None or math.isfinite(value), f"{self.metric}: expected finite bounds")
        _require_share(metric, [one for one in (self.min, self.max) if one is not None])
        ordered = self.min is None or self.max is None or self.min <= self.max
        _require(ordered, f"{self.metric}: expected min <= max, got {self.min} and {self.max}")
        if self.min_found is not None:
            _require(metric.needs_found, f"min_found: has no meaning for {self.metric}")
            _require(0 <= self.min_found <= 1, f"min_found: expected a share of 0 to 1, got {self.min_found}")
        _require(self.min_samples >= 1, f"min_samples: expected at least 1, got {self.min_samples}")
        if self.confidence is not None:
            fits = 0.5 <= self.confidence < 1
            _require(fits, f"confidence: expected a level from 0.5 to below 1, got {self.confidence}")

    @property
    def bounds(self) -> list[str]:
        """Its bounds as the policy states them, each judged by itself."""
        values = (("min", self.min), ("max", self.max))
        limits = (("max_drop", self.max_drop), ("max_rise", self.max_rise))
        told = [f"{name} = {value:g}" for name, value in values if value is not None]
        return [*told, *(f"{name} = {limit.text}" for name, limit in limits if limit)] or ["passes"]

    @property
    def parsed(self) -> Metric:
        """The metric."""
        return parse_metric(self.metric)

    @property
    def needed_found(self) -> float:
        """``min_found`` in force."""
        default = _FOUND if self.parsed.needs_found else 0.0
        return default if self.min_found is None else self.min_found


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _require_share(metric: Metric, bounds: list[float]) -> None:
    """A bound of 95 instead of 0.95 would always fail, or, worse, always pass."""
    if metric.family not in ("accuracy", "robust", "found", "transfer"):
        return
    lowest = -1.0 if metric.name == "transfer.max_excess" else 0.0
    for bound in bounds:
        fits = lowest <= bound <= 1.0
        _require(fits, f"{metric.name}: expected a share of {lowest:g} to 1, got {bound:g}")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Rules, with where they were read from."""

    rules: tuple[Rule, ...]
    facts: PolicyFacts

    @staticmethod
    def of(*rules: Rule) -> Policy:
        """A policy made in Python.

        Raises:
            ConfigError: no rule.
        """
        _require(bool(rules), "policy: expected at least one rule, got none")
        digest = hashlib.sha256(repr(rules).encode()).hexdigest()
        return Policy(rules=rules, facts=PolicyFacts(path=None, sha256=digest, rules=len(rules)))


@dataclass(frozen=True, kw_only=True)
class _File:
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    schema: Literal[1]
    rule: list[Rule]


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(_File)


def read_policy(path: Path) -> Policy:
    """Read a policy from TOML.

    Raises:
        ConfigError: the file cannot be read, or holds what a policy may not; every fault with its place.
    """
    from pydantic import ValidationError

    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path}: expected a policy of at most {_MOST_BYTES} bytes")
        stored = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: expected a policy in TOML: {one_line(error)}") from error
    try:
        # as JSON, since in strict mode objects become dataclasses only from there
        file: _File = _adapter().validate_json(json.dumps(stored, default=str))
    except ValidationError as error:
        faults = [_fault(one) for one in error.errors()]
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults)) from error
    if not file.rule:
        raise ConfigError(f"{path}: expected at least one [[rule]], got none")
    facts = PolicyFacts(path=str(path), sha256=hashlib.sha256(content).hexdigest(), rules=len(file.rule))
    return Policy(rules=tuple(file.rule), facts=facts)


def _fault(error: Any) -> str:
    """One fault with its place: ``rule 2: min_fuond: unknown key; did you mean 'min_found'?``."""
    loc = error["loc"][1:] if len(error["loc"]) > 1 and error["loc"][0] == "rule" else error["loc"]
    place = [f"rule {one + 1}" if isinstance(one, int) else str(one) for one in loc]
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        owner = Limit if len(place) > 2 else Rule if len(place) > 1 else _File
        names = [one.name for one in fields(owner)]
        near = difflib.get_close_matches(place[-1], names, n=1)
        message = "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; expected one of {names}")
    elif error["type"] == "missing":
        message = "missing"
    elif "error" in error.get("ctx", {}):
        message = str(error["ctx"]["error"])
    else:
        message = f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {error['input']!r}"
    return ": ".join([*place, message])
