"""The report as rich tables, for a terminal of 60 columns or more."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustcheck.report._wording import (
    NORM_NAMES,
    STATISTICS,
    UPPER_BOUND,
    TransferLine,
    conditions,
    distance_title,
    interval,
    number,
    percent,
    printable,
    transfer_tables,
)
from robustcheck.results import ReportDocument


def summary(document: ReportDocument) -> RenderableType:
    """What a person at a terminal wants to know of an audit."""
    parts: list[RenderableType] = [_facts(document), Text()]
    parts += [Text(distance_title(document), style="bold"), _distortions(document)]
    for table in transfer_tables(document):
        assert document.transfer is not None
        parts += [Text(), Text(table.title, style="bold"), _transfer(document.transfer.models, table.rows)]
    parts += [Text(), Text(UPPER_BOUND, style="dim")]
    parts += [Text(told, style="yellow") for told in conditions(document)]
    return Group(*parts)


def _facts(document: ReportDocument) -> Table:
    counts, measures = document.counts, document.measures
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("model", Text(f"{printable(document.model.name)} ({document.model.head})"))
    others = f"{counts.already_wrong} wrong already"
    if counts.non_finite:
        others += f", {counts.non_finite} not finite"
    table.add_row("samples", f"{counts.total}: {counts.correct} classified right, {others}")
    if document.data.labels == "data":
        table.add_row("clean accuracy", interval(measures["accuracy.clean"], as_percent=True))
    table.add_row("found", f"{counts.found} of {counts.correct} ({percent(measures['attack.found'].value)})")
    cost = document.cost
    table.add_row(
        "cost",
        f"{number(cost.gradient_evaluations_per_sample)} gradients and "
        f"{number(cost.forward_evaluations_per_sample)} forward passes a sample, {cost.seconds:.1f} s",
    )
    fell = measures["search.last_doubling"].value
    if fell is not None:
        table.add_row("last doubling", f"of the budget shortened the median L2 by {percent(fell)}")
    return table


def _distortions(document: ReportDocument) -> Table:
    table = Table()
    table.add_column("norm")
    for statistic in STATISTICS:
        table.add_column(statistic, justify="right")
    for norm, name in NORM_NAMES.items():
        values = (document.measures[f"distortion.{norm}.{one}"].value for one in STATISTICS)
        table.add_row(name.partition(" ")[0], *map(number, values))
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
