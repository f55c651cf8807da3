"""How figures are written, the same in every form of the report."""

from __future__ import annotations

import re

from robustcheck.results import Measure, ReportDocument

UPPER_BOUND = (
    "Distances are upper bounds of the true minimum: the search found a misclassified input at that "
    "distance, and a nearer one may exist."
)
NORM_NAMES = {"l2": "L2", "rms": "RMS", "linf": "Linf", "l1": "L1", "l0": "L0 (features changed)"}
STATISTICS = ("mean", "p05", "median", "p95", "max")


def number(value: float | None) -> str:
    """Four significant digits; a dash for what was not measured."""
    return "-" if value is None else f"{value:.4g}"


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal; a dash for what was not measured."""
    return "-" if value is None else f"{100 * value:.1f} %"


def interval(measure: Measure, *, as_percent: bool = False) -> str:
    """``value (low to high)``."""
    show = percent if as_percent else number
    if measure.low is None or measure.high is None:
        return show(measure.value)
    return f"{show(measure.value)} ({show(measure.low)} to {show(measure.high)})"


def printable(text: str) -> str:
    """Text from outside without control and direction characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", "\ufffd", text)


def transfer_cells(document: ReportDocument) -> list[tuple[str, list[str]]]:
    """The transfer table: a row a model, each cell ``error (clean)``."""
    if document.transfer is None:
        return []
    return [
        (
            printable(row.made_for),
            [
                f"{percent(error)} ({percent(clean)})"
                for error, clean in zip(row.error, row.clean_error, strict=True)
            ],
        )
        for row in document.transfer.rows
    ]
