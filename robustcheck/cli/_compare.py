"""``robustcheck compare``: two reports side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from robustcheck.cli._common import EXIT_FAIL, ResultConsole, print_json
from robustcheck.cli._flags import add_json_flag
from robustcheck.errors import EXIT_OK, Incomplete

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = """\
Compare two reports, sample by sample where they are of the same samples, and say
what got worse. A regression is a median ratio of distances, in any norm that both
searched, whose whole 95 % interval lies below 1 - TOLERANCE, a clean accuracy that
fell, or a transfer rate that rose, by more than its interval.
"""
_EPILOG = """\
examples:
  robustcheck compare last-release/ robustcheck-report/
  robustcheck compare old new --fail-on-regression --tolerance 0.02

exit codes with --fail-on-regression: 0 none, 1 a regression, 4 not comparable
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "compare", help="compare two reports", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="a report folder")
    parser.add_argument("new", type=Path, metavar="NEW", help="a report folder")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="share by which distances may fall; default: %(default)s",
    )
    parser.add_argument("--fail-on-regression", action="store_true", help="exit with 1 on a regression")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the comparison as a page, too")
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare and print."""
    from robustcheck.compare import compare
    from robustcheck.report import comparison, comparison_page, read_evidence
    from robustcheck.results import plain

    old, new = read_evidence(arguments.old), read_evidence(arguments.new)
    found = compare(old, new, tolerance=arguments.tolerance)
    if arguments.html is not None:
        arguments.html.write_text(comparison_page(found, old, new), "utf-8")
    if arguments.json:
        print_json("comparison", plain(found))
    else:
        ResultConsole().print(comparison(found))
    if not arguments.fail_on_regression:
        return EXIT_OK
    if found.regression:
        return EXIT_FAIL
    return EXIT_OK if found.comparable else Incomplete.exit_code
