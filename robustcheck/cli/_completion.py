"""``robustcheck completion``: a script that completes commands and flags in a shell."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from robustcheck.errors import EXIT_OK

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_EPILOG = """\
examples:
  robustcheck completion bash > ~/.local/share/bash-completion/completions/robustcheck
  robustcheck completion zsh > ~/.zfunc/_robustcheck
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "completion",
        help="print a completion script for a shell",
        description="Print a script that completes robustcheck's commands and flags.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from robustcheck.cli import build_parser

    sys.stdout.write(shtab.complete(build_parser(), shell=arguments.shell) + "\n")
    return EXIT_OK
