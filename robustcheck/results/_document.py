"""What ``report.json`` holds, and a finished audit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError
from robustcheck.results._checks import Accept, Check
from robustcheck.results._conditions import Conditions
from robustcheck.results._deployed import DeployedFacts, DeployedRows
from robustcheck.results._measure import Measure
from robustcheck.results._outcomes import SampleOutcomes, SearchResult
from robustcheck.results._searches import Cost, Counts, NormFacts, Point
from robustcheck.results._transfer import TransferMatrix

SCHEMA = "robustcheck.report/2"
Outcome: TypeAlias = Literal["PASS", "FAIL", "INCOMPLETE"]


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Which model was audited.

    ``options`` says how it was read, where it does not tell by itself; ``trusted`` that code of its file
    could run, as was asked for.
    """

    name: str
    path: str | None
    sha256: str | None
    parameters: int | None
    input_shape: list[int]
    classes: int
    head: str
    options: dict[str, str | int | list[str] | list[int]] = field(default_factory=dict)
    trusted: bool = False


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Which samples it was audited on, and under which conditions.

    ``labels`` is "data", or "model" where the model's own predictions stand for them; ``target`` the class
    that examples had to reach, None = any other; ``frozen`` how many features could not change;
    ``box_sha256`` the digest of the box, of the mask of these features and of the costs. ``cost`` are the
    least and the largest cost of a change by 1, None = all are 1. ``sample`` says how the samples were drawn
    of the source, None = all were taken; ``left_out`` how many could not be read.
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
    cost: list[float] | None = None
    left_out: int = 0


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
    """Which policy a report was judged by; ``path`` is None for one made in Python.

    ``accept`` are the checks whose failure it accepts.
    """

    path: str | None
    sha256: str
    rules: int
    accept: list[Accept] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """Which report changes were measured against."""

    path: str | None
    model: str
    model_sha256: str | None
    started: str


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

    Attributes:
        complete: False where the audit was interrupted: the figures are of the samples that were done.
        norm: that was searched; of several the first, which ``counts``, ``curve``, ``noise_curve``, ``cost``
            and ``transfer`` are of.
        further: the same of each further norm that was searched, in the order asked for.
        deployed: the forms of the model that were held against it.
        examples: whether the files with the samples have them and their examples, or distances alone.
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
    norm: SearchedNorm = "l2"
    counts: Counts
    measures: dict[str, Measure]
    curve: list[Point]
    noise_curve: list[Point] = field(default_factory=list)
    transfer: TransferMatrix | None
    checks: list[Check] = field(default_factory=list)
    deployed: list[DeployedFacts] = field(default_factory=list)
    bounds: dict[str, float] | None = None
    cost: Cost
    further: dict[SearchedNorm, NormFacts] = field(default_factory=dict)
    provenance: Provenance
    examples: bool = True

    @property
    def failed(self) -> dict[str, str]:
        """The checks that failed, with what they say."""
        return {check.id: check.detail for check in self.checks if check.outcome == "FAIL"}

    @property
    def searches(self) -> dict[SearchedNorm, NormFacts]:
        """What each search came to, by its norm, the first one first."""
        first = NormFacts(counts=self.counts, curve=self.curve, noise_curve=self.noise_curve, cost=self.cost)
        return {self.norm: first, **self.further}

    def samples_file(self, norm: SearchedNorm, suffix: str = "npz") -> str:
        """The name of the file with the samples as the search in a norm left them."""
        return f"samples.{suffix}" if norm == self.norm else f"samples.{norm}.{suffix}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """A report and the rows behind it: what can be judged and compared without a model.

    ``samples`` is None where only ``report.json`` is there; ``further`` are those of further norms that are
    there. ``path`` is where it was read from; ``deployed`` what is there of deployed forms, by name.
    """

    document: ReportDocument
    samples: SampleOutcomes | None
    further: Mapping[SearchedNorm, SampleOutcomes] = field(default_factory=dict)
    path: str | None = None
    deployed: Mapping[str, DeployedRows] = field(default_factory=dict)

    def rows(self, norm: SearchedNorm) -> SampleOutcomes | None:
        """The samples as the search in a norm left them, if they are there."""
        return self.samples if norm == self.document.norm else self.further.get(norm)


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditReport(ReportDocument):
    """A finished audit: the document and the samples behind it.

    Attributes:
        samples: what the search found for the audited model, in the first norm.
        conditions: where it could go.
        made_for: the same as ``samples`` for each reference, by name.
        further_samples: the same as ``samples`` for each further norm.
        deployed_rows: what deployed forms make of the samples, by name.
    """

    samples: SearchResult
    conditions: Conditions
    made_for: dict[str, SearchResult] = field(default_factory=dict)
    further_samples: dict[SearchedNorm, SearchResult] = field(default_factory=dict)
    deployed_rows: dict[str, DeployedRows] = field(default_factory=dict)

    @property
    def results(self) -> dict[SearchedNorm, SearchResult]:
        """What was found for the audited model, by norm, the first one first."""
        return {self.norm: self.samples, **self.further_samples}

    def in_norm(self, norm: str | None) -> SearchResult:
        """What was found for the audited model in a norm, the first when None.

        Raises:
            ConfigError: it was not searched.
        """
        found = {str(searched): result for searched, result in self.results.items()}
        if norm is not None and norm not in found:
            raise ConfigError(
                f"norm= (--norm): expected one that the report has, {list(found)}, got {norm!r}"
            )
        return found[norm or self.norm]

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
        return Evidence(
            document=self, samples=self.samples, further=self.further_samples, deployed=self.deployed_rows
        )

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
