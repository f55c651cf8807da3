"""Whether a walk that asks for decisions alone comes nearer than the search did."""

from __future__ import annotations

from typing import Literal

from robustcheck.checks._limits import LIMITS
from robustcheck.remedies import ASKED, Walk
from robustcheck.results import Check
from robustcheck.text import percent


def gradient_free(walk: Walk | None) -> Check:
    """What the walk came to, on a few samples and where that was needed on all."""
    if walk is None or not walk.tried:
        reason = "the search itself asks for decisions alone" if walk else "no walk by decisions was made"
        return Check(id="gradient_free", outcome="SKIP", detail=reason)
    few = f"{ASKED} decisions each, on {walk.tried} samples"
    shorter = f"a walk by decisions alone shortened the median distance by {percent(walk.shorter)} ({few})"
    if not walk.given:
        return Check(id="gradient_free", outcome=_over(walk.shorter), detail=shorter)
    if not walk.saw_more:
        lost = f"the walk was given the {walk.given} samples without an example, {walk.asked} decisions each"
        found = f"{shorter}; {lost}, and found one for {percent(walk.nearer)}"
        return Check(id="gradient_free", outcome="PASS", detail=found)
    detail = (
        f"{shorter}, so the search did not see all there is; the walk was given all {walk.given} samples, "
        f"{walk.asked} decisions each, came nearer for {percent(walk.nearer)}, and the report keeps the "
        f"shorter distances; its second half made their median {percent(walk.falling)} shorter"
    )
    if walk.falling > LIMITS.walk_warn:
        detail += ", so still shorter ones are to be expected"
    return Check(id="gradient_free", outcome=_over(walk.falling), detail=detail)


def _over(share: float) -> Literal["PASS", "WARN"]:
    return "WARN" if share > LIMITS.walk_warn else "PASS"
