"""``robustcheck audit``: audit a model file on a data file."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from rich.text import Text

from robustcheck.cli._common import ResultConsole, log_console, print_json, run_audit, working
from robustcheck.cli._flags import (
    add_data_flag,
    add_flags,
    add_result_flags,
    groups_of_audit,
    with_default,
)
from robustcheck.cli._settings import DEFAULT_OUT, read_settings
from robustcheck.errors import EXIT_OK
from robustcheck.text import printable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.config import AuditConfig

_DESCRIPTION = """\
Find for each sample the nearest input that the model misclassifies, check every
answer with the plain model, and write a report.

MODEL is a .keras or .h5 file, or package.module:factory, a function that returns
a built model. name=MODEL gives it a name for the report.
SOURCE is an .npz file, x.npy,y.npy, a folder with a sub-folder of images a class,
or package.module:function, which returns (x, y) or a tf.data.Dataset.

Flags may stand in robustcheck.toml, or under [tool.robustcheck] in
pyproject.toml, with underscores: transfer_rms = [0.1]
"""
_EPILOG = """\
examples:
  robustcheck audit model.keras --data digits.npz
  robustcheck audit model.keras --data digits.npz --policy policy.toml
  robustcheck audit new=v2.keras --data mnist.npz --reference old=v1.keras
  robustcheck audit model.keras --data photos/ --box 0 255
  robustcheck audit model.keras --data table.npz --freeze mask.npz
  robustcheck audit model.keras --data photos.npz --jobs 4 --resume
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "audit",
        usage="robustcheck audit MODEL --data SOURCE [flags]",
        help="audit a model and write a report",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model to audit")
    add_data_flag(parser)
    shown = groups_of_audit(
        "transfer", "deployed", "data", "model", "trust", "search", "work", "gate", "output"
    )
    add_flags(parser, with_default(shown, "out", DEFAULT_OUT))
    add_result_flags(parser, "report.json")
    parser.add_argument(
        "--print-config", action="store_true", help="print the settings in force and where each is from"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit what the flags and files name."""
    settings = read_settings(arguments)
    if arguments.print_config:
        # what could not be run is not printed; whether the files are there only a run can tell
        settings.audit("", **{name: settings.get(name) or "-" for name in ("model", "data")})
        sys.stdout.write(settings.toml())
        return EXIT_OK
    config = settings.audit(shlex.join(["robustcheck", *sys.argv[1:]]))
    return run_audit(config, arguments) if config.shard is None else _run_part(config, arguments)


def _run_part(config: AuditConfig, arguments: argparse.Namespace) -> int:
    """Do a part of the work; there is a report when all parts are merged."""
    with working(log_console(quiet=arguments.quiet)) as display:
        from robustcheck.auditing import audit_part

        part = audit_part(config, display)
    if arguments.json:
        print_json("part", {"folder": str(config.out), "shards": part.shards, "total": part.total})
    elif not arguments.quiet:
        there = f"{part.shards} of {part.total} shards are in {printable(str(config.out))}"
        if not part.shards:
            there += ": there are more parts than shards, and this one has nothing to do"
        ResultConsole().print(
            Text(f"{there}; robustcheck merge makes the report of all parts"), soft_wrap=True
        )
    return EXIT_OK
