"""``robustcheck merge``: the report of an audit whose parts were done apart."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from robustcheck.cli._common import run_audit
from robustcheck.cli._flags import add_flags, add_result_flags, groups_of_audit, with_default
from robustcheck.cli._settings import DEFAULT_OUT, planned_audit, read_settings
from robustcheck.config import AFTERWARDS
from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.settings import Setting

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = """\
Put the parts of an audit together that robustcheck audit --shard K/N made, try
the examples on the references, and write the report, the same as of an audit in
one piece. DIR are the folders of all the parts.

The model and data are loaded again, from where the parts had them, and must be
the same files. A plan does not choose which code is run: of an audit of
package.module:functions the parts are put together, and the same audit with
--resume makes the report.
"""
_EPILOG = """\
examples:
  robustcheck audit model.keras --data digits.npz --shard 1/2 --out one
  robustcheck audit model.keras --data digits.npz --shard 2/2 --out two
  robustcheck merge one two --policy policy.toml
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "merge", help="the report of an audit done in parts", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="folders of the parts")
    add_flags(parser, with_default(_settings(), "out", DEFAULT_OUT))
    add_result_flags(parser, "report.json")
    parser.set_defaults(run=run)


def _settings() -> list[Setting]:
    """What of an audit is set here: what becomes of the report."""
    return groups_of_audit(*AFTERWARDS)


def run(arguments: argparse.Namespace) -> int:
    """Gather the parts, then go on as an audit does that was stopped."""
    settings = read_settings({setting.name: getattr(arguments, setting.name) for setting in _settings()})
    out = Path(settings.get("out") or DEFAULT_OUT)
    if out.resolve() in [folder.resolve() for folder in arguments.folders]:
        raise ConfigError(f"--out: expected another folder than those of the parts, got {out}")
    from robustcheck.policy import read_policy
    from robustcheck.shards import gather

    if settings.get("policy"):
        read_policy(Path(settings.get("policy")))  # what is wrong with it is told before anything is written
    command = shlex.join(["robustcheck", *sys.argv[1:]])
    plan = gather(arguments.folders, out, force=bool(settings.get("force")), command=command)
    config = planned_audit(plan, settings, out)
    if config is None:
        raise ReportRefused(
            f"{out}: the parts are put together there. Their model or data are functions, or their layers "
            "in modules, which a plan must not choose: the report is made by the same audit with --resume "
            f"--out {out}, and without --shard"
        )
    return run_audit(config, arguments)
