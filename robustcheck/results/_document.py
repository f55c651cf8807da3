"""What ``report.json`` holds, and a finished audit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Real
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from robustcheck.errors import ConfigError, Incomplete
from robustcheck.results._conditions import Conditions
from robustcheck.results._outcomes import SampleOutcomes, SearchResult
from robustcheck.results._transfer import TransferMatrix

SCHEMA = "robustcheck.report/1"
Outcome: TypeAlias = Literal["PASS", "FAIL", "INCOMPLETE"]
# what a report checks, in this order
CHECKS = (
    "labels", "inputs", "sample", "stable", "search", "budget", "verified", "gradient", "noise", "eight_bit",
)  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """A figure with the number of samples behind it and its 95 % interval; None where not measured.

    ``<``, ``<=``, ``>`` and ``>=`` compare the figure with a number or another measure, and raise where there
    is no figure, or one that may not be believed: a test on nothing must not pass. For the same reason a
    measure is neither true nor false, and no number is equal to it.

    Attributes:
        doubt: why the figure may not be believed; None where it may. Not stored: it follows from the report.
    """

    doubt: ClassVar[str | None] = None

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None

    def __bool__(self) -> bool:
        raise TypeError("a measure is neither true nor false: compare it with a number, or take its value")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Measure):
            mine, its = ((side.value, side.n, side.low, side.high) for side in (self, other))
            return mine == its
        if other is None:
            return False
        raise TypeError(f"a measure is compared by <, <=, > or >=, or take its value; got == {other!r}")

    def __hash__(self) -> int:
        return hash((self.value, self.n, self.low, self.high))

    def __lt__(self, other: object) -> bool:
        return self._figure() < _number(other)

    def __le__(self, other: object) -> bool:
        return self._figure() <= _number(other)

    def __gt__(self, other: object) -> bool:
        return self._figure() > _number(other)

    def __ge__(self, other: object) -> bool:
        return self._figure() >= _number(other)

    def doubted(self, why: str) -> Measure:
        """The same figure, which can be looked at and not compared."""
        copy = Measure(self.value, self.n, self.low, self.high)
        object.__setattr__(copy, "doubt", why)
        return copy

    def _figure(self) -> float:
        __tracebackhide__ = True
        if self.doubt is not None:
            raise Incomplete(f"measure: {self.doubt}; its value is there to be looked at, not to be compared")
        if self.value is None or self.n == 0:
            why = "over no sample" if self.n == 0 else "that falls on samples without an example"
            raise Incomplete(f"measure: expected a figure to compare, got one {why}")
        return self.value


def _number(other: object) -> float:
    if isinstance(other, Measure):
        return other._figure()
    if isinstance(other, bool) or not isinstance(other, Real) or math.isnan(other):
        raise TypeError(f"a measure is compared with a number or a measure, got {other!r}")
    return float(other)


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Which model was audited; ``options`` says how it was read, where it does not tell by itself."""

    name: str
    path: str | None
    sha256: str | None
    parameters: int | None
    input_shape: list[int]
    classes: int
    head: str
    options: dict[str, str | int | list[str] | list[int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Which samples it was audited on, and under which conditions.

    ``labels`` is "data", or "model" where the model's own predictions stand for them; ``target`` the class
    that examples had to reach, None = any other; ``frozen`` how many features could not change;
    ``box_sha256`` the digest of the box and of the mask of these features. ``sample`` says how the samples
    were drawn of the source, None = all were taken.
    """

    path: str | None
    sha256: str | None
    samples: int
    limit: int | None
    box: str
    box_sha256: str
    data_range: list[float] | None
    labels: str
    target: str | None
    frozen: int
    class_names: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    sample: Literal["first", "random", "stratified"] | None = None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How the samples ended; ``total = correct + already_wrong + non_finite``."""

    total: int
    correct: int
    already_wrong: int
    found: int
    not_found: int
    non_finite: int


@dataclass(frozen=True)
class CurvePoint:
    """Share of all samples classified right for which no example was found within the radius."""

    l2: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Check:
    """A sign that a number can or cannot be trusted."""

    id: str
    outcome: Literal["PASS", "WARN", "FAIL", "SKIP"]
    detail: str


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """How one bound of a policy was met.

    Attributes:
        metric: the measure, in the grammar of a policy.
        bound: the bound as the policy states it, such as ``min = 1.0``.
        value: what was judged: the measure, or its change for a bound on a change; None where not measured.
        low, high: its interval, where there is one.
        n: samples behind it.
        outcome: INCOMPLETE where it could not be measured.
        severity: of "warning" does not decide the verdict.
        reason: one sentence.
    """

    metric: str
    bound: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    outcome: Outcome
    severity: Literal["error", "warning"]
    reason: str


def verdict_of(rules: Sequence[RuleResult], *, complete: bool = True) -> Outcome:
    """FAIL where a rule of severity "error" failed, else INCOMPLETE where one was, else PASS.

    An interrupted audit never passes, and neither does nothing.
    """
    outcomes = {rule.outcome for rule in rules if rule.severity == "error"}
    if "FAIL" in outcomes:
        return "FAIL"
    return "INCOMPLETE" if "INCOMPLETE" in outcomes or not complete or not rules else "PASS"


@dataclass(frozen=True, kw_only=True)
class PolicyFacts:
    """Which policy a report was judged by; ``path`` is None for one made in Python."""

    path: str | None
    sha256: str
    rules: int


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """Which report changes were measured against."""

    path: str | None
    model: str
    model_sha256: str | None
    started: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the search of the subject cost."""

    gradient_evaluations_per_sample: float | None
    forward_evaluations_per_sample: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What it takes to repeat the audit."""

    robustcheck: str
    python: str
    tensorflow: str
    keras: str
    tensorflow_probability: str
    numpy: str
    device: str
    dtype: str
    seed: int
    batch_size: int
    options: dict[str, str | int | float | None]
    started: str
    command: str | None


@dataclass(frozen=True, kw_only=True)
class ReportDocument:
    """What ``report.json`` holds.

    ``complete`` is False where the audit was interrupted: the figures are of the samples that were done.
    ``noise_curve`` is the accuracy on Gaussian noise of each length, beside ``curve``.
    """

    schema: str = SCHEMA
    complete: bool = True
    verdict: Outcome | None = None
    rules: list[RuleResult] = field(default_factory=list)
    policy: PolicyFacts | None = None
    baseline: ReportFacts | None = None
    model: ModelFacts
    references: list[ModelFacts] = field(default_factory=list)
    data: DataFacts
    counts: Counts
    measures: dict[str, Measure]
    curve: list[CurvePoint]
    noise_curve: list[CurvePoint] = field(default_factory=list)
    transfer: TransferMatrix | None
    checks: list[Check] = field(default_factory=list)
    bounds: dict[str, float] | None = None
    cost: Cost
    provenance: Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """A report and the rows behind it: what can be judged and compared without a model.

    ``samples`` is None where only ``report.json`` is there. ``path`` is where it was read from.
    """

    document: ReportDocument
    samples: SampleOutcomes | None
    path: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditReport(ReportDocument):
    """A finished audit: the document and the samples behind it.

    Attributes:
        samples: what the search found for the audited model.
        conditions: where it could go.
        made_for: the same as ``samples`` for each reference, by name.
    """

    samples: SearchResult
    conditions: Conditions
    made_for: dict[str, SearchResult] = field(default_factory=dict)

    def row_of(self, index: int) -> int:
        """The row of the sample that has this row in the source.

        Raises:
            ConfigError: there is no such sample.
        """
        rows = np.flatnonzero(self.samples.index == index)
        if not len(rows):
            there = np.sort(self.samples.index)
            near = there[np.argsort(np.abs(there - index), kind="stable")[:4]]
            raise ConfigError(
                f"index= (--index): expected one of the {len(there)} samples of the report, by their row in "
                f"the source, such as {', '.join(map(str, np.sort(near)))}; got {index}"
            )
        return int(rows[0])

    @property
    def evidence(self) -> Evidence:
        """What a policy judges."""
        return Evidence(document=self, samples=self.samples)

    def to_dict(self) -> dict[str, Any]:
        """The document as plain values."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(ReportDocument)}

    def to_json(self) -> str:
        """Strict JSON, in ASCII.

        Raises:
            ValueError: a figure is not finite; what was not measured is None.
        """
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Dataclasses as plain values for JSON; text that UTF-8 cannot hold, as in names of files, gets a "?"."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
