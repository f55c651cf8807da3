"""``summary.md``: a few lines for a pull request."""

from __future__ import annotations

import html
import re

from robustcheck.report._forms import BESIDE, COLUMNS, EXPLAINED, form_lines, forms_title
from robustcheck.report._wording import (
    STATISTICS,
    TITLES,
    UPPER_BOUND,
    accepted,
    caveats,
    interval,
    length_tables,
    number,
    rule_value,
    rules_by_outcome,
    transfer_tables,
    trusted,
)
from robustcheck.results import ReportDocument
from robustcheck.text import percent, printable


def markdown_summary(document: ReportDocument) -> str:
    """The report in Markdown; names from outside are escaped."""
    counts = document.counts
    lines = [
        f"## Robustness of {_escape(document.model.name)}",
        "",
        *_verdict(document),
        *([f"**{_escape(warning)}.**", ""] if (warning := trusted(document)) is not None else []),
        f"{counts.total} samples: {counts.correct} classified right, {counts.already_wrong} wrong already, "
        f"{counts.non_finite} not finite. Clean accuracy "
        f"{interval(document.measures['accuracy.clean'], as_percent=True)}. A misclassified input was found "
        f"for {counts.found} of {counts.correct} ({percent(document.measures['attack.found'].value)}).",
        "",
        *_further(document),
        *_lengths(document),
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
    lines += _forms(document)
    notes = [line for caveat in caveats(document) for line in ("", _escape(caveat))]
    doubts = [
        line
        for check in document.checks
        if check.outcome in ("WARN", "FAIL")
        for line in ("", f"Check {check.outcome}: {_escape(check.detail)}.")
    ]
    return "\n".join([*lines, *doubts, "", UPPER_BOUND, *notes, ""])


def _forms(document: ReportDocument) -> list[str]:
    """The table of deployed forms, with what is odd of them."""
    there = form_lines(document)
    if not there:
        return []
    rows = [[_escape(line.name), *line.cells] for line in there]
    noted = [f"{line.name}: {note}" for line in there for note in line.notes]
    table = _table(["form", *COLUMNS], rows)
    return [
        "",
        f"{forms_title(document)}:",
        "",
        *table,
        "",
        f"{EXPLAINED} {BESIDE}",
        *(line for note in noted for line in ("", _escape(note))),
    ]


def _further(document: ReportDocument) -> list[str]:
    """How many were found in each further norm."""
    found = [f"{search.counts.found} in {TITLES[norm]}" for norm, search in document.further.items()]
    return [f"Found also: {', '.join(found)}.", ""] if found else []


def _lengths(document: ReportDocument) -> list[str]:
    """The tables of lengths, with an empty line between them."""
    lines: list[str] = []
    for lengths in length_tables(document):
        rows = [[title, *(number(figure.value) for figure in figures)] for title, figures in lengths.rows]
        lines += ["", f"{_escape(lengths.title)}:", "", *_table(["norm", *STATISTICS], rows)]
    return lines[1:]


def _verdict(document: ReportDocument) -> list[str]:
    """The verdict with its rules, what is not met first."""
    if document.verdict is None:
        return []
    lines = [f"Verdict: **{document.verdict}**", ""]
    if not document.complete:
        lines += ["The audit was interrupted: the figures are of the samples that were done.", ""]
    lines += [line for sentence in accepted(document) for line in (_escape(sentence), "")]
    if not document.rules:
        return lines
    rows = [
        [
            rule.outcome + (" (warning only)" if rule.severity == "warning" else ""),
            f"{_escape(rule.metric)} {_escape(rule.bound)}",
            rule_value(rule),
            _escape(rule.reason),
        ]
        for rule in rules_by_outcome(document)
    ]
    return [*lines, *_table(["outcome", "rule", "value", "reason"], rows), ""]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+!|~:=-])", r"\\\1", html.escape(printable(text), quote=False))
