"""Rules, checked when they are made."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from robustcheck.errors import ConfigError
from robustcheck.measures import MIN_FOUND, MIN_SAMPLES, Metric, parse_metric
from robustcheck.results import Accept, PolicyFacts

NO_BOUND = "expected min, max, max_drop or max_rise"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How far a measure may move against a baseline: a share of its old value, or in its own units."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    relative: float | None = None
    absolute: float | None = None

    def __post_init__(self) -> None:
        given = [bound for bound in (self.relative, self.absolute) if bound is not None]
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
            distortions, robust accuracy and transfer, of no meaning elsewhere.
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
    min_samples: int = MIN_SAMPLES
    confidence: float | None = None
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        faults = list(_faults_of(self))
        if faults:
            raise ConfigError(*faults)

    @property
    def bounds(self) -> list[str]:
        """Its bounds as the policy states them, each judged by itself."""
        values = (("min", self.min), ("max", self.max))
        limits = (("max_drop", self.max_drop), ("max_rise", self.max_rise))
        given_bounds = [f"{name} = {value:g}" for name, value in values if value is not None]
        return [*given_bounds, *(f"{name} = {limit.text}" for name, limit in limits if limit)] or ["passes"]

    @property
    def parsed(self) -> Metric:
        """The metric."""
        return parse_metric(self.metric)

    @property
    def needed_found(self) -> float:
        """``min_found`` in force."""
        default = MIN_FOUND if self.parsed.needs_found else 0.0
        return default if self.min_found is None else self.min_found


def _faults_of(rule: Rule) -> Iterator[str]:
    """What makes no sense about a rule, a sentence each."""
    try:
        metric = parse_metric(rule.metric)
    except ConfigError as error:
        yield str(error)
        return
    given = [bound for bound in (rule.min, rule.max, rule.max_drop, rule.max_rise) if bound is not None]
    if metric.family == "check" and given:
        yield f"{rule.metric}: expected no bound, a check passes or not"
    elif metric.family != "check":
        if not given:
            yield f"{rule.metric}: {NO_BOUND}"
        yield from _value_faults(rule, metric)
        yield from _limit_faults(rule, metric)
    if rule.min_found is not None and not metric.needs_found:
        yield f"min_found: has no meaning for {rule.metric}"
    if rule.min_found is not None and not 0 <= rule.min_found <= 1:
        yield f"min_found: expected a share of 0 to 1, got {rule.min_found:g}"
    if rule.min_samples < 1:
        yield f"min_samples: expected at least 1, got {rule.min_samples}"
    if rule.confidence is not None and not 0.5 <= rule.confidence <= 0.999:
        yield f"confidence: expected a level from 0.5 to 0.999, got {rule.confidence:g}"


def _value_faults(rule: Rule, metric: Metric) -> Iterator[str]:
    """A bound of 95 instead of 0.95, or one that every figure meets, would always fail or always pass."""
    low, high = metric.range
    for name, bound in (("min", rule.min), ("max", rule.max)):
        if bound is None:
            continue
        fits = math.isfinite(bound) and (low < bound <= high if name == "min" else low <= bound < high)
        if not fits:
            between = f"above {low:g}, at most {high:g}" if name == "min" else f"from {low:g}, below {high:g}"
            yield f"{metric.name}: {name}: expected a bound that can fail, {between}, got {bound:g}"
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        yield f"{metric.name}: expected min <= max, got {rule.min:g} and {rule.max:g}"


def _limit_faults(rule: Rule, metric: Metric) -> Iterator[str]:
    for name, limit in (("max_drop", rule.max_drop), ("max_rise", rule.max_rise)):
        if limit is None:
            continue
        low, high = metric.range
        if limit.relative is not None and not limit.relative < 1:
            yield f"{name}: relative: expected a share below 1, 0.05 for 5 %, got {limit.relative:g}"
        if limit.relative is not None and low < 0:
            yield f"{name}: {metric.name} may be negative or 0: expected an absolute bound"
        if limit.absolute is not None and not limit.absolute < high - low:
            yield f"{name}: absolute: expected a bound below {high - low:g}, got {limit.absolute:g}"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Rules, with where they were read from; ``facts`` name the checks whose failure it accepts."""

    rules: tuple[Rule, ...]
    facts: PolicyFacts

    def __post_init__(self) -> None:
        both = {f"check.{accepted.check}" for accepted in self.facts.accept} & {
            rule.metric for rule in self.rules
        }
        if both:
            raise ConfigError(f"accept: expected a check that no rule asks to pass, got {sorted(both)[0]}")

    @property
    def accepted(self) -> list[str]:
        """Checks whose failure is no reason to doubt a figure."""
        return [accepted.check for accepted in self.facts.accept]

    @staticmethod
    def of(*rules: Rule, accept: Sequence[Accept] = ()) -> Policy:
        """A policy made in Python.

        Raises:
            ConfigError: no rule.
        """
        if not rules:
            raise ConfigError("policy: expected at least one rule, got none")
        digest = hashlib.sha256(repr((rules, *accept)).encode()).hexdigest()
        facts = PolicyFacts(path=None, sha256=digest, rules=len(rules), accept=list(accept))
        return Policy(rules=rules, facts=facts)
