"""An argument parser that suggests what was meant."""

from __future__ import annotations

import argparse
import difflib
import itertools
import re
import shutil
import sys
import textwrap
from typing import NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter


class _Formatter(RawDescriptionRichHelpFormatter):
    """Square brackets in a text are square brackets, not styles."""

    text_markup = False
    help_markup = False


def _wrapped(text: object) -> str | None:
    """Paragraphs as wide as the terminal, at most 80; indented lines, which are commands, stay."""
    if not isinstance(text, str):
        return None
    width = min(shutil.get_terminal_size().columns, 80) - 2
    parts: list[str] = []
    for indented, lines in itertools.groupby(text.splitlines(), lambda line: line.startswith(" ")):
        if indented:
            parts += lines
            continue
        for empty, paragraph in itertools.groupby(lines, lambda line: not line):
            parts += [""] if empty else textwrap.wrap(" ".join(paragraph), width)
    return "\n".join(parts)


class Parser(argparse.ArgumentParser):
    """Abbreviated flags are refused, so that a later flag never changes what an older command means."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", _Formatter)
        for name in ("description", "epilog"):
            settings[name] = _wrapped(settings.get(name))
        super().__init__(allow_abbrev=False, **settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Usage, what is wrong and what was perhaps meant; exits with 2."""
        self.print_usage(sys.stderr)
        suggestion = self._suggestion(message)
        self.exit(2, f"{self.prog}: error: {message}{suggestion}\n")

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """As the base class, but what a command does not know is that command's error, with its usage."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown and self._subparsers is None:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def _suggestion(self, message: str) -> str:
        if message.startswith("unrecognized arguments: "):
            words = [word.partition("=")[0] for word in message.split()[2:] if word.startswith("-")]
            options = [option for action in self._actions for option in action.option_strings]
        elif "invalid choice: " in message:
            words = re.findall(r"invalid choice: '([^']*)'", message)
            options = [
                str(choice)
                for action in self._actions
                for choice in (action.choices or ())
                if choice is not None
            ]
        else:
            return ""
        near = [match for word in words for match in difflib.get_close_matches(word, options, n=1)]
        return f"; did you mean {' '.join(near)}?" if near else f"; see {self.prog} --help"
