"""Whether a walk that asks for decisions alone comes nearer than the search did."""

from __future__ import annotations

from robustcheck.checks._given import Given
from robustcheck.remedies import ASKED, SHORTER
from robustcheck.results import Check, judged, not_asked
from robustcheck.text import percent


def gradient_free(given: Given) -> Check:
    """What the walk came to, on a few samples and where that was needed on all."""
    walk = given.walk
    if walk is None or not walk.tried:
        reason = "the search itself asks for decisions alone" if walk else "no walk by decisions was made"
        return not_asked("gradient_free", reason)
    few = f"{ASKED} decisions each, on {walk.tried} samples"
    shorter = f"a walk by decisions alone shortened the median distance by {percent(walk.shorter)} ({few})"
    if not walk.given:
        return judged("gradient_free", walk.shorter, shorter)
    if not walk.saw_more:
        lost = f"the walk was given the {walk.given} samples without an example, {walk.asked} decisions each"
        found = f"{shorter}; {lost}, and found one for {percent(walk.nearer)}"
        return judged("gradient_free", 0.0, found)
    detail = (
        f"{shorter}, so the search did not see all there is; the walk was given all {walk.given} samples, "
        f"{walk.asked} decisions each, came nearer for {percent(walk.nearer)}, and the report keeps the "
        f"shorter distances; its second half made their median {percent(walk.falling)} shorter"
    )
    if walk.falling > SHORTER:
        detail += ", so still shorter ones are to be expected"
    return judged("gradient_free", walk.falling, detail)
