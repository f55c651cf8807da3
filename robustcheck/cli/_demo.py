"""``robustcheck demo``: an audit of a small model that comes with the package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from robustcheck import assets
from robustcheck.cli._common import ResultConsole, run_audit
from robustcheck.cli._flags import (
    add_flags,
    add_result_flags,
    audit_flags,
    with_default,
)
from robustcheck.config import AuditConfig
from robustcheck.errors import EXIT_OK

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_SAMPLES = 200
_OUT = "robustcheck-demo"
_DESCRIPTION = """\
Audit a small digit classifier that comes with the package against two others,
on the UCI digits (8x8 pixels). Nothing is downloaded; takes less than a minute.
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "demo", help="audit a model that comes with the package", description=_DESCRIPTION
    )
    add_flags(parser, with_default(audit_flags("out", "report_assets"), "out", _OUT))
    add_result_flags(parser, "report.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit the shipped models and say what to run next."""
    models = [str(assets.path(name)) for name in assets.MODELS]
    config = AuditConfig(
        model=models[0],
        references=tuple(models[1:]),
        data=str(assets.path(assets.DIGITS)),
        data_range=assets.DIGITS_RANGE,
        limit=_SAMPLES,
        out=Path(arguments.out or _OUT),
        force=True,
        report_assets=bool(arguments.report_assets),
        command="robustcheck demo",
    )
    code = run_audit(config, arguments)
    if code == EXIT_OK and not (arguments.json or arguments.quiet):
        ResultConsole().print(
            Text.assemble(
                ("next    ", "bold"), "robustcheck audit MODEL.keras --data DATA.npz --reference OTHER.keras"
            ),
            soft_wrap=True,
        )
    return code
