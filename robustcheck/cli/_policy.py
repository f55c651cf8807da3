"""``robustcheck policy``: write a policy to start from, and check one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from robustcheck.cli._common import ResultConsole
from robustcheck.errors import EXIT_OK, ConfigError
from robustcheck.text import printable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_EPILOG = """\
examples:
  robustcheck policy init policy.toml
  robustcheck policy init policy.toml --deployed
  robustcheck policy check policy.toml
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parsers."""
    parser = commands.add_parser(
        "policy",
        help="write or check a policy",
        description="Write a policy to start from, or check one.",
        epilog=_EPILOG,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="write a policy to start from", description="Write a policy.")
    init.add_argument("file", type=Path, metavar="FILE", nargs="?", default=Path("policy.toml"))
    init.add_argument("--deployed", action="store_true", help="with rules on deployed forms")
    init.set_defaults(run=_init)
    check = actions.add_parser("check", help="say what is wrong with a policy", description="Check a policy.")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(run=_check)


def _init(arguments: argparse.Namespace) -> int:
    from robustcheck.policy import OF_FORMS, TEMPLATE

    try:
        with arguments.file.open("x", encoding="utf-8") as stream:
            stream.write(TEMPLATE + (OF_FORMS if arguments.deployed else ""))
    except FileExistsError as error:
        raise ConfigError(f"{arguments.file}: expected a new file, got one that is there") from error
    except OSError as error:
        raise ConfigError(f"{arguments.file}: expected a place to write to: {error.strerror}") from error
    sys.stdout.write(f"{arguments.file}\n")
    return EXIT_OK


def _check(arguments: argparse.Namespace) -> int:
    from robustcheck.policy import read_policy

    policy = read_policy(arguments.file)
    table = Table()
    for name in ("metric", "bounds", "severity"):
        table.add_column(name, overflow="fold")
    for rule in policy.rules:
        table.add_row(Text(printable(rule.metric)), Text("\n".join(rule.bounds)), rule.severity)
    console = ResultConsole()
    console.print(table)
    if all(rule.severity == "warning" for rule in policy.rules):
        console.print("No rule of severity error: this policy passes everything.", style="yellow")
    return EXIT_OK
