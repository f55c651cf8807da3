"""Reports made of plain numbers, without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from robustcheck import measures
from robustcheck.config import SearchedNorm
from robustcheck.norms import NORMS
from robustcheck.results import (
    AuditReport,
    Conditions,
    Cost,
    DataFacts,
    Evidence,
    ModelFacts,
    NormFacts,
    Provenance,
    ReportDocument,
    SearchResult,
    Status,
    TransferMatrix,
    TransferRow,
)


def result_of(
    status: list[Status], distances: Any, *, first_id: int = 0, norm: SearchedNorm = "l2"
) -> SearchResult:
    """Rows that ended so, at these distances; ``first_id`` makes them other samples."""
    n = len(status)
    whole, zeros = np.zeros(n, np.int64), np.zeros(n)
    distances = np.array(distances, float)
    norms = dict.fromkeys(NORMS, distances)
    return SearchResult(
        index=np.arange(n), sample_id=np.array([f"{first_id + i:016x}" for i in range(n)]), label=whole,
        status=np.array([str(ending) for ending in status]),
        input=np.zeros((n, 2), np.float32), adversarial=np.zeros((n, 2), np.float32), predicted=whole,
        target=whole - 1, confidence_before=zeros, confidence_after=zeros, gradient_evaluations=whole,
        forward_evaluations=whole, halfway=2 * distances, starts_agreed=whole,
        distance8=1.02 * distances, scale8=zeros + 1, threshold8=zeros + 0.5, norm=norm, **norms,
    )  # fmt: skip


def found(
    distances: Any, *, wrong: int = 0, lost: int = 0, first_id: int = 0, norm: SearchedNorm = "l2"
) -> SearchResult:
    """Samples found at these distances, after some that are wrong already and some not found."""
    status = [Status.ALREADY_WRONG] * wrong + [Status.NOT_FOUND] * lost + [Status.FOUND] * len(distances)
    lengths = [0.0] * wrong + [np.inf] * lost + list(distances)
    return result_of(status, lengths, first_id=first_id, norm=norm)


def evidence(samples: SearchResult, *further: SearchResult, **changes: Any) -> Evidence:
    """A report on these rows, in several norms perhaps; ``changes`` are fields of the document."""
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
        **vars(searched(samples)),
        "norm": samples.norm,
        "further": {result.norm: searched(result) for result in further},
        "measures": measures.audit_measures({result.norm: result for result in (samples, *further)}, None),
        "transfer": None,
        "provenance": Provenance(
            robustcheck="0", python="3", tensorflow="2", keras="3", tensorflow_probability="0", numpy="2",
            device="CPU", dtype="float32", seed=0, batch_size=1,
            options={"method": "boundary", "budget": 300}, started="2026-01-01T00:00:00+00:00", command=None,
        ),
    }  # fmt: skip
    document = ReportDocument(**(settings | changes))
    trusted = measures.believed(document.measures, measures.Grounds.of(document))
    return Evidence(
        document=replace(document, measures=trusted),
        samples=samples,
        further={result.norm: result for result in further},
    )


def searched(samples: SearchResult) -> NormFacts:
    """What a search came to."""
    return NormFacts(
        counts=measures.count(samples),
        curve=measures.robust_accuracy_curve(samples),
        cost=Cost(gradient_evaluations_per_sample=1.0, forward_evaluations_per_sample=1.0, seconds=1.0),
    )


def report(samples: SearchResult, *further: SearchResult, **changes: Any) -> AuditReport:
    """The same as a finished audit."""
    two = np.zeros(2, np.float32)
    conditions = Conditions(lower=two, upper=two + 1, freeze=np.zeros(2, bool), cost=two + 1)
    return AuditReport(
        **vars(evidence(samples, *further, **changes).document),
        samples=samples,
        conditions=conditions,
        further_samples={result.norm: result for result in further},
    )


def fooled(samples: SearchResult, errors: int) -> TransferMatrix:
    """A reference ``r`` that errs on so many of the examples, and on none of the samples."""
    n = int(samples.found.sum())
    low_high = (measures.share(errors, n), measures.share(n, n))
    row = TransferRow(
        made_for="m", n=n, rms=0.1, clean_error=[0.0, 0.0], errors=[n, errors], error=[1.0, errors / n],
        low=[low_high[1].low, low_high[0].low], high=[1.0, low_high[0].high],
        excess=[1.0, errors / n], right=[n, n], error_of_right=[1.0, errors / n], noise_rms=0.1,
        noise_error=[0.0, 0.0],
    )  # fmt: skip
    return TransferMatrix(models=["m", "r"], clean_error=[0.0, 0.0], rows=[row])
