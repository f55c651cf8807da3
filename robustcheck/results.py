"""All that an audit can find: frozen dataclasses of NumPy arrays and plain values, to and from files."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ReportRefused

__all__ = [
    "AuditReport",
    "EqualDistortion",
    "Measure",
    "ScalePoint",
    "SearchResult",
    "Status",
    "TransferMatrix",
    "TransferRow",
]

SCHEMA = "robustcheck.report/1"
NORMS = ("l2", "rms", "linf", "l1", "l0")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Status(StrEnum):
    """How a sample ended."""

    FOUND = "FOUND"
    ALREADY_WRONG = "ALREADY_WRONG"
    NOT_FOUND = "NOT_FOUND"
    NON_FINITE = "NON_FINITE"


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult:
    """One row a sample, in input order. ``N`` samples of the model's input shape.

    A distance is an upper bound of the true minimum, in box units, measured in float64 from the arrays stored
    here; ``inf`` where nothing was found.

    Attributes:
        index: row in the source, ``[N]``.
        label: true class, ``[N]``.
        status: a :class:`Status`, ``[N]``.
        input: the sample, ``[N, *shape]`` float32 (several inputs: flat rows ``[N, D]``).
        adversarial: the nearest misclassified input found, the same shape; the sample itself where that is
            already wrong, NaN where none was found.
        predicted: class of ``adversarial`` by the plain model, of the sample where none was found, -1 where
            it is not finite, ``[N]``.
        target: class that was to be reached, -1 = any other, ``[N]``.
        confidence_before, confidence_after: softmax probability of the prediction for the sample and for
            ``adversarial``, NaN where there is none, ``[N]``.
        l2, rms, linf, l1, l0: norms of ``adversarial - input``, ``[N]``; rms = l2 / sqrt(features), l0 counts
            the features changed.
        gradient_evaluations, forward_evaluations: passes spent on the sample, ``[N]``.
        l2_halfway: the L2 distance that half the budget would have given, ``[N]``; infinite where it would
            have found nothing, NaN where the method cannot tell.
        starts_agreed: starts of the search that ended within 1 % of the nearest, ``[N]``.
    """

    index: Ints
    label: Ints
    status: NDArray[np.str_]
    input: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    predicted: Ints
    target: Ints
    confidence_before: Floats
    confidence_after: Floats
    l2: Floats
    rms: Floats
    linf: Floats
    l1: Floats
    l0: Floats
    gradient_evaluations: Ints
    forward_evaluations: Ints
    l2_halfway: Floats
    starts_agreed: Ints

    def __len__(self) -> int:
        return len(self.index)

    def is_(self, *status: Status) -> NDArray[np.bool_]:
        """Mask of the samples that ended in one of these ways, ``[N]``."""
        return np.isin(self.status, [str(one) for one in status])

    @property
    def found(self) -> NDArray[np.bool_]:
        """Mask of the samples with an example, ``[N]``."""
        return self.is_(Status.FOUND)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Mask of the samples that the model classifies right, ``[N]``."""
        return self.is_(Status.FOUND, Status.NOT_FOUND)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` without pickles."""
        np.savez_compressed(path, **{one.name: getattr(self, one.name) for one in fields(self)})

    @staticmethod
    def load(path: Path) -> SearchResult:
        """Read what :meth:`save` wrote."""
        names = [one.name for one in fields(SearchResult)]
        try:
            with np.load(path, allow_pickle=False) as stored:
                return SearchResult(**{name: stored[name] for name in names})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ReportRefused(f"{path}: expected samples that robustcheck wrote: {error}") from error


@dataclass(frozen=True)
class Measure:
    """A figure with the number of samples behind it and its 95 % interval; None where not measured."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class ScalePoint:
    """Error of every model on examples whose perturbations are scaled by ``scale``, then clipped."""

    scale: float
    rms: float
    error: list[float]


@dataclass(frozen=True, kw_only=True)
class TransferRow:
    """What the examples made for one model do to every model, a list entry a model.

    Attributes:
        made_for: the model.
        n: samples with an example for it; fractions are of these unless said otherwise.
        rms: mean RMS of the perturbations after clipping; None of nothing.
        clean_error: error on the samples themselves.
        errors, error: number and fraction of the examples that are misclassified.
        low, high: 95 % Wilson interval of the fraction.
        excess: ``error - clean_error``.
        right, error_of_right: samples that the column's model classifies right, and the fraction of their
            examples that it gets wrong.
        noise_rms, noise_error: mean RMS after clipping, and error, of Gaussian noise that had each
            perturbation's length before clipping; over several draws.
        curve: the error over the scale of the perturbations.
    """

    made_for: str
    n: int
    rms: float | None
    clean_error: list[float | None]
    errors: list[int | None]
    error: list[float | None]
    low: list[float | None]
    high: list[float | None]
    excess: list[float | None]
    right: list[int | None]
    error_of_right: list[float | None]
    noise_rms: float | None
    noise_error: list[float | None]
    curve: list[ScalePoint] = field(default_factory=list)

    @staticmethod
    def empty(made_for: str, models: int) -> TransferRow:
        """The row of a model that no example was found for."""
        lists = {
            "clean_error": [None], "errors": [None], "error": [None], "low": [None], "high": [None],
            "excess": [None], "right": [None], "error_of_right": [None], "noise_error": [None],
        }  # fmt: skip
        nothing: dict[str, Any] = {name: one * models for name, one in lists.items()}
        return TransferRow(made_for=made_for, n=0, rms=None, noise_rms=None, **nothing)


@dataclass(frozen=True, kw_only=True)
class EqualDistortion:
    """The rows at one RMS: all perturbations scaled to it, then clipped; a row's ``rms`` is what was left."""

    rms: float
    rows: list[TransferRow]


@dataclass(frozen=True, kw_only=True)
class TransferMatrix:
    """Error of every model (columns) on the examples made for every model (rows).

    ``clean_error`` is each model's error on all samples; each row holds the clean error on its own samples
    (those found for the row's model) beside the error on their examples. ``equal`` holds the same for
    examples of one size.
    """

    models: list[str]
    clean_error: list[float]
    rows: list[TransferRow]
    equal: list[EqualDistortion] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Which model was audited."""

    name: str
    path: str | None
    sha256: str | None
    parameters: int | None
    input_shape: list[int]
    classes: int
    head: str


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Which samples it was audited on, and under which conditions.

    ``labels`` is "data", or "model" where the model's own predictions stand for them; ``target`` the class
    that examples had to reach, None = any other; ``frozen`` how many features could not change.
    """

    path: str | None
    sha256: str | None
    samples: int
    limit: int | None
    box: str
    data_range: list[float] | None
    labels: str
    target: str | None
    frozen: int
    class_names: list[str] | None = None
    notes: list[str] = field(default_factory=list)


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
    options: dict[str, Any]
    started: str
    command: str | None


@dataclass(frozen=True, kw_only=True)
class ReportDocument:
    """What ``report.json`` holds."""

    schema: str = SCHEMA
    verdict: Literal["PASS", "FAIL", "INCOMPLETE"] | None = None
    rules: list[dict[str, Any]] = field(default_factory=list)
    model: ModelFacts
    references: list[ModelFacts] = field(default_factory=list)
    data: DataFacts
    counts: Counts
    measures: dict[str, Measure]
    curve: list[CurvePoint]
    transfer: TransferMatrix | None
    checks: list[Check] = field(default_factory=list)
    bounds: dict[str, Any] | None = None
    cost: Cost
    provenance: Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditReport(ReportDocument):
    """A finished audit: the document and the samples behind it.

    Attributes:
        samples: what the search found for the audited model.
        made_for: the same for each reference, by name.
    """

    samples: SearchResult
    made_for: dict[str, SearchResult] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The document as plain values; figures that are not finite become None."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(ReportDocument)}

    def to_json(self) -> str:
        """Strict JSON: ASCII, no NaN, no Infinity."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
