"""Whether a stored report says the same everywhere.

A gate judges stored figures. A report that contradicts itself, by damage or by hand, is refused instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from robustcheck import measures
from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.results import (
    CHECKS,
    POINTS,
    DeployedRows,
    Measure,
    NormFacts,
    Point,
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
    data = document.data
    _require(document.norm not in document.further, file, "further")
    for norm, search in document.searches.items():
        _require_search(document, norm, search, file)
    _require(data.data_range is None or len(data.data_range) == 2, file, "data.data_range")
    _require(data.cost is None or len(data.cost) == 2, file, "data.cost")
    names = data.class_names
    _require(names is None or len(names) == document.model.classes, file, "data.class_names")
    ids = [check.id for check in document.checks]
    _require(len(set(ids)) == len(ids) and set(ids) <= set(CHECKS), file, "checks")
    judged = verdict_of(document.rules, complete=document.complete)
    expected = (judged,) if document.rules else (None, "INCOMPLETE")
    _require(document.verdict in expected, file, "verdict")
    if document.transfer is not None:
        _require_matrix(document.transfer, document.model.name, file)
    _require_measures(document, file)


def _require_search(document: ReportDocument, norm: SearchedNorm, search: NormFacts, file: Path) -> None:
    """Counts add up, and curves are in the norm that was searched."""
    counts, first = search.counts, document.counts
    where = "" if norm == document.norm else f"further.{norm}."
    _require(
        counts.total == counts.correct + counts.already_wrong + counts.non_finite, file, f"{where}counts"
    )
    _require(counts.correct == counts.found + counts.not_found, file, f"{where}counts")
    _require(min(vars(counts).values()) >= 0 and counts.correct > 0, file, f"{where}counts")
    same = counts.correct == first.correct and counts.already_wrong == first.already_wrong
    _require(same and counts.total == first.total, file, f"{where}counts")
    points = [*search.curve, *search.noise_curve]
    fits = all(isinstance(point, POINTS[norm]) for point in points)
    _require(bool(search.curve) and fits and search.curve[-1].radius > 0, file, f"{where}curve")


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
        elif name.startswith(("distortion.", "distortion8.", "examples.")):
            found = _found(document, name, file)
            some = found > 0 and figure.value is not None and figure.value >= 0
            n = found if name.endswith("mean_found") else counts.correct
            # some examples may have none on levels beside them
            counted = figure.n == n or (name.startswith("distortion8.") and figure.n <= n == found)
            _require((some or figure.value is None) and counted, file, f"measures.{name}")
        else:
            length = name.startswith("deployed.") and ".ratio." in name
            _require(figure.value is None or length or figure.value <= 1, file, f"measures.{name}")
    for name in known:
        _require(name in document.measures, file, f"measures.{name}")


def _found(document: ReportDocument, name: str, file: Path) -> int:
    """Of how many examples a length is: those of the search that it is of."""
    try:
        norm = measures.parse_metric(name).searched or document.norm
    except ConfigError as error:
        raise ReportRefused(_contradicts(file, f"measures.{name}")) from error
    _require(norm in document.searches, file, f"measures.{name}")
    return document.searches[norm].counts.found


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


def require_samples(
    document: ReportDocument, found: Mapping[SearchedNorm, SampleOutcomes], folder: Path
) -> None:
    """Refuse samples of another report: a gate would judge figures that are not the report's.

    ``found``: those that are there, by the norm that they should be in.

    Raises:
        ReportRefused: naming the figure.
    """
    for norm, samples in found.items():
        file = folder / document.samples_file(norm)
        if samples.norm != norm:
            raise ReportRefused(f"{file}: expected a search in {norm}, got one in {samples.norm}")
        _require_rows(document, samples, file, first=norm == document.norm)


def require_forms(document: ReportDocument, forms: Mapping[str, DeployedRows], folder: Path) -> None:
    """Refuse what deployed forms of another report make of its samples.

    Raises:
        ReportRefused: naming the figure.
    """
    for name, figure in measures.deployed_measures(forms).items():
        stored = document.measures.get(name)
        if stored is None or not same(stored, figure):
            got = None if stored is None else stored.value
            raise ReportRefused(f"{folder}: deployed/ gives {name} = {figure.value}, report.json says {got}")


def _require_rows(document: ReportDocument, samples: SampleOutcomes, file: Path, *, first: bool) -> None:
    counts, expected = measures.count(samples), document.searches[samples.norm].counts
    if counts != expected:
        raise ReportRefused(f"{file}: expected the samples of {expected}, got {counts}")
    figures = measures.audit_measures({samples.norm: samples}, None)
    if not first:
        figures = measures.distortion_measures(samples)
    for name, figure in figures.items():
        stored = document.measures.get(name)
        if stored is None or not same(stored, figure):
            got = None if stored is None else stored.value
            raise ReportRefused(f"{file}: gives {name} = {figure.value}, report.json says {got}")
    drawn = measures.robust_accuracy_curve(samples)
    stored_curve = document.searches[samples.norm].curve
    if len(drawn) != len(stored_curve) or not all(map(_same_point, stored_curve, drawn)):
        raise ReportRefused(f"{file}: gives another curve than report.json says")


def _same_point(stored: Point, now: Point) -> bool:
    pairs = ((stored.radius, now.radius), (stored.accuracy, now.accuracy))
    return all(math.isclose(then, today, rel_tol=1e-9, abs_tol=1e-12) for then, today in pairs)


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
