"""``robustcheck report``: write the files of a stored report again."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robustcheck.cli._common import exit_code, print_report
from robustcheck.cli._flags import add_json_flag
from robustcheck.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = """\
Write report.html and the other files of a stored report again, from report.json
and samples.npz; with --policy also judge it anew. No model is needed.
"""
_EPILOG = """\
examples:
  robustcheck report robustcheck-report
  robustcheck report robustcheck-report --report-assets
  robustcheck report robustcheck-report --policy policy.toml
  robustcheck report --schema > report.schema.json
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report", help="write the files of a report again", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("report", type=Path, metavar="DIR", nargs="?", help="a report folder")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of report.json")
    parser.add_argument(
        "--report-assets", action="store_true", help="write styles and images as files beside report.html"
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="judge the report by these rules")
    parser.add_argument(
        "--baseline", type=Path, metavar="REPORT", help="report that the policy measures changes against"
    )
    add_json_flag(parser, "report.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Render again, or print the schema."""
    from robustcheck.policy import judged, read_policy
    from robustcheck.report import (
        json_schema,
        prepare_folder,
        read_evidence,
        read_report,
        write_report,
    )
    from robustcheck.results import without_places

    if arguments.schema:
        sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
        return EXIT_OK
    if arguments.report is None:
        raise ConfigError("expected a report folder, or --schema")
    if arguments.baseline is not None and arguments.policy is None:
        raise ConfigError("--baseline: expected a policy beside it, got none")
    report = read_report(arguments.report)
    if arguments.policy is not None:
        baseline = read_evidence(arguments.baseline) if arguments.baseline else None
        report = judged(report, read_policy(arguments.policy), report.evidence, baseline)
    # what the audit left whole stays so; where the rules were read is this command's
    bare = without_places(report)
    report = replace(report, policy=bare.policy, baseline=bare.baseline)
    folder = arguments.report if arguments.report.is_dir() else arguments.report.parent
    write_report(report, prepare_folder(folder, force=True), assets=arguments.report_assets)
    print_report(report, folder, as_json=arguments.json)
    return exit_code(report.verdict) if arguments.policy is not None else EXIT_OK
