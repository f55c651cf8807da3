"""Whether several starts of the search came to the same distance."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import Given
from robustcheck.results import Check, judged, not_asked
from robustcheck.text import percent


def starts(given: Given) -> Check:
    """How many samples have a nearest example that one start alone came near to.

    Walks by decisions have one start, and what they shortened is not counted.
    """
    agreed = given.result.starts_agreed[given.result.found]
    agreed = agreed[agreed > 0]
    if not len(agreed):
        return not_asked("starts", "the method has one start, or there is no example")
    alone = float(np.mean(agreed == 1))
    detail = (
        f"in the median {np.median(agreed):g} starts of the search ended within 1 % of the nearest example"
    )
    detail += f"; for {percent(alone)} of {len(agreed)} samples it was one alone"
    return judged("starts", alone, detail)
