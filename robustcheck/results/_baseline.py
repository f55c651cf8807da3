"""What a test keeps of an audit, to hold another model against it later."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeAlias

import numpy as np

from robustcheck.config import SearchedNorm
from robustcheck.results._document import AuditReport, DataFacts, ModelFacts, Provenance, plain
from robustcheck.results._outcomes import SampleDistances

BASELINE_SCHEMA = "robustcheck.baseline/2"

# a sample as a file holds it: row in the source, digest, label, status, distance or None
Ended: TypeAlias = Literal["FOUND", "ALREADY_WRONG", "NOT_FOUND", "NON_FINITE"]
Row: TypeAlias = tuple[int, str, int, Ended, float | None]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """One audit in one norm as a test keeps it: what was audited and how, and a row a sample.

    Attributes:
        model, data, provenance: as a report has them; of paths the file names.
        clean_accuracy: share of the finite samples that are classified right.
        norm: that the distances are in.
        median: median distance of these; None where it falls on samples not found. Both figures are here to
            be read; what is compared are the samples.
        samples: a row a sample.
        references: none; examples for other models are not kept.
        complete: as for a report.
    """

    model: ModelFacts
    data: DataFacts
    provenance: Provenance
    clean_accuracy: float | None
    norm: SearchedNorm
    median: float | None
    samples: list[Row]
    references: list[ModelFacts] = field(default_factory=list)
    complete: bool = True
    failed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, report: AuditReport, norm: SearchedNorm | None = None) -> Self:
        """What is kept of a report, of its first norm or another; distances to float32's seven digits."""
        norm = report.norm if norm is None else norm
        rows = report.results[norm]
        columns = zip(rows.index, rows.sample_id, rows.label, rows.status, rows.distance, strict=True)
        return cls(
            model=replace(report.model, path=_name(report.model.path)),
            data=replace(report.data, path=_name(report.data.path)),
            provenance=report.provenance,
            clean_accuracy=report.measures["accuracy.clean"].value,
            norm=norm,
            median=report.measures[f"distortion.{norm}.median"].value,
            samples=[
                (int(index), str(digest), int(label), str(status), _seven(float(length)))  # type: ignore[misc]
                for index, digest, label, status, length in columns
            ],
            complete=report.complete,
            failed=report.failed,
        )

    @property
    def distances(self) -> SampleDistances:
        """The samples as columns."""
        index, digest, label, status, lengths = zip(*self.samples, strict=True) if self.samples else [[]] * 5
        return SampleDistances(
            index=np.array(index, np.int64),
            sample_id=np.array(digest, "<U16"),
            label=np.array(label, np.int64),
            status=np.array(status, "<U13"),
            distance=np.array([math.inf if length is None else length for length in lengths], np.float64),
            norm=self.norm,
        )

    def to_json(self) -> str:
        """Strict JSON with a line a sample, so that a change shows as such in a diff."""
        head = {name: plain(value) for name, value in vars(self).items() if name != "samples"}
        text = json.dumps(head, indent=2, allow_nan=False)
        rows = ",\n".join(f"    {json.dumps(row, allow_nan=False)}" for row in self.samples)
        return f'{text.removesuffix("}").rstrip()},\n  "samples": [\n{rows}\n  ]\n}}'


def _name(path: str | None) -> str | None:
    """A file without its folder, which is another on every machine."""
    return None if path is None else re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _seven(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None
