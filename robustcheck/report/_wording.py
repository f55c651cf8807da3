"""How figures are written, the same in every form of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robustcheck.measures import Metric
from robustcheck.norms import NORMS
from robustcheck.report._drawings import UNIT
from robustcheck.results import Measure, ReportDocument, RuleResult, TransferRow
from robustcheck.text import percent, printable

UPPER_BOUND = (
    "Distances are upper bounds of the true minimum: the search found a misclassified input at that "
    "distance, and a nearer one may exist."
)
# of lengths of examples that can be stored so
EIGHT_BITS = "8-bit"
TRANSFER_TITLE = "Error in % on examples made for another model (clean / noise of that RMS)"
# of norms, by name
TITLES = {norm.name: norm.title for norm in NORMS.values()}
STATISTICS = ("mean", "p05", "median", "p95", "max")


def distance_title(document: ReportDocument) -> str:
    """What the distances are to, and in which box."""
    target = None if document.data.target is None else printable(document.data.target)
    to = "the nearest misclassified input"
    if target is not None:
        to = f"the nearest input given the {target} class" if not target.isdigit() else ""
        to = to or f"the nearest input given class {target}"
    what = "Distance" if document.data.cost is None else "Distance (cost times change)"
    return f"{what} to {to}, box {printable(document.data.box)}"


def accepted(document: ReportDocument) -> list[str]:
    """Checks whose failure the policy accepts, a sentence each."""
    policy = document.policy
    return [
        f"The check {accept.check} may fail, as the policy says: {printable(accept.because)}"
        for accept in ([] if policy is None else policy.accept)
    ]


def unit(document: ReportDocument) -> str:
    """What lengths are in."""
    return UNIT if document.data.cost is None else "cost times change"


@dataclass(frozen=True)
class LengthTable:
    """Lengths, a row a norm: its name and a figure for each of ``STATISTICS``."""

    title: str
    rows: list[tuple[str, list[Measure]]]


def length_tables(document: ReportDocument) -> list[LengthTable]:
    """Distances in the norms that were searched, then the lengths of the examples in the others."""
    made_for = TITLES[document.norm]
    return [
        table
        for title, make in (
            (distance_title(document), Metric.distortion),
            (f"Lengths of the {made_for} examples in norms that they were not made for", Metric.examples),
        )
        if (table := LengthTable(title, _length_rows(document, make))).rows
    ]


def _length_rows(
    document: ReportDocument, make: Callable[[str, str], Metric]
) -> list[tuple[str, list[Measure]]]:
    kinds: list[tuple[Callable[[str, str], Metric], str]] = [(make, "")]
    if make == Metric.distortion:
        place = 0 if eight_bits_first(document) else len(kinds)
        kinds.insert(place, (Metric.distortion8, f"{EIGHT_BITS} "))
    rows = []
    for norm in NORMS.values():
        for of, prefix in kinds:
            named = [of(norm.name, statistic).name for statistic in STATISTICS]
            if all(name in document.measures for name in named):
                rows.append((prefix + norm.title, [document.measures[name] for name in named]))
    return rows


def eight_bits_first(document: ReportDocument) -> bool:
    """Whether the data came in 8 bits, so that examples that can be stored so are shown first."""
    return document.data.data_range == [0.0, 255.0]


def searched(document: ReportDocument) -> str:
    """The norms that were searched, in words."""
    return " and ".join(TITLES[norm] for norm in document.searches)


def rules_by_outcome(document: ReportDocument) -> list[RuleResult]:
    """How each rule was met, what is not met first."""
    order = ("FAIL", "INCOMPLETE", "PASS")
    return sorted(document.rules, key=lambda rule: order.index(rule.outcome))


def caveats(document: ReportDocument) -> list[str]:
    """What is to be known beside the figures, a sentence each."""
    data, sentences = document.data, []
    if data.labels == "model":
        sentences.append("There were no labels: the model's own predictions stand for them.")
    if data.target is not None:
        sentences.append(f"Examples had to reach a target class: {printable(data.target)}.")
    if data.frozen:
        sentences.append(f"{data.frozen} features could not change.")
    if data.cost is not None:
        sentences.append(
            f"Lengths are of cost times change; a feature costs {data.cost[0]:g} to {data.cost[1]:g}."
        )
    if data.data_range is not None:
        sentences.append(
            f"Stored values from {data.data_range[0]:g} to {data.data_range[1]:g} were mapped to the box."
        )
    return [*sentences, *(f"Note: {printable(note)}." for note in data.notes)]


def trusted(document: ReportDocument) -> str | None:
    """What must be known of models whose files were trusted, if there are some."""
    names = [model.name for model in (document.model, *document.references) if model.trusted]
    if not names:
        return None
    return (
        f"Code in the file of {', '.join(names)} was allowed to run in the process that made this report: "
        "it is to be believed no more than that file"
    )


def number(value: float | None) -> str:
    """Four significant digits; a dash for what was not measured."""
    return "-" if value is None else f"{value:.4g}"


def interval(measure: Measure, *, as_percent: bool = False) -> str:
    """``value (low to high)``."""
    show = percent if as_percent else number
    if measure.low is None or measure.high is None:
        return show(measure.value)
    return f"{show(measure.value)} ({show(measure.low)} to {show(measure.high)})"


@dataclass(frozen=True)
class TransferTable:
    """One table of transfer rates: a row for each model's examples, a column for each model."""

    title: str
    rows: list[TransferLine]


