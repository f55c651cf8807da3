"""Reports made of plain numbers, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustcheck import measures
from robustcheck.results import (
    NORMS,
    Cost,
    DataFacts,
    Evidence,
    ModelFacts,
    Provenance,
    ReportDocument,
    SearchResult,
    Status,
)


def result_of(status: list[Status], l2: Any, *, first_id: int = 0) -> SearchResult:
    """Rows that ended so, at these distances; ``first_id`` makes them other samples."""
    n = len(status)
    whole, zeros = np.zeros(n, np.int64), np.zeros(n)
    distances = np.array(l2, float)
    norms = dict.fromkeys(NORMS, distances)
    return SearchResult(
        index=np.arange(n), sample_id=np.array([f"{first_id + i:016x}" for i in range(n)]), label=whole,
        status=np.array([str(one) for one in status]),
        input=np.zeros((n, 2), np.float32), adversarial=np.zeros((n, 2), np.float32), predicted=whole,
        target=whole - 1, confidence_before=zeros, confidence_after=zeros, gradient_evaluations=whole,
        forward_evaluations=whole, l2_halfway=2 * distances, starts_agreed=whole, **norms,
    )  # fmt: skip


def found(l2: Any, *, wrong: int = 0, lost: int = 0, first_id: int = 0) -> SearchResult:
    """Samples found at these distances, after some that are wrong already and some not found."""
    status = [Status.ALREADY_WRONG] * wrong + [Status.NOT_FOUND] * lost + [Status.FOUND] * len(l2)
    return result_of(status, [0.0] * wrong + [np.inf] * lost + list(l2), first_id=first_id)


def evidence(samples: SearchResult, **changes: Any) -> Evidence:
    """A report on these rows; ``changes`` are fields of the document."""
    data = DataFacts(
        path=None, sha256=None, samples=len(samples), limit=None, box="[0, 1]", box_sha256="0" * 64,
        data_range=None,
        labels="data", target=None, frozen=0,
    )  # fmt: skip
    settings: dict[str, Any] = {
        "model": ModelFacts(
            name="m", path=None, sha256=None, parameters=1, input_shape=[2], classes=2, head="logits"
        ),
        "data": data,
        "counts": measures.count(samples),
        "measures": measures.audit_measures(samples, None),
        "curve": measures.robust_accuracy_curve(samples),
        "transfer": None,
        "cost": Cost(gradient_evaluations_per_sample=1.0, forward_evaluations_per_sample=1.0, seconds=1.0),
        "provenance": Provenance(
            robustcheck="0", python="3", tensorflow="2", keras="3", tensorflow_probability="0", numpy="2",
            device="CPU", dtype="float32", seed=0, batch_size=1,
            options={"method": "boundary", "budget": 300}, started="2026-01-01T00:00:00+00:00", command=None,
        ),
    }  # fmt: skip
    return Evidence(document=ReportDocument(**(settings | changes)), samples=samples)
