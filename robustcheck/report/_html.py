"""``report.html``: one page without a script, self-contained or with its styles and images beside it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from robustcheck.config import SearchedNorm
from robustcheck.report import _drawings
from robustcheck.report._forms import BESIDE, COLUMNS, EXPLAINED, FormLine, form_lines, forms_title
from robustcheck.report._triples import (
    PAGE,
    Caption,
    ChangedRow,
    FeatureChange,
    PageLimits,
    Triple,
    changed_rows,
    most_changed,
    triples,
    weakest,
)
from robustcheck.report._wording import (
    STATISTICS,
    TITLES,
    accepted,
    caveats,
    class_name,
    headline,
    interval,
    length_tables,
    number,
    rules_by_outcome,
    scope,
    transfer_tables,
    trusted,
    unit,
)
from robustcheck.results import AuditReport, DeployedRows, NormFacts, SearchResult
from robustcheck.text import percent, printable

_MOST_CLASSES = 30


@dataclass(frozen=True)
class Page:
    """The page, and the files that go beside it by their path."""

    text: str
    assets: dict[str, bytes]


@dataclass(frozen=True)
class _Shown:
    """A triple as the page addresses it."""

    index: int
    addresses: list[str]
    factor: float
    caption: Caption


@dataclass(frozen=True, kw_only=True)
class _Search:
    """A search as the page shows it: drawings, nearest examples as pictures or as changed features."""

    title: str
    facts: NormFacts
    curve: Markup
    histogram: Markup | None
    classes: Markup | None
    shown_classes: int
    classes_left_out: int
    triples: list[_Shown]
    features: list[FeatureChange]
    rows: list[ChangedRow]


@dataclass(frozen=True, kw_only=True)
class _Form:
    """A deployed form as the page shows it; ``beyond``: samples that it never errs on in the scan."""

    line: FormLine
    histogram: Markup | None
    beyond: int
    weakest: list[_Shown]


def html_page(report: AuditReport, *, assets: bool = False, limits: PageLimits = PAGE) -> Page:
    """The page. Everything from outside is escaped by the template engine.

    With ``assets`` styles and images are files of their own, for servers that forbid inline content.
    """
    style = environment().get_template("style.css").render()
    files = {"assets/style.css": style.encode()} if assets else {}
    searches: list[_Search] = []
    for number_of, (norm, result) in enumerate(report.results.items()):
        stem = f"{norm}-" if number_of else ""
        shown, made = _addressed(triples(report, result, limits), stem, assets=assets)
        files |= made
        searches.append(_search(report, norm, result, shown))
    forms: list[_Form] = []
    for line, rows in zip(form_lines(report), report.deployed_rows.values(), strict=True):
        shown, made = _addressed(weakest(report, rows), f"form{len(forms)}-", assets=assets)
        files |= made
        forms.append(_form(line, rows, shown))
    text: str = (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            style=None if assets else Markup(style),
            policy=Markup(content_policy(None if assets else style)),
            headline=headline(report),
            trusted=trusted(report),
            accepted=accepted(report),
            scope=scope(report),
            searches=searches,
            lengths=length_tables(report),
            statistics=STATISTICS,
            rules=rules_by_outcome(report),
            caveats=caveats(report),
            transfer=transfer_tables(report),
            forms=forms,
            form_columns=COLUMNS,
            form_title=forms_title(report),
            explained=f"{EXPLAINED} {BESIDE}",
        )
    )
    return Page(text, files)


def _addressed(made: list[Triple], stem: str, *, assets: bool) -> tuple[list[_Shown], dict[str, bytes]]:
    """Triples as the page addresses them, and the files that are made for that."""
    shown: list[_Shown] = []
    files: dict[str, bytes] = {}
    for triple in made:
        parts = ("original", "perturbation", "adversarial")
        paths = [f"assets/{stem}{len(shown):03}-{part}.png" for part in parts]
        if assets:
            files |= dict(zip(paths, triple.pictures, strict=True))
        shown.append(
            _Shown(triple.index, paths if assets else _inline(triple), triple.factor, triple.caption)
        )
    return shown, files


def _form(line: FormLine, rows: DeployedRows, shown: list[_Shown]) -> _Form:
    """What the page shows of a deployed form."""
    ratios = rows.ratio[rows.found & np.isfinite(rows.ratio)]
    drawn = (
        Markup(_drawings.histogram_svg(ratios, "ratio", "of the model's distance")) if len(ratios) else None
    )
    return _Form(
        line=line, histogram=drawn, beyond=int(np.isinf(rows.ratio[rows.found]).sum()), weakest=shown
    )


def _inline(triple: Triple) -> list[str]:
    return [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in triple.pictures]


def content_policy(style: str | None) -> str:
    """Nothing but this style sheet and these images; the inline one is allowed by its digest alone."""
    allowed = "img-src 'self'; style-src 'self'"
    if style is not None:
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        allowed = f"img-src data:; style-src 'sha256-{digest}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _search(report: AuditReport, norm: SearchedNorm, result: SearchResult, shown: list[_Shown]) -> _Search:
    """What the page shows of a search; features in place of pictures where there are none."""
    title, found, facts = TITLES[norm], result.distance[result.found], report.searches[norm]
    return _Search(
        title=title,
        facts=facts,
        curve=Markup(_drawings.curve_svg(facts.curve, facts.noise_curve, title, unit(report))),
        histogram=Markup(_drawings.histogram_svg(found, f"{title} distance", unit(report)))
        if len(found)
        else None,
        triples=shown,
        features=[] if shown else most_changed(result),
        rows=[] if shown else changed_rows(report, result),
        **_by_class(report, result),
    )


def _by_class(report: AuditReport, result: SearchResult) -> dict[str, Any]:
    """The drawing of the distances of each class, and how many classes are in it and left out."""
    by_class = {
        int(label): result.distance[result.found & (result.label == label)]
        for label in np.unique(result.label[result.found])
    }
    weakest = sorted(by_class, key=lambda label: float(np.median(by_class[label])))[:_MOST_CLASSES]
    shown = [(class_name(report, label), by_class[label]) for label in sorted(weakest)]
    return {
        "classes": Markup(_drawings.classes_svg(shown, TITLES[result.norm], unit(report))) if shown else None,
        "shown_classes": len(shown),
        "classes_left_out": len(by_class) - len(shown),
    }


@cache
def environment() -> Environment:
    """The template engine of all pages."""
    environment = Environment(
        loader=PackageLoader("robustcheck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        # whatever comes from a report is without control characters, not only what a filter is put on
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "css": _css,
        "number": number,
        "heat": _heat,
        "percent": percent,
        "interval": interval,
    }
    return environment


def _css(outcome: str) -> str:
    return {"PASS": "pass", "FAIL": "fail", "INCOMPLETE": "open", "WARN": "open"}.get(outcome, "skip")


def _heat(error: float | None) -> str:
    """Class of a cell by its error, h0 to h8."""
    return "" if error is None else f"h{round(8 * error)}"
