"""How figures are written everywhere, and text from outside made safe to print."""

from __future__ import annotations

import re
from collections.abc import Sequence

# control characters, what changes the direction of text or is invisible, and halves of surrogate pairs
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)

# of a value in an error text
_MOST_ITEMS, _LONGEST = 6, 120
# faults of a file that are told one by one
_MOST_FAULTS = 20


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal; a dash for what was not measured."""
    return "-" if value is None else f"{100 * value:.1f} %"


def option(name: str, value: str | None = None) -> str:
    """How a user sets something, perhaps to a value: the argument in Python, and the command line's flag."""
    flag = f"--{name.replace('_', '-')}"
    return f"{name}= ({flag})" if value is None else f'{name}="{value}" ({flag} {value})'


def brief(value: object) -> str:
    """A value for an error text, on one line: arrays by type and shape, other things cut where long."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of {value.dtype} of shape {tuple(value.shape)}" if value.shape else repr(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{key!r}: {brief(item)}" for key, item in value.items())
        return cut(f"{{{inside}}}")
    if isinstance(value, list | tuple):
        inside = ", ".join(map(brief, value[:_MOST_ITEMS])) + (", ..." if len(value) > _MOST_ITEMS else "")
        return cut(f"[{inside}]" if isinstance(value, list) else f"({inside})")
    return cut(" ".join(repr(value).split()))


def cut(text: str, longest: int = _LONGEST) -> str:
    """Text of at most so many characters, and dots where there was more."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def listed(faults: Sequence[str]) -> list[str]:
    """The first faults of a file, and how many more there are."""
    more = len(faults) - _MOST_FAULTS
    return [*faults[:_MOST_FAULTS], f"and {more} more"] if more > 0 else list(faults)


def printable(text: str) -> str:
    """Text without control and direction characters: each becomes U+FFFD, the replacement character."""
    return _UNPRINTABLE.sub("\ufffd", text)
