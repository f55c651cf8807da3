"""Whether examples made for another model fool this one nearer to the sample than its own."""

from __future__ import annotations

from robustcheck.checks._given import Given
from robustcheck.remedies import nearer_transferred
from robustcheck.results import Check, judged, not_asked
from robustcheck.text import percent


def transferred(given: Given) -> Check:
    """What is nearer after the search went on from those that were."""
    if not given.made_for:
        return not_asked("transferred", "no reference model was attacked")
    at, _ = nearer_transferred(given.classifier, given.result, given.made_for)
    share = len(at) / int(given.result.correct.sum())
    adopted = 0 if given.walk is None else given.walk.adopted
    detail = "no example made for a reference fools the model nearer to the sample than its own"
    if len(at):
        detail = (
            f"for {percent(share)} of the samples an example made for a reference is nearer than their own"
        )
    if adopted:
        detail += f"; for {adopted} one was, and a walk by decisions went on from there"
    return judged("transferred", share, detail)
