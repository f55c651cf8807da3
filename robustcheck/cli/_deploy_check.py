"""``robustcheck deploy-check``: is what is deployed as robust as the model that it was made of?"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from robustcheck.cli._common import EXIT_FAIL, exit_code, run_audit
from robustcheck.cli._flags import add_data_flag, add_flags, add_result_flags, groups_of_audit, with_default
from robustcheck.cli._settings import read_settings
from robustcheck.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.results import AuditReport

_DESCRIPTION = """\
Hold what is deployed against the model that it was made of: whether clean
decisions agree, and how far each form is from erring on the way to the model's
nearest misclassified inputs. The short form of an audit with --deployed.

FORM is a .tflite, .onnx or Keras file, or package.module:factory; name=FORM
gives it a name.
"""
_EPILOG = """\
examples:
  robustcheck deploy-check model.keras phone.tflite --data digits.npz
  robustcheck deploy-check model.keras a.tflite b.onnx --data digits.npz --limit 1000
  robustcheck deploy-check model.keras --precision int8 --data digits.npz

exit codes: 0 each form is about as robust, perhaps with a warning; 1 one is not
(the check deployed fails, or a rule of --policy); 2 wrong usage; 3 an input was
refused; 4 incomplete, --max-calls among others
"""
# of an audit that is to take less than a minute
_LIMIT, _BUDGET = 200, 100


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "deploy-check",
        usage="robustcheck deploy-check MODEL FORM... --data SOURCE [flags]",
        help="hold deployed forms against the model they were made of",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("forms", metavar="FORM", nargs="*", help="what it is deployed as")
    add_data_flag(parser)
    shown = groups_of_audit("deployed", "data", "model", "trust", "search", "gate", "output")
    for name, default in (("limit", _LIMIT), ("budget", _BUDGET)):
        shown = with_default(shown, name, default)
    add_flags(parser, [setting for setting in shown if setting.name != "deployed"])
    add_result_flags(parser, "report.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit the model on some samples, with its deployed forms."""
    settings = replace(read_settings(arguments), defaults={"limit": _LIMIT, "budget": _BUDGET})
    forms = arguments.forms or settings.get("deployed") or []
    if not forms and not settings.get("precision"):
        raise ConfigError("expected a FORM, or --precision, beside MODEL, got none")
    command = shlex.join(["robustcheck", *sys.argv[1:]])
    return run_audit(settings.audit(command, deployed=list(forms)), arguments, only_forms=True, code=_code)


def _code(report: AuditReport) -> int:
    """By the policy, else by the check."""
    if report.verdict is not None:
        return exit_code(report.verdict)
    return EXIT_FAIL if "deployed" in report.failed else EXIT_OK
