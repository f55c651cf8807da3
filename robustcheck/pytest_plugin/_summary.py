"""The table of a session's audits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from robustcheck.text import percent, printable

# what makes two rows the same audit
_SAME = ("model", "samples", "seed", "budget", "started", "medians")


def write_summary(reporter: pytest.TerminalReporter, made: Sequence[dict[str, Any]]) -> None:
    """A line an audit, with the tests that used it; then what the tests had to say."""
    audits: dict[str, list[dict[str, Any]]] = {}
    for audit in made:
        audits.setdefault(repr([audit[name] for name in _SAME]), []).append(audit)
    reporter.section("robustness")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    table.add_column("model", overflow="fold")
    in_l2 = all(list(audit["medians"]) == ["L2"] for audit in made)
    for name in ("samples", "accuracy", "found", "median L2" if in_l2 else "median", "search", "tests"):
        table.add_column(f"  {name}", justify="right", no_wrap=True)
    for same in audits.values():
        first = same[0]
        shown = [
            ("" if in_l2 else f"{title} ") + _with_interval(*median)
            for title, median in first["medians"].items()
        ]
        table.add_row(
            Text(printable(first["model"])),
            str(first["samples"]),
            percent(first["accuracy"]),
            percent(first["found"]),
            "\n".join(shown),
            f"{first['seconds']:.1f} s",
            str(len({audit["test"] for audit in same})),
        )
    for line in _lines(table, reporter):
        reporter.write_line(line)
    for audit in made:
        for note in audit["notes"]:
            reporter.write_line(printable(f"{audit['test']}: {note}"))


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    return _short(value) + ("" if None in (low, high) else f" ({_short(low)} to {_short(high)})")


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _lines(table: Table, reporter: pytest.TerminalReporter) -> list[str]:
    """The table as plain text, in characters that the terminal has."""
    writer = reporter._tw
    encoding = getattr(writer._file, "encoding", None) or "ascii"
    text = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", write_through=True)
    console = Console(file=text, width=writer.fullwidth, no_color=True, highlight=False)
    console.print(table)
    text.seek(0)
    return [line.rstrip() for line in text.read().splitlines()]
