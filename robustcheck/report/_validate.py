"""Whether a stored report says the same everywhere.

A gate judges stored figures. A report that contradicts itself, by damage or by hand, is refused instead.
"""

from __future__ import annotations

import math
from pathlib import Path

from robustcheck import measures
from robustcheck.errors import ReportRefused
from robustcheck.results import (
    CHECKS,
    Measure,
    ReportDocument,
    SampleOutcomes,
    TransferMatrix,
    TransferRow,
    verdict_of,
)


def require_consistent(document: ReportDocument, file: Path) -> None:
    """Refuse a document whose parts contradict each other.

    Raises:
        ReportRefused: naming the part.
    """
    counts, data = document.counts, document.data
    _require(counts.total == counts.correct + counts.already_wrong + counts.non_finite, file, "counts")
    _require(counts.correct == counts.found + counts.not_found, file, "counts")
    _require(min(vars(counts).values()) >= 0 and counts.correct > 0, file, "counts")
    _require(data.data_range is None or len(data.data_range) == 2, file, "data.data_range")
    names = data.class_names
    _require(names is None or len(names) == document.model.classes, file, "data.class_names")
    _require(bool(document.curve) and document.curve[-1].l2 > 0, file, "curve")
    ids = [check.id for check in document.checks]
    _require(len(set(ids)) == len(ids) and set(ids) <= set(CHECKS), file, "checks")
    judged = verdict_of(document.rules, complete=document.complete)
    expected = (judged,) if document.rules else (None, "INCOMPLETE")
    _require(document.verdict in expected, file, "verdict")
    if document.transfer is not None:
        _require_matrix(document.transfer, document.model.name, file)
    _require_measures(document, file)


def _require_measures(document: ReportDocument, file: Path) -> None:
    """Shares are those of the counts and of the matrix; distances are none of a search that found none."""
    counts = document.counts
    known = {
        "accuracy.clean": measures.share(counts.correct, counts.correct + counts.already_wrong),
        "attack.found": measures.share(counts.found, counts.correct),
    }
    if document.transfer is not None:
        known |= measures.transfer_measures(document.transfer)
    for name, figure in document.measures.items():
        if name in known or name.startswith("transfer."):
            _require(name in known and same(known[name], figure), file, f"measures.{name}")
        elif name.startswith("distortion."):
            some = counts.found > 0 and figure.value is not None and figure.value >= 0
            n = counts.found if name.endswith("mean_found") else counts.correct
            _require((some or figure.value is None) and figure.n == n, file, f"measures.{name}")
        else:
            _require(figure.value is None or figure.value <= 1, file, f"measures.{name}")
    for name in known:
        _require(name in document.measures, file, f"measures.{name}")


def _require_matrix(matrix: TransferMatrix, subject: str, file: Path) -> None:
    models = matrix.models
    fits = len(set(models)) == len(models) == len(matrix.clean_error) and models[:1] == [subject]
    _require(fits and bool(matrix.rows) and not any("->" in name for name in models), file, "transfer.models")
    for rows in (matrix.rows, *(part.rows for part in matrix.equal)):
        for row in rows:
            _require_row(row, models, file)
    _require(matrix.rows[0].made_for == subject, file, "transfer.rows")


def _require_row(row: TransferRow, models: list[str], file: Path) -> None:
    lists = [values for values in vars(row).values() if isinstance(values, list) and values is not row.curve]
    where = "transfer.rows"
    _require(row.made_for in models and row.n >= 0, file, where)
    _require(all(len(values) == len(models) for values in lists), file, where)
    _require(all(len(point.error) == len(models) for point in row.curve), file, where)
    for errors, error, clean, excess in zip(row.errors, row.error, row.clean_error, row.excess, strict=True):
        if row.n == 0:
            _require(errors is error is None, file, where)
            continue
        if errors is None or error is None or clean is None or excess is None:
            raise ReportRefused(_contradicts(file, where))
        fits = 0 <= errors <= row.n and math.isclose(error, errors / row.n, abs_tol=1e-9) and 0 <= clean <= 1
        _require(fits and math.isclose(excess, error - clean, abs_tol=1e-9), file, where)


def require_samples(document: ReportDocument, samples: SampleOutcomes, file: Path) -> None:
    """Refuse samples of another report: a gate would judge figures that are not the report's.

    Raises:
        ReportRefused: naming the figure.
    """
    counts = measures.count(samples)
    if counts != document.counts:
        raise ReportRefused(f"{file}: expected the samples of {document.counts}, got {counts}")
    for name, figure in measures.audit_measures(samples, None).items():
        stored = document.measures.get(name)
        if stored is None or not same(stored, figure):
            got = None if stored is None else stored.value
            raise ReportRefused(f"{file}: gives {name} = {figure.value}, report.json says {got}")


def same(stored: Measure, now: Measure) -> bool:
    """Whether two figures are the same but for rounding."""
    if stored.value is None or now.value is None:
        return stored.value is now.value
    return stored.n == now.n and math.isclose(stored.value, now.value, rel_tol=1e-9, abs_tol=1e-12)


def _require(condition: bool, file: Path, where: str) -> None:
    if not condition:
        raise ReportRefused(_contradicts(file, where))


def _contradicts(file: Path, where: str) -> str:
    return f"{file}: expected a report that says the same everywhere; {where} contradicts the rest"
