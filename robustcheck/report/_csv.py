"""``samples.csv``: one row a sample, for a spreadsheet."""

from __future__ import annotations

import csv
import io

import numpy as np

from robustcheck.norms import NORMS
from robustcheck.report._wording import class_name
from robustcheck.results import AuditReport, SampleOutcomes
from robustcheck.text import printable

_COLUMNS = (
    "index",
    "sample_id",
    "status",
    "label",
    "label_name",
    "predicted",
    "predicted_name",
    "target",
    "confidence_before",
    "confidence_after",
    "norm",
    *NORMS,
    "gradient_evaluations",
    "forward_evaluations",
)

# what begins a formula in some spreadsheet, with the full-width forms of the same characters
_FORMULA = tuple("=+-@|%\uff1d\uff0b\uff0d\uff20\ufffd")


def samples_csv(report: AuditReport) -> str:
    """The samples in the norm that was searched first."""
    return rows_csv(report, report.samples)


def rows_csv(report: AuditReport, result: SampleOutcomes) -> str:
    """The samples of a search; a figure that does not exist is an empty cell, names cannot be formulas."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    there = [name for name in _COLUMNS if name in result.columns()]
    for row in range(len(result)):
        cells = {"norm": result.norm, **{name: getattr(result, name)[row] for name in there}}
        for name in ("label", "predicted"):
            cells[f"{name}_name"] = _text(class_name(report, int(cells[name])))
        writer.writerow([_cell(cells[name]) for name in _COLUMNS])
    return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, np.floating):
        return f"{value:.9g}" if np.isfinite(value) else ""
    return _text(value) if isinstance(value, str) else value


def _text(name: str) -> str:
    """A name that a spreadsheet takes as text: a quote before what would begin a formula."""
    plain = printable(name)
    return f"'{plain}" if plain.lstrip()[:1] in _FORMULA else plain
