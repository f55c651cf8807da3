"""Read a stored report. Everything in it is from outside: a report may come from anywhere."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from robustcheck import measures
from robustcheck.errors import ReportRefused, one_line
from robustcheck.report._files import file_names
from robustcheck.results import (
    SCHEMA,
    AuditReport,
    Conditions,
    Evidence,
    ReportDocument,
    SampleOutcomes,
    SearchResult,
)

# no report that robustcheck wrote is larger
_MOST_BYTES = 256 * 2**20


@cache
def _adapter() -> TypeAdapter[ReportDocument]:
    return TypeAdapter(ReportDocument)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``report.json``, made from the dataclasses it is written from."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **_adapter().json_schema(),
    }


def read_document(path: Path) -> ReportDocument:
    """Read a ``report.json``, or that of a report folder.

    Raises:
        ReportRefused: the file is missing, not JSON, or not of this schema.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ReportRefused(f"{file}: expected a report of at most {_MOST_BYTES >> 20} MiB")
        stored = json.loads(file.read_text("utf-8"), parse_constant=_no_constant)
        if not isinstance(stored, dict) or stored.get("schema") != SCHEMA:
            raise ReportRefused(f"{file}: expected a report of schema {SCHEMA}")
        return _adapter().validate_python(stored)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ReportRefused(
            f"{file}: expected a report of schema {SCHEMA}: {where}: {first['msg']}"
        ) from error
    except ReportRefused:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ReportRefused(f"{file}: expected a report: {one_line(error)}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_evidence(path: Path) -> Evidence:
    """Read what a policy judges: a ``report.json`` or report folder, with ``samples.npz`` if it is there.

    Raises:
        ReportRefused: a file cannot be read, or the samples are not those of the report.
    """
    document = read_document(path)
    folder = path if path.is_dir() else path.parent
    file = folder / "samples.npz"
    samples = SampleOutcomes.load(file) if file.is_file() else None
    if samples is not None:
        _require_of(document, samples, file)
    return Evidence(document=document, samples=samples, path=str(path))


def read_report(path: Path) -> AuditReport:
    """Read a whole report folder.

    Raises:
        ReportRefused: a file is missing, cannot be read, or is not of this report.
    """
    document = read_document(path)
    folder = path if path.is_dir() else path.parent
    samples = SearchResult.load(folder / "samples.npz")
    _require_of(document, samples, folder / "samples.npz")
    if samples.input.shape != samples.adversarial.shape or len(samples.input) != len(samples):
        raise ReportRefused(f"{folder / 'samples.npz'}: expected as many inputs and examples as rows")
    return AuditReport(
        **vars(document),
        samples=samples,
        conditions=Conditions.load(folder / "box.npz"),
        made_for=_made_for(document, folder / "transfer"),
    )


def _made_for(document: ReportDocument, folder: Path) -> dict[str, SearchResult]:
    if document.transfer is None:
        return {}
    names = [row.made_for for row in document.transfer.rows if row.made_for != document.model.name]
    files = [folder / f"{name}.npz" for name in file_names(names)]
    return {name: SearchResult.load(file) for name, file in zip(names, files, strict=True)}


def _require_of(document: ReportDocument, samples: SampleOutcomes, file: Path) -> None:
    """Refuse samples of another report: a gate would judge figures that are not the report's."""
    counts = measures.count(samples)
    if counts != document.counts:
        raise ReportRefused(f"{file}: expected the samples of {document.counts}, got {counts}")
    for name, measure in measures.audit_measures(samples, None).items():
        stored = document.measures.get(name)
        if stored is None or not _same(stored.value, measure.value):
            got = None if stored is None else stored.value
            raise ReportRefused(f"{file}: gives {name} = {measure.value}, report.json says {got}")


def _same(stored: float | None, now: float | None) -> bool:
    if stored is None or now is None:
        return stored is now
    return abs(stored - now) <= 1e-9 * max(abs(stored), abs(now), 1e-300)
