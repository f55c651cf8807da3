"""How many samples have an example that can be stored as 8-bit integers over the box."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import Given
from robustcheck.levels import has_levels
from robustcheck.results import Check, judged, not_asked
from robustcheck.text import percent


def eight_bit(given: Given) -> Check:
    """What was found on 256 levels beside the examples, against plain rounding."""
    result, classifier = given.result, given.classifier
    if not result.found.any() or not has_levels(classifier.lower, classifier.upper, classifier.free):
        reason = "there is no example" if not result.found.any() else "the box has infinite sides"
        return not_asked("eight_bit", reason)
    at = np.flatnonzero(result.found)
    if np.isnan(result.distance8[at]).all():
        return not_asked("eight_bit", "examples on 256 levels were not looked for")
    there = np.isfinite(result.distance8[at])
    rounded = float(np.mean(there & (result.scale8[at] == 1) & (result.threshold8[at] == 0.5)))
    share = float(there.mean())
    detail = f"{percent(share)} of the examples have one on 256 levels of the box beside them"
    if there.any():
        longer = np.median(result.distance8[at][there]) / np.median(result.distance[at][there]) - 1.0
        detail += f", {percent(max(float(longer), 0.0))} longer in the median; rounding alone gives "
        detail += f"{percent(rounded)} of them"
    return judged("eight_bit", share, detail)
