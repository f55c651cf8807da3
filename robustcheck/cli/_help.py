"""``robustcheck help``: the manual that comes with the package."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markdown import Markdown
from rich.table import Table

from robustcheck.cli._common import ResultConsole
from robustcheck.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_MANUAL = Path(__file__).parents[1] / "manual"
# in the order in which they are read; a page that is not here comes last
_ORDER = (
    "start",
    "models",
    "numbers",
    "policies",
    "pytest",
    "hardening",
    "search",
    "scale",
    "deployed",
    "trust",
    "refusals",
    "extending",
)
_EPILOG = """\
examples:
  robustcheck help
  robustcheck help models
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "help",
        help="pages of the manual",
        description="Show a page of the manual; without TOPIC, which pages there are.",
        epilog=_EPILOG,
    )
    parser.add_argument("topic", metavar="TOPIC", nargs="?", help=", ".join(topics()))
    parser.set_defaults(run=run)


def topics() -> list[str]:
    """The pages there are."""
    there = sorted(path.stem for path in _MANUAL.glob("*.md"))
    return sorted(there, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def page(topic: str) -> str:
    """A page in Markdown.

    Raises:
        ConfigError: there is none of that name.
    """
    known = topics()
    if topic not in known:
        near = difflib.get_close_matches(topic, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        raise ConfigError(f"help: there is no page {topic!r}; {hint}")
    return (_MANUAL / f"{topic}.md").read_text("utf-8")


def run(arguments: argparse.Namespace) -> int:
    """Show it; through a pager on a terminal."""
    console = ResultConsole()
    if arguments.topic is None:
        console.print(_contents())
        return EXIT_OK
    text = Markdown(page(arguments.topic))
    if sys.stdout.isatty():
        with console.pager(styles=True):
            console.print(text)
    else:
        console.print(text)
    return EXIT_OK


def _contents() -> Table:
    table = Table.grid(padding=(0, 2))
    for topic in topics():
        title = page(topic).partition("\n")[0].removeprefix("# ")
        table.add_row(f"robustcheck help {topic}", title)
    return table
