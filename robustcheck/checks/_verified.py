"""Every stored example once more, as a reader of ``samples.npz`` would classify it."""

from __future__ import annotations

from robustcheck.arrays import blocks
from robustcheck.checks._given import Given
from robustcheck.models import own_labels
from robustcheck.results import Check, judged, not_asked


def verified(given: Given) -> Check:
    """Classify them by the plain model."""
    result = given.result
    if not result.found.any():
        return not_asked("verified", "there is no example to classify")
    now = result.label.copy()
    for block in blocks(result.found):
        now[block] = own_labels(given.classifier, result.points[block])
    wrong = result.reached(now)[result.found]
    detail = f"{int(wrong.sum())} of {len(wrong)} stored examples are misclassified by the plain model"
    return judged("verified", float(wrong.mean()), detail)
