"""Whether scores are numbers on the way from samples to their examples, and a little beyond."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import ON_THE_WAY, Given
from robustcheck.models import logits_of
from robustcheck.results import Check, judged, not_asked
from robustcheck.text import percent

# shares of the way that scores are asked for: close together about its end
_SHARES = (*np.linspace(0.0, 0.8, 5), *np.linspace(0.85, 1.1, 16))


def finite(given: Given) -> Check:
    """Ask for the scores along the way."""
    result, classifier, at = given.result, given.classifier, given.found(ON_THE_WAY)
    if not len(at):
        return not_asked("finite", "there is no example to go to")
    x, r = result.rows[at], result.points[at] - result.rows[at]
    lower, upper = classifier.bounds(x)
    none = np.zeros(len(at), bool)
    for share in _SHARES:
        there = np.clip(x + np.float32(share) * r, lower, upper)
        none |= ~np.isfinite(logits_of(classifier, there)).all(axis=1)
    share = float(none.mean())
    detail = f"scores are numbers on the way to all of {len(at)} examples"
    if none.any():
        detail = (
            f"scores are no numbers somewhere on the way to {percent(share)} of {len(at)} examples, and what "
            "is no number is not taken for a mistake"
        )
    return judged("finite", share, detail)
