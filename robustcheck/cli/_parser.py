"""An argument parser that suggests what was meant."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter


class _Formatter(RawDescriptionRichHelpFormatter):
    """Square brackets in a text are square brackets, not styles."""

    text_markup = False
    help_markup = False


class Parser(argparse.ArgumentParser):
    """Abbreviated flags are refused, so that a later flag never changes what an older command means."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", _Formatter)
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
