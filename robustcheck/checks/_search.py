"""Whether every sample has an example."""

from __future__ import annotations

from robustcheck.checks._given import Given
from robustcheck.measures import count
from robustcheck.results import CHECKS, Check, judged


def search(given: Given) -> Check:
    """What share of the samples has one, and why not all."""
    counts = count(given.result)
    share = counts.found / counts.correct
    detail = f"an example was found for {counts.found} of {counts.correct} samples"
    if CHECKS["search"].outcome(share) != "PASS":
        why = "the budget may be too small, or gradients masked"
        if given.before["stable"].outcome != "PASS":
            why = "the model's answers change (see the check stable), so none can be held on to"
        detail += f", while the whole box was allowed: {why}"
    return judged("search", share, detail)
