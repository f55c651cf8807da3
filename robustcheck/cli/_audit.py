"""``robustcheck audit``: audit a model file on a data file."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from robustcheck.cli._common import add_output_flags, add_search_flags, run_audit
from robustcheck.cli._flags import add_data_flags, add_model_flags
from robustcheck.cli._settings import DEFAULT_OUT, read_settings
from robustcheck.errors import EXIT_OK

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = """\
Find for each sample the nearest input that the model misclassifies, check every
answer with the plain model, and write a report.

MODEL is a .keras or .h5 file, or package.module:factory, a function that returns
a built model. name=MODEL gives it a name for the report.
SOURCE is an .npz file, a folder with a sub-folder of images a class, or
package.module:function, which returns (x, y) or a tf.data.Dataset.

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
    parser.add_argument("--data", metavar="SOURCE", help="samples and labels")
    _add_reference_flags(parser)
    add_data_flags(parser)
    add_model_flags(parser)
    add_search_flags(parser)
    gate = parser.add_argument_group("gate")
    gate.add_argument(
        "--policy", metavar="FILE", help="rules that the report is judged by; sets the exit code"
    )
    gate.add_argument("--baseline", metavar="REPORT", help="report that the policy measures changes against")
    add_output_flags(parser, DEFAULT_OUT)
    parser.add_argument("--force", action="store_true", default=None, help="replace a report that is there")
    parser.add_argument(
        "--print-config", action="store_true", help="print the settings in force and where each is from"
    )
    parser.set_defaults(run=run)


def _add_reference_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("transfer")
    group.add_argument(
        "--reference",
        action="append",
        metavar="MODEL",
        help="another model, or a folder of models: do the examples fool it too? any number of times",
    )
    group.add_argument(
        "--transfer",
        choices=("all", "one-way"),
        help="one-way: do not make examples for the references; default: all",
    )
    group.add_argument(
        "--transfer-rms",
        action="append",
        type=float,
        metavar="RMS",
        help="also compare all models' examples scaled to this RMS; any number of times",
    )


def run(arguments: argparse.Namespace) -> int:
    """Audit what the flags and files name."""
    settings = read_settings(arguments)
    if arguments.print_config:
        # what could not be run is not printed; whether the files are there only a run can tell
        replace(
            settings.settings, model=settings.settings.model or "-", data=settings.settings.data or "-"
        ).config("")
        sys.stdout.write(settings.toml())
        return EXIT_OK
    command = shlex.join(["robustcheck", *sys.argv[1:]])
    return run_audit(settings.settings.config(command), arguments)
