"""``robustcheck replay``: one sample of a report, shown and searched again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robustcheck import intake
from robustcheck.cli._common import (
    EXIT_FAIL,
    ResultConsole,
    log_console,
    look_before,
    print_json,
    working,
)
from robustcheck.cli._flags import add_flags, add_import_flag, add_json_flag, add_quiet_flag
from robustcheck.config import FileOptions
from robustcheck.errors import EXIT_OK, ConfigError
from robustcheck.settings import made, table

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.auditing import Replay
    from robustcheck.results import AuditReport, SearchResult

_DESCRIPTION = """\
Show one sample of a report, search it again under the same conditions, and say
whether it reproduces: the same status, the stored example still misclassified,
and distances within 1 % of each other.

The model is the report's own file, if its digest is still the same; --model
names another, or a package.module:factory.
"""
_EPILOG = """\
examples:
  robustcheck replay robustcheck-report --index 17
  robustcheck replay robustcheck-report --index 17 --model package.module:factory
  robustcheck replay robustcheck-report --index 17 --png sample17.png

exit codes: 0 it reproduces, 1 it does not
"""


def file_options(arguments: argparse.Namespace) -> FileOptions:
    """How far the model's file is believed."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    return made(FileOptions, given)


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "replay", help="show one sample and search it again", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("report", type=Path, metavar="REPORT", help="a report folder")
    parser.add_argument(
        "--index", type=int, required=True, metavar="I", help="the sample's row in the source"
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="the model to search; default: the report's own file"
    )
    parser.add_argument("--norm", metavar="NORM", help="of several that were searched; default: the first")
    add_import_flag(parser)
    add_flags(parser, table(FileOptions).values())
    parser.add_argument("--png", type=Path, metavar="FILE", help="write original, perturbation and example")
    add_json_flag(parser)
    add_quiet_flag(parser, "no progress")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show, search again, compare."""
    from robustcheck.report import read_report

    report = read_report(arguments.report)
    row, stored = report.row_of(arguments.index), report.in_norm(arguments.norm)
    if arguments.png is not None:
        _write_png(report, stored, row, arguments.png)
    imports, files = tuple(arguments.imports or ()), file_options(arguments)
    if arguments.model is not None:
        look_before(intake.model_sources(arguments.model, (), files), imports)
    with working(log_console(quiet=arguments.quiet)) as display:
        from robustcheck.auditing import replay

        found = replay(report, row, arguments.model, display, norm=stored.norm, imports=imports, files=files)
    if arguments.json:
        print_json("replay", found.to_dict())
    else:
        _show(ResultConsole(), report, row, found)
    return EXIT_OK if found.reproduces else EXIT_FAIL


def _show(console: Console, report: AuditReport, row: int, found: Replay) -> None:
    from robustcheck.report import TITLES, class_name, number, picture

    drawn = picture(report, report.in_norm(found.norm), row)
    if drawn is not None:
        console.print(drawn)
        console.print(f"original, perturbation x {drawn.factor:.3g} around grey, adversarial", style="dim")
    table = Table()
    for name in ("", "stored", "searched again"):
        table.add_column(name)
    table.add_row("status", found.status, found.status_now)
    table.add_row(TITLES[found.norm], number(found.distance), number(found.distance_now))
    table.add_row(
        "class", *(Text(class_name(report, number)) for number in (found.predicted, found.predicted_now))
    )
    label = class_name(report, int(report.samples.label[row]))
    console.print(Text(f"sample {found.index}, class {label}"))
    console.print(table)
    if found.stored_holds is not None:
        now = "is still" if found.stored_holds else "is no longer"
        console.print(f"The stored example {now} misclassified by the plain model.")
    if found.same_model is False:
        console.print("The model file is not the one of the report.", style="yellow")
    outcome = ("reproduces", "bold green") if found.reproduces else ("does not reproduce", "bold red")
    console.print(Text.assemble(outcome))


def _write_png(report: AuditReport, stored: SearchResult, row: int, path: Path) -> None:
    from robustcheck.report import triple_png

    png = triple_png(report, stored, row)
    if png is None:
        raise ConfigError("--png: expected a sample that is an image and has an example")
    path.write_bytes(png)
