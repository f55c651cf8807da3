"""How figures are written everywhere, and text from outside made safe to print."""

from __future__ import annotations

import re

# control characters, what changes the direction of text or is invisible, and halves of surrogate pairs
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal; a dash for what was not measured."""
    return "-" if value is None else f"{100 * value:.1f} %"


def printable(text: str) -> str:
    """Text without control and direction characters: each becomes U+FFFD, the replacement character."""
    return _UNPRINTABLE.sub("\ufffd", text)
