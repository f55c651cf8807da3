"""Whether a larger budget would find shorter distances."""

from __future__ import annotations

from robustcheck.checks._given import Given
from robustcheck.measures import last_doubling
from robustcheck.results import CHECKS, Check, judged, not_asked
from robustcheck.text import percent


def budget(given: Given) -> Check:
    """How much the second half of the budget still found."""
    fell = last_doubling(given.result).value
    if fell is None:
        return not_asked("budget", "the method does not tell what half the budget gave")
    detail = f"the last doubling of the budget shortened the median distance by {percent(fell)}"
    if CHECKS["budget"].outcome(fell) != "PASS":
        detail += ", so twice as much of it may well shorten it by about half of that again"
    return judged("budget", fell, detail)
