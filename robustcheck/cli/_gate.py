"""``robustcheck gate``: judge a stored report by a policy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from robustcheck import intake
from robustcheck.cli._common import ResultConsole, exit_code, log_console, print_json
from robustcheck.cli._flags import add_json_flag, add_quiet_flag
from robustcheck.cli._settings import read_settings
from robustcheck.errors import ConfigError, ModelRefused

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.results import Evidence, ReportDocument

_DESCRIPTION = """\
Judge a stored report by a policy; nothing is measured again and nothing written.
REPORT is a report folder or its report.json.
"""
_EPILOG = """\
examples:
  robustcheck gate robustcheck-report --policy policy.toml
  robustcheck gate new-report --policy policy.toml --baseline old-report

exit codes: 0 every rule passes, 1 one failed, 4 one could not be measured
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "gate", help="judge a stored report by a policy", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("report", type=Path, metavar="REPORT")
    parser.add_argument("--policy", metavar="FILE", help="the rules; default: that of robustcheck.toml")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="the model to deploy: refused if the report is on another"
    )
    parser.add_argument("--baseline", metavar="REPORT", help="report that changes are measured against")
    add_json_flag(parser)
    add_quiet_flag(parser, "the exit code alone")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print how each rule is met, exit by the verdict."""
    # the model of a settings file is what an audit is of; here only a flag asks for the check
    settings = read_settings({"policy": arguments.policy, "baseline": arguments.baseline})
    rules, before = settings.get("policy"), settings.get("baseline")
    if rules is None:
        raise ConfigError("expected --policy FILE; robustcheck policy init writes one to start from")
    from robustcheck.policy import judged, read_policy
    from robustcheck.report import read_evidence, verdict
    from robustcheck.results import plain

    policy = read_policy(Path(rules))
    evidence = read_evidence(arguments.report)
    if arguments.model is not None:
        _require_model(evidence.document, arguments.model)
    baseline = read_evidence(Path(before)) if before else None
    document = judged(evidence.document, policy, evidence, baseline)
    log = log_console(quiet=arguments.quiet)
    for note in _notes(evidence, baseline):
        log.print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)
    if arguments.json:
        names = ("verdict", "complete", "rules", "policy", "baseline")
        parts = {name: plain(getattr(document, name)) for name in names}
        print_json("verdict", {"report": str(arguments.report), **parts})
    elif not arguments.quiet:
        ResultConsole().print(verdict(document))
    return exit_code(document.verdict)


def _notes(evidence: Evidence, baseline: Evidence | None) -> list[str]:
    """What a person should know who relies on the verdict."""
    notes = []
    if evidence.samples is None:
        notes.append("samples.npz is not beside report.json: its figures are judged as they stand there")
    if baseline is not None and baseline.document.provenance == evidence.document.provenance:
        notes.append("the baseline is this very report, so nothing can have changed")
    return notes


def _require_model(document: ReportDocument, path: Path) -> None:
    """Refuse a model file that is not the one of the report."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise ModelRefused(f"{path}: expected a model file, got {got}")
    if intake.sha256(path) != document.model.sha256:
        raise ModelRefused(
            f"{path}: expected the model of the report ({document.model.name}), got another file"
        )
