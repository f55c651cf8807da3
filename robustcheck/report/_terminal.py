"""The report as rich tables, for a terminal of 60 columns or more."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from robustcheck.measures import doubling_name
from robustcheck.report._forms import COLUMNS, EXPLAINED, form_lines, forms_title
from robustcheck.report._wording import (
    EIGHT_BITS,
    STATISTICS,
    TITLES,
    UPPER_BOUND,
    LengthTable,
    TransferLine,
    accepted,
    caveats,
    interval,
    length_tables,
    number,
    rules_by_outcome,
    transfer_tables,
    trusted,
)
from robustcheck.results import Change, Check, Comparison, Moved, ReportDocument
from robustcheck.text import percent, printable

_STYLES = {
    "PASS": "bold green", "FAIL": "bold red", "INCOMPLETE": "bold yellow", "WARN": "bold yellow",
}  # fmt: skip


# what is told of checks at a terminal
_TOLD = ("WARN", "FAIL")
# more forms than these are a table alone
_SENTENCES = 3


def summary(document: ReportDocument) -> RenderableType:
    """What a person at a terminal wants to know of an audit."""
    parts: list[RenderableType] = []
    if document.verdict is not None:
        parts += [verdict(document), Text()]
    parts += [_facts(document), Text()]
    for number_of, lengths in enumerate(length_tables(document)):
        parts += [*([Text()] if number_of else []), Text(lengths.title, style="bold"), _lengths(lengths)]
    for table in transfer_tables(document):
        assert document.transfer is not None
        parts += [Text(), Text(table.title, style="bold"), _transfer(document.transfer.models, table.rows)]
    if document.deployed:
        parts += [Text(), *_forms(document)]
    parts += [Text(), Text(UPPER_BOUND, style="dim")]
    parts += [_check(check) for check in document.checks if check.outcome in _TOLD]
    parts += [Text(line, style="yellow") for line in caveats(document)]
    return Group(*parts)


def forms_summary(document: ReportDocument) -> RenderableType:
    """What deployed forms came to, and what stands behind that."""
    parts: list[RenderableType] = [] if document.verdict is None else [verdict(document), Text()]
    norm, counts = TITLES[document.norm], document.counts
    model = printable(document.model.name)
    samples = f"{counts.total} samples, {counts.found} of {counts.correct} with an example in {norm}"
    parts += [Text(f"{model}: {samples}"), Text(), *_forms(document), Text()]
    lines = form_lines(document)
    parts += [Text(line.sentence) for line in lines if len(lines) <= _SENTENCES]
    shown = ("deployed", "search", "stable", "labels", "inputs")
    parts += [_check(check) for check in document.checks if check.id in shown and check.outcome in _TOLD]
    return Group(*parts)


def _check(check: Check) -> Text:
    start = f"check {check.id}: {check.outcome}  "
    return Text.assemble((start, _STYLES[check.outcome]), printable(check.detail))


def _forms(document: ReportDocument) -> list[RenderableType]:
    """The table of deployed forms, how it is read, and what is odd."""
    lines, table = form_lines(document), Table()
    table.add_column("form", overflow="fold")
    for title in COLUMNS[:-1]:
        # two lines where that is narrower
        table.add_column(title.replace(" p05", "\np05"), justify="right", no_wrap=True)
    for line in lines:
        table.add_row(Text(line.name), *line.cells[:-1])
    noted = [f"{line.name}: {note}" for line in lines for note in line.notes]
    notes = [Text(note, style="yellow") for note in noted]
    return [Text(forms_title(document), style="bold"), table, Text(EXPLAINED, style="dim"), *notes]


def verdict(document: ReportDocument) -> RenderableType:
    """The verdict and how each rule was met, what is not met first."""
    parts: list[RenderableType] = [
        Text.assemble(
            ("verdict  ", "bold"), (document.verdict or "none", _STYLES.get(document.verdict or "", ""))
        )
    ]
    for rule in rules_by_outcome(document):
        outcome = rule.outcome + (" (warning only)" if rule.severity == "warning" else "")
        name = printable(f"{rule.metric} {rule.bound}")
        line = Text.assemble((outcome, _STYLES[rule.outcome]), f"  {name}")
        parts += [line, Padding(Text(printable(rule.reason), style="dim"), (0, 0, 0, 4), expand=False)]
    parts += [Text(sentence, "yellow") for sentence in accepted(document)]
    if not document.complete:
        parts.append(Text("The audit was interrupted, so it does not pass.", "yellow"))
    if document.rules and all(rule.severity == "warning" for rule in document.rules):
        parts.append(Text("No rule is of severity error: this policy passes everything.", "yellow"))
    return Group(*parts)


def comparison(found: Comparison) -> RenderableType:
    """Two reports side by side, what got worse first."""
    line = ("no regression", "bold green") if found.comparable else ("not comparable", "bold yellow")
    line = ("REGRESSION", "bold red") if found.regression else line
    old, new = printable(found.old.model), printable(found.new.model)
    parts: list[RenderableType] = [Text.assemble(line, f"  {old} -> {new}")]
    parts += [Padding(Text(reason), (0, 0, 0, 4), expand=False) for reason in found.reasons]
    if found.comparable:
        what = "median of each sample's" if found.paired else "of the medians,"
        ratios = [(found.norm, found.median_ratio), *found.further_ratios.items()]
        parts += [
            Text(f"{TITLES[norm]} distance, new / old, {what} ratio: {interval(ratio)}")
            for norm, ratio in ratios
            if norm is not None
        ]
    if found.shared:
        moved = f"{found.newly_wrong} became wrong, {found.newly_right} became right"
        parts.append(Text(f"{found.shared} samples in both reports: {moved}"))
    if not found.paired:
        told_apart = "The reports share too few samples: the figures below are of all samples of each."
        parts.append(Text(told_apart, "yellow"))
    parts += [Text(f"note: {printable(note)}", "yellow") for note in found.notes]
    parts += [Text(), _changes(found.changes)]
    if found.fell_most and found.norm is not None:
        title = f"Samples whose {TITLES[found.norm]} distance fell most"
        parts += [Text(), Text(title, style="bold"), _moved(found.fell_most)]
    return Group(*parts)


def _changes(changes: list[Change]) -> Table:
    table = Table()
    table.add_column("", no_wrap=True)
    table.add_column("measure", overflow="fold")
    for name in ("old", "new", "difference"):
        table.add_column(name, justify="right")
    styles = {"worse": "bold red", "better": "green"}
    for change in changes:
        direction = Text(
            "-" if change.direction == "unclear" else change.direction, styles.get(change.direction, "dim")
        )
        table.add_row(
            direction, change.metric, number(change.old), number(change.new), interval(change.difference)
        )
    return table


def _moved(moved: list[Moved]) -> Table:
    table = Table()
    for name in ("sample", "label", "old", "new"):
        table.add_column(name, justify="right")
    for sample in moved:
        table.add_row(str(sample.index), str(sample.label), number(sample.old), number(sample.new))
    return table


def _facts(document: ReportDocument) -> Table:
    counts, measures = document.counts, document.measures
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("model", Text(f"{printable(document.model.name)} ({printable(document.model.head)})"))
    if (warning := trusted(document)) is not None:
        table.add_row("trusted", Text(printable(warning), "bold red"))
    others = f"{counts.already_wrong} wrong already"
    if counts.non_finite:
        others += f", {counts.non_finite} not finite"
    table.add_row("samples", f"{counts.total}: {counts.correct} classified right, {others}")
    if document.data.labels == "data":
        table.add_row("clean accuracy", interval(measures["accuracy.clean"], as_percent=True))
    table.add_row("found", f"{counts.found} of {counts.correct} ({percent(measures['attack.found'].value)})")
    for norm, found in document.further.items():
        share = percent(found.counts.found / counts.correct)
        table.add_row(f"found in {TITLES[norm]}", f"{found.counts.found} of {counts.correct} ({share})")
    for norm, found in document.searches.items():
        cost, in_norm = found.cost, f" in {TITLES[norm]}" if document.further else ""
        table.add_row(
            f"effort{in_norm}",
            f"{number(cost.gradient_evaluations_per_sample)} gradients and "
            f"{number(cost.forward_evaluations_per_sample)} forward passes a sample, {cost.seconds:.1f} s",
        )
    doublings = {norm: measures[doubling_name(norm, document.norm)] for norm in document.searches}
    fell = [
        f"{TITLES[norm]} by {percent(share.value)}"
        for norm, share in doublings.items()
        if share.value is not None
    ]
    if fell:
        table.add_row("last doubling", f"of the budget shortened the median {', '.join(fell)}")
    return table


def _lengths(lengths: LengthTable) -> Table:
    table = Table()
    table.add_column("norm")
    for statistic in STATISTICS:
        table.add_column(statistic, justify="right")
    for title, figures in lengths.rows:
        name = title if title.startswith(EIGHT_BITS) else title.partition(" ")[0]
        table.add_row(name, *(number(figure.value) for figure in figures))
    return table


def _transfer(models: list[str], rows: list[TransferLine]) -> Table:
    table = Table()
    # side by side two models fit a terminal of 60 columns, more fit one above the other
    between = " " if len(models) < 3 else "\n"
    table.add_column("made for", overflow="fold")
    table.add_column("n", justify="right")
    for name in models:
        table.add_column(Text(printable(name)), justify="right", overflow="fold")
    for row in rows:
        cells = [Text.assemble(cell.shown, (f"{between}({cell.beside})", "dim")) for cell in row.cells]
        made_for = Text.assemble(row.made_for, (f"\nRMS {row.rms}", "dim"))
        table.add_row(made_for, str(row.n), *cells)
    return table
