"""Deployed forms as tables and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from robustcheck.measures import WEAKER, Metric
from robustcheck.report._wording import TITLES, number
from robustcheck.results import DeployedFacts, Measure, ReportDocument
from robustcheck.text import percent, printable

# what the columns of the table are called: a share, then what of the ratio, and the share of examples that
# fool the form, which only pages have
COLUMNS = ("agrees", "ratio p05", "median", "p95", f"< {WEAKER:g}", "examples that fool it")
EXPLAINED = (
    "The ratio is the length at which a form errs on the way to the model's example, over the model's "
    "distance: 1 is as robust."
)
BESIDE = (
    "Examples lie just behind the model's boundary, so that the share of them that fools a form says little "
    "of it."
)


@dataclass(frozen=True)
class FormLine:
    """A form: its name, what runs it, a cell a column, what they mean, and what is odd."""

    name: str
    runs: str
    cells: list[str]
    sentence: str
    notes: list[str]


def forms_title(document: ReportDocument) -> str:
    """Of the table; forms are held against the examples in the first norm."""
    return f"Deployed forms, held against the model's {TITLES[document.norm]} examples"


def form_lines(document: ReportDocument) -> list[FormLine]:
    """A line a form."""
    return [_line(document, form) for form in document.deployed]


def _line(document: ReportDocument, form: DeployedFacts) -> FormLine:
    def of(what: str, statistic: str = "") -> Measure:
        return document.measures[Metric.deployed(form.name, what, statistic).name]

    ratios = [of("ratio", statistic).value for statistic in ("p05", "median", "p95")]
    shares = [percent(of(what).value) for what in ("agreement", "holds", "weaker")]
    return FormLine(
        name=printable(form.name),
        runs=printable(", ".join(filter(None, (form.runtime, form.types)))),
        cells=[shares[0], *(_ratio(value) for value in ratios), shares[2], shares[1]],
        sentence=_sentence(document, form, ratios, shares),
        notes=[f"{printable(note)}{'' if note.endswith('?') else '.'}" for note in form.notes],
    )


def _ratio(value: float | None) -> str:
    """Beyond what was scanned where there is none."""
    return "> 4" if value is None else f"{value:.3f}"


def _sentence(
    document: ReportDocument, form: DeployedFacts, ratios: list[float | None], shares: list[str]
) -> str:
    title = TITLES[document.norm]
    sentence = (
        f"{printable(form.name)} gives {shares[0]} of the samples the class that the model gives them. On "
        f"the way to the model's examples it errs at {_ratio(ratios[1])} times the model's {title} distance "
        f"in the median, for one sample in twenty below {_ratio(ratios[0])}, for {shares[2]} clearly sooner."
    )
    if form.own is not None:
        sentence += (
            f" A search by decisions alone on {form.searched} of them came to {number(form.own)} times the "
            "model's distance in the median."
        )
    return sentence