@dataclass(frozen=True)
class TransferLine:
    """A row: the examples made for a model, their number and RMS, and a cell for each model."""

    made_for: str
    n: int
    rms: str
    cells: list[TransferCell]


@dataclass(frozen=True)
class TransferCell:
    """Error on the examples as number and share, and that on clean samples and on noise of the same size."""

    hits: int | None
    error: float | None
    clean: float | None
    noise: float | None

    @property
    def beside(self) -> str:
        """``clean / noise``, in per cent."""
        return f"{_points(self.clean)} / {_points(self.noise)}"

    @property
    def shown(self) -> str:
        """The error in per cent."""
        return _points(self.error)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def transfer_tables(document: ReportDocument) -> list[TransferTable]:
    """The transfer tables: the examples as found, then at each size asked for."""
    matrix = document.transfer
    if matrix is None:
        return []
    sized = [
        (f"The same, all perturbations scaled to RMS {number(part.rms)} and clipped", part.rows)
        for part in matrix.equal
    ]
    return [
        TransferTable(title, [_transfer_line(row) for row in rows])
        for title, rows in ((TRANSFER_TITLE, matrix.rows), *sized)
    ]


def _transfer_line(row: TransferRow) -> TransferLine:
    columns = zip(row.errors, row.error, row.clean_error, row.noise_error, strict=True)
    return TransferLine(
        printable(row.made_for), row.n, number(row.rms), [TransferCell(*cell) for cell in columns]
    )


def class_name(document: ReportDocument, label: int) -> str:
    """A class by name where there are names, else by number."""
    names = document.data.class_names
    return printable(names[label]) if names is not None and 0 <= label < len(names) else str(label)


def headline(document: ReportDocument) -> str:
    """The audit in one sentence."""
    median = document.measures.get(Metric.distortion(document.norm, "median").name)
    counts = document.counts
    if median is None or median.value is None:
        return f"A misclassified input was found for {counts.found} of {counts.correct} samples."
    return (
        f"Half of the {counts.correct} samples classified right are misclassified after a change "
        f"{'of' if document.data.cost is None else 'that costs'} {TITLES[document.norm]} "
        f"{number(median.value)} or less."
    )


def scope(document: ReportDocument) -> list[str]:
    """What was measured and what it does not say, a sentence each."""
    options = document.provenance.options
    method, budget = (printable(str(options.get(name))) for name in ("method", "budget"))
    box = printable(document.data.box)
    return [
        UPPER_BOUND,
        f"They hold for changes of one sample inside the box {box}, measured in {searched(document)}; "
        "nothing is said of rotations, patches, corruptions or data from elsewhere.",
        f"They hold for this search ({method}, {budget} gradients a sample at most). More "
        "budget can only shorten them.",
        "Robust accuracy is an upper bound too: a sample counts as right within a radius as long as no "
        "misclassified input was found there.",
    ]


def rule_value(rule: RuleResult) -> str:
    """What a rule judged, with its interval."""
    return interval(Measure(rule.value, rule.n, rule.low, rule.high))
