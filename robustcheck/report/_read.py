"""Read a stored report. Everything in it is from outside: a report may come from anywhere."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from robustcheck.config import SearchedNorm
from robustcheck.errors import ReportRefused
from robustcheck.measures import Grounds, believed
from robustcheck.report._files import file_names
from robustcheck.report._validate import require_consistent, require_forms, require_samples
from robustcheck.results import (
    SCHEMA,
    AuditReport,
    Conditions,
    DeployedRows,
    Evidence,
    ReportDocument,
    SampleOutcomes,
    SearchResult,
)
from robustcheck.stored import read_json
from robustcheck.text import option

_FIRST = "robustcheck.report/1"
_OTHER_NORM = re.compile(r"^distortion\.(?=(linf|l1|l0)\.)")


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


def _of_first_schema(stored: dict[str, Any]) -> dict[str, Any]:
    """A report of the time when all searches were in L2: what it calls distances in other norms were none."""
    measures = stored.get("measures")
    if isinstance(measures, dict):
        measures = {_OTHER_NORM.sub("examples.", str(name)): figure for name, figure in measures.items()}
    return {**stored, "schema": SCHEMA, "measures": measures}


def read_document(path: Path) -> ReportDocument:
    """Read a ``report.json``, or that of a report folder.

    Raises:
        ReportRefused: the file is missing, not JSON, not of this schema, or contradicts itself.
    """
    file = path / "report.json" if path.is_dir() else path
    if not os.path.lexists(file):
        raise ReportRefused(f"{path}: expected a report folder or its report.json, got nothing there")
    document = read_json(
        file,
        "a report",
        schema=SCHEMA,
        older={_FIRST: _of_first_schema},
        validate=lambda _, text: _adapter().validate_json(text, strict=True),
    )
    require_consistent(document, file)
    return replace(document, measures=believed(document.measures, Grounds.of(document)))


def read_evidence(path: Path) -> Evidence:
    """Read what a policy judges: a report folder, or a ``report.json`` with the samples that lie beside it.

    Raises:
        ReportRefused: a file cannot be read, or the samples are not those of the report.
    """
    document = read_document(path)
    folder = path if path.is_dir() else path.parent
    # of a report.json that is named itself the figures are judged as they stand where it lies alone
    files = {
        norm: file
        for norm, file in _sample_files(document, folder).items()
        if path.is_dir() or os.path.lexists(file)
    }
    found = {norm: SampleOutcomes.load(file) for norm, file in files.items()}
    require_samples(document, found, folder)
    deployed = _deployed(document, folder, needed=path.is_dir())
    samples = found.pop(document.norm, None)
    return Evidence(document=document, samples=samples, further=found, path=str(path), deployed=deployed)


def _sample_files(document: ReportDocument, folder: Path) -> dict[SearchedNorm, Path]:
    """The files with the samples, by the norm that was searched.

    Raises:
        ReportRefused: one is a link: samples of another report, perhaps.
    """
    files = {norm: folder / document.samples_file(norm) for norm in document.searches}
    for file in files.values():
        if file.is_symlink():
            raise ReportRefused(f"{file}: expected the samples of the report, got a link")
    return files


def read_report(path: Path) -> AuditReport:
    """Read a whole report folder.

    Raises:
        ReportRefused: a file is missing, cannot be read, or is not of this report.
    """
    document = read_document(path)
    if not document.examples:
        raise ReportRefused(
            f"{path}: expected a report with its samples and examples, got one that was written without "
            f"({option('no_examples')}); gate and compare read it"
        )
    folder = path if path.is_dir() else path.parent
    found = {norm: SearchResult.load(file) for norm, file in _sample_files(document, folder).items()}
    require_samples(document, found, folder)
    conditions = Conditions.load(folder / "box.npz")
    samples = found.pop(document.norm)
    width = math.prod(samples.input.shape[1:])
    shapes = {array.shape for rows in (samples, *found.values()) for array in (rows.input, rows.adversarial)}
    if len(shapes) != 1 or len(conditions.lower) != width:
        raise ReportRefused(f"{folder}: expected inputs, examples and a box of the same features")
    return AuditReport(
        **vars(document),
        samples=samples,
        conditions=conditions,
        further_samples=found,
        made_for=_made_for(document, folder / "transfer"),
        deployed_rows=_deployed(document, folder, needed=True),
    )


def _deployed(document: ReportDocument, folder: Path, *, needed: bool) -> dict[str, DeployedRows]:
    """What deployed forms make of the samples, by name; nothing where that is not there and not ``needed``.

    Raises:
        ReportRefused: they are of another report.
    """
    names = [form.name for form in document.deployed]
    files = [folder / "deployed" / f"{file}.npz" for file in file_names(names)]
    if not needed and not all(map(os.path.lexists, files)):
        return {}
    rows = {name: DeployedRows.load(file) for name, file in zip(names, files, strict=True)}
    require_forms(document, rows, folder)
    return rows


def _made_for(document: ReportDocument, folder: Path) -> dict[str, SearchResult]:
    if document.transfer is None:
        return {}
    names = [row.made_for for row in document.transfer.rows if row.made_for != document.model.name]
    files = [folder / f"{name}.npz" for name in file_names(names)]
    return {name: SearchResult.load(file) for name, file in zip(names, files, strict=True)}
