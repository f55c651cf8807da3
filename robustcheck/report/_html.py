"""``report.html``: one page, self-contained, without a script."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from robustcheck import figures
from robustcheck.report._wording import (
    NORM_NAMES,
    STATISTICS,
    UPPER_BOUND,
    conditions,
    distance_title,
    interval,
    number,
    percent,
    printable,
    transfer_tables,
)
from robustcheck.results import AuditReport

_MOST_TRIPLES = 24


@dataclass(frozen=True)
class _Triple:
    """One sample as the page shows it; images are data addresses."""

    index: int
    images: tuple[str, str, str]
    factor: float
    before: str
    after: str
    l2: float
    rms: float
    linf: float


def html_page(report: AuditReport) -> str:
    """The page. Everything from outside is escaped by the template engine."""
    page: str = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            norms=NORM_NAMES,
            statistics=STATISTICS,
            upper_bound=UPPER_BOUND,
            distance_title=distance_title(report),
            conditions=conditions(report),
            curve=Markup(figures.curve_svg(report.curve)),
            transfer=transfer_tables(report),
            triples=_triples(report),
        )
    )
    return page


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("robustcheck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "heat": _heat,
        "percent": percent,
        "interval": interval,
        "printable": printable,
    }
    return environment


def _heat(error: float | None) -> str:
    """Class of a cell by its error, h0 to h8."""
    return "" if error is None else f"h{round(8 * error)}"


def _triples(report: AuditReport) -> list[_Triple]:
    """Original, perturbation and example of the nearest samples."""
    result = report.samples
    if not figures.is_image(result.input.shape[1:]):
        return []
    found = np.flatnonzero(result.found)
    nearest = found[np.argsort(result.l2[found], kind="stable")][:_MOST_TRIPLES]
    shown = result.input[nearest], result.adversarial[nearest]
    if not len(nearest):
        return []
    low, high = (float(pick([pick(part) for part in shown])) for pick in (np.min, np.max))
    names = report.data.class_names
    return [_triple(result, row, low, high, names) for row in nearest]


def _triple(result: Any, row: int, low: float, high: float, names: list[str] | None) -> _Triple:
    before, after = result.input[row], result.adversarial[row]
    perturbation = after - before
    largest = float(np.abs(perturbation).max())
    pictures = (
        figures.image_png(before, low, high),
        figures.image_png(perturbation, -largest, largest),
        figures.image_png(after, low, high),
    )
    addresses = [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in pictures]

    def told(label: int, confidence: float) -> str:
        name = str(label) if names is None else printable(names[label])
        return f"{name}, {percent(confidence)}"

    return _Triple(
        index=int(result.index[row]),
        images=(addresses[0], addresses[1], addresses[2]),
        factor=0.5 * (high - low) / largest if largest else 1.0,
        before=told(int(result.label[row]), float(result.confidence_before[row])),
        after=told(int(result.predicted[row]), float(result.confidence_after[row])),
        l2=float(result.l2[row]),
        rms=float(result.rms[row]),
        linf=float(result.linf[row]),
    )
