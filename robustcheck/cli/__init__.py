"""The command line: thin edges around the package, one module a command.

TensorFlow is imported inside commands only, so that ``--help`` and usage errors answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from robustcheck import __version__
from robustcheck.cli import (
    _audit,
    _compare,
    _completion,
    _demo,
    _deploy_check,
    _doctor,
    _gate,
    _harden,
    _help,
    _merge,
    _policy,
    _replay,
    _report,
)
from robustcheck.cli._common import log_console
from robustcheck.cli._parser import Parser
from robustcheck.errors import EXIT_INTERRUPTED, Incomplete, RobustcheckError, is_of_memory, one_line
from robustcheck.text import printable

_COMMANDS = (
    _demo,
    _audit,
    _deploy_check,
    _merge,
    _gate,
    _compare,
    _report,
    _replay,
    _harden,
    _policy,
    _doctor,
    _help,
    _completion,
)

_DESCRIPTION = """\
How small a change of an input makes a Keras classifier wrong, and do examples
made for one model fool the others?
"""
_EPILOG = """\
examples:
  robustcheck demo
  robustcheck audit model.keras --data digits.npz --policy policy.toml
  robustcheck gate robustcheck-report --policy policy.toml
  robustcheck compare old-report new-report
  robustcheck help

exit codes: 0 passed, or done without a policy; 1 a rule failed; 2 wrong usage
or configuration; 3 an input was refused; 4 incomplete: something could not be
measured; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets ``run``, called with the parsed arguments."""
    parser = Parser(prog="robustcheck", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"robustcheck {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


def _join_box(argv: Sequence[str]) -> list[str]:
    """``--box LO HI`` as one word: argparse would take ``-inf`` for a flag, or the model for a bound."""
    words = list(argv)
    if "--box" in words[:-2]:
        at = words.index("--box")
        if not words[at + 1].endswith(".npz"):
            words[at : at + 3] = [f"--box={words[at + 1]},{words[at + 2]}"]
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    1 says that a rule failed, or what else a command is asked; what went wrong on the way is incomplete (4).
    """
    _never_fail_to_print()
    errors = log_console()
    try:
        arguments = build_parser().parse_args(_join_box(sys.argv[1:] if argv is None else argv))
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except RobustcheckError as error:
        _tell(errors, str(error))
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("interrupted before there was anything to report", style="bold red")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader went away, as `| head` does: nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _tell(errors, one_line(error))
        return Incomplete.exit_code
    except Exception as error:
        if is_of_memory(error):
            _tell(errors, f"expected memory for the work: {one_line(error)}; --batch-size takes less at once")
            return Incomplete.exit_code
        errors.print(Text("\n".join(map(printable, traceback.format_exc().splitlines()))), soft_wrap=True)
        _tell(errors, "this is a fault of robustcheck: please report it with the lines above")
        return Incomplete.exit_code
    return code


def _tell(errors: Console, message: str) -> None:
    """Each line says that it is an error; what is indented is to be copied, and stands as it is."""
    for line in message.splitlines():
        start = Text("") if line.startswith("    ") else Text("error: ", "bold red")
        errors.print(start + Text(printable(line)), soft_wrap=True)


def _never_fail_to_print() -> None:
    """In a locale that lacks a character, print its escape instead of failing after an hour's work."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
