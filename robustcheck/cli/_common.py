"""What the commands share: flags, running an audit with progress, printing its result."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.text import Text

from robustcheck.cli._progress import ProgressDisplay
from robustcheck.cli._tensorflow import import_tensorflow
from robustcheck.config import DEFAULT_BUDGET, AuditConfig, Method, SearchOptions
from robustcheck.errors import RobustcheckWarning

if TYPE_CHECKING:
    from robustcheck.results import AuditReport


class ResultConsole(Console):
    """A console on stdout whose reader may go away, as ``| head`` does: that ends the command quietly."""

    def on_broken_pipe(self) -> None:
        """Leave the decision to ``main``."""
        raise BrokenPipeError


def add_search_flags(parser: argparse.ArgumentParser) -> None:
    """How to search."""
    defaults = SearchOptions()
    budgets = ", ".join(f"{budget} for {method}" for method, budget in DEFAULT_BUDGET.items())
    group = parser.add_argument_group("search")
    group.add_argument(
        "--method", choices=get_args(Method), default=defaults.method, help="default: %(default)s"
    )
    group.add_argument(
        "--budget",
        type=int,
        default=defaults.budget,
        metavar="N",
        help=f"gradient evaluations of a sample at most; default: {budgets}",
    )
    group.add_argument(
        "--seed", type=int, default=defaults.seed, metavar="N", help="of all that is drawn; default: 0"
    )
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="samples searched at once; default: by their size"
    )


def add_output_flags(parser: argparse.ArgumentParser, out: str) -> None:
    """Where the result goes."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--out", type=Path, default=Path(out), metavar="DIR", help="report folder; default: %(default)s"
    )
    group.add_argument("--json", action="store_true", help="print report.json instead of tables")
    group.add_argument("--quiet", action="store_true", help="no progress, no tables")


def search_options(arguments: argparse.Namespace) -> SearchOptions:
    """The options that :func:`add_search_flags` read."""
    return SearchOptions(method=arguments.method, budget=arguments.budget, seed=arguments.seed)


def run_audit(config: AuditConfig, arguments: argparse.Namespace) -> AuditReport:
    """Audit with a progress display, and print the result; stdout is the result, stderr all else."""
    log = Console(stderr=True, quiet=arguments.quiet)
    with warnings.catch_warnings():
        import_tensorflow(log)
        from robustcheck.auditing import audit_files

        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RobustcheckWarning)
        warnings.showwarning = lambda message, *_, **__: log.print(
            Text.assemble(("warning: ", "yellow"), str(message)), soft_wrap=True
        )
        # stdout is the result alone, whatever a factory or data function prints
        with ProgressDisplay(log) as display, contextlib.redirect_stdout(sys.stderr):
            report = audit_files(config, display)
    _print_result(report, arguments)
    return report


def _print_result(report: AuditReport, arguments: argparse.Namespace) -> None:
    from robustcheck.report import summary

    if arguments.json:
        sys.stdout.write(report.to_json())
    elif not arguments.quiet:
        console = ResultConsole()
        console.print(summary(report))
        console.print()
        console.print(Text.assemble(("report  ", "bold"), str(arguments.out / "report.html")), soft_wrap=True)
