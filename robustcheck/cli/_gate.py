"""``robustcheck gate``: judge a stored report by a policy."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from robustcheck import intake
from robustcheck.cli._common import ResultConsole, add_json_flag, exit_code
from robustcheck.cli._settings import read_settings
from robustcheck.errors import ConfigError, ModelRefused

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.results import ReportDocument

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
    parser.add_argument("--quiet", action="store_true", help="the exit code alone")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print how each rule is met, exit by the verdict."""
    # the model of a settings file is what an audit is of; here only a flag asks for the check
    settings = read_settings(
        argparse.Namespace(policy=arguments.policy, baseline=arguments.baseline)
    ).settings
    if settings.policy is None:
        raise ConfigError("expected --policy FILE; robustcheck policy init writes one to start from")
    from robustcheck.policy import judged, read_policy
    from robustcheck.report import read_evidence, verdict
    from robustcheck.results import plain

    policy = read_policy(Path(settings.policy))
    evidence = read_evidence(arguments.report)
    if arguments.model is not None:
        _require_model(evidence.document, arguments.model)
    baseline = read_evidence(Path(settings.baseline)) if settings.baseline else None
    document = judged(evidence.document, policy, evidence, baseline)
    if arguments.json:
        told = {"schema": "robustcheck.verdict/1", "report": str(arguments.report)}
        told |= {name: plain(getattr(document, name)) for name in ("verdict", "rules", "policy", "baseline")}
        sys.stdout.write(json.dumps(told, indent=2, allow_nan=False) + "\n")
    elif not arguments.quiet:
        ResultConsole().print(verdict(document))
    return exit_code(document.verdict)


def _require_model(document: ReportDocument, path: Path) -> None:
    """Refuse a model file that is not the one of the report."""
    if not path.is_file():
        raise ModelRefused(f"{path}: expected a model file, got nothing there")
    if intake.sha256(path) != document.model.sha256:
        raise ModelRefused(
            f"{path}: expected the model of the report ({document.model.name}), got another file"
        )
