"""``summary.md``: a few lines for a pull request."""

from __future__ import annotations

import html
import re

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
from robustcheck.results import ReportDocument


def markdown_summary(document: ReportDocument) -> str:
    """The report in Markdown; names from outside are escaped."""
    counts = document.counts
    lines = [
        f"## Robustness of {_escape(document.model.name)}",
        "",
        *([f"Verdict: **{document.verdict}**", ""] if document.verdict else []),
        f"{counts.total} samples: {counts.correct} classified right, {counts.already_wrong} wrong already, "
        f"{counts.non_finite} not finite. Clean accuracy "
        f"{interval(document.measures['accuracy.clean'], as_percent=True)}. A misclassified input was found "
        f"for {counts.found} of {counts.correct} ({percent(document.measures['attack.found'].value)}).",
        "",
        f"{distance_title(document)}:",
        "",
        *_table(
            ["norm", *STATISTICS],
            [
                [name, *(number(document.measures[f"distortion.{norm}.{one}"].value) for one in STATISTICS)]
                for norm, name in NORM_NAMES.items()
            ],
        ),
    ]
    for table in transfer_tables(document):
        assert document.transfer is not None
        header = ["made for", "n", "RMS", *map(_escape, document.transfer.models)]
        rows = [
            [_escape(line.made_for), str(line.n), line.rms]
            + [f"{cell.shown} ({cell.beside})" for cell in line.cells]
            for line in table.rows
        ]
        lines += ["", f"{table.title}:", "", *_table(header, rows)]
    told = [line for one in conditions(document) for line in ("", _escape(one))]
    return "\n".join([*lines, "", UPPER_BOUND, *told, ""])


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+!|~:=-])", r"\\\1", html.escape(printable(text), quote=False))
