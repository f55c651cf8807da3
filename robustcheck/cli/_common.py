"""What the commands share: consoles, running an audit with progress, printing its result."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from robustcheck import intake
from robustcheck.cli._progress import ProgressDisplay
from robustcheck.config import AuditConfig
from robustcheck.errors import EXIT_INTERRUPTED, EXIT_OK, Incomplete, Interrupted, RobustcheckWarning
from robustcheck.startup import import_tensorflow
from robustcheck.text import printable

if TYPE_CHECKING:
    from robustcheck.results import AuditReport, Outcome

EXIT_FAIL = 1


class ResultConsole(Console):
    """A console on stdout whose reader may go away, as ``| head`` does: that ends the command quietly."""

    def on_broken_pipe(self) -> None:
        """Leave the decision to ``main``."""
        raise BrokenPipeError


def log_console(*, quiet: bool = False) -> Console:
    """The console of all that is not the result."""
    return Console(stderr=True, quiet=quiet)


def print_json(schema: str, fields: dict[str, Any]) -> None:
    """One JSON document on stdout, under the name of its schema."""
    document = {"schema": f"robustcheck.{schema}/1", **fields}
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def exit_code(verdict: Outcome | None) -> int:
    """The exit code of a verdict; of none, that of success."""
    codes = {"PASS": EXIT_OK, "FAIL": EXIT_FAIL, "INCOMPLETE": Incomplete.exit_code}
    return EXIT_OK if verdict is None else codes[verdict]


@contextlib.contextmanager
def working(log: Console) -> Iterator[ProgressDisplay]:
    """TensorFlow is there, warnings come as one line, stdout is kept for the result, progress is shown."""
    with warnings.catch_warnings():
        import_tensorflow(log)
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RobustcheckWarning)
        warnings.showwarning = lambda message, *_, **__: log.print(
            Text.assemble(("warning: ", "yellow"), printable(str(message))), soft_wrap=True
        )
        # stdout is the result alone, whatever a factory or data function prints
        with ProgressDisplay(log) as display, contextlib.redirect_stdout(sys.stderr):
            yield display


def look_before(
    sources: Sequence[intake.ModelSource], imports: Sequence[str], policy: Path | None = None
) -> None:
    """Refuse what can be refused before TensorFlow starts: model files, and the policy."""
    for source in sources:
        intake.look_at_model(source, imports)
    if policy is not None:
        from robustcheck.policy import read_policy

        read_policy(policy)


@contextlib.contextmanager
def _tried(sources: Sequence[intake.ModelSource], imports: Sequence[str]) -> Iterator[Future[None]]:
    """Model files loaded in processes of their own, while TensorFlow starts in this one."""

    def work() -> None:
        for source in sources:
            intake.try_model(source, imports)

    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(work)


def by_verdict(report: AuditReport) -> int:
    """The exit code of a report that a policy judged."""
    return exit_code(report.verdict)


def run_audit(
    config: AuditConfig,
    arguments: argparse.Namespace,
    *,
    only_forms: bool = False,
    code: Callable[[AuditReport], int] = by_verdict,
) -> int:
    """Audit with a progress display, and print the result; stdout is the result, stderr all else.

    ``only_forms``: print what deployed forms came to; ``code``: the exit code of a report.
    """
    log = log_console(quiet=arguments.quiet)
    sources = [
        *intake.model_sources(config.model, config.references, config.files),
        *intake.other_sources(config.deployed.forms, config.files),
    ]
    look_before(sources, config.imports, config.policy)
    try:
        with _tried(sources, config.imports) as tried, working(log) as display:
            tried.result()
            from robustcheck.auditing import audit_config

            report = audit_config(config, display)
    except Interrupted as stop:
        print_report(stop.done, config.out, as_json=arguments.json, quiet=arguments.quiet)
        goes_on = "; the same command with --resume goes on" if config.out is not None else ""
        log_console().print(Text(f"interrupted: the report holds what was done{goes_on}", "bold red"))
        return EXIT_INTERRUPTED
    print_report(report, config.out, as_json=arguments.json, quiet=arguments.quiet, only_forms=only_forms)
    return code(report)


def print_report(
    report: AuditReport,
    folder: Path | None,
    *,
    as_json: bool,
    quiet: bool = False,
    only_forms: bool = False,
) -> None:
    """The result of an audit on stdout, and where the page is."""
    from robustcheck.report import forms_summary, summary

    if as_json:
        sys.stdout.write(report.to_json())
    elif not quiet:
        console = ResultConsole()
        console.print((forms_summary if only_forms else summary)(report))
        if folder is None:
            return
        console.print()
        page = printable(str(folder / "report.html"))
        console.print(Text.assemble(("report  ", "bold"), page), soft_wrap=True)
