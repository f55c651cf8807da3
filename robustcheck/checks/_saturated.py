"""Whether scores are lost in rounded probabilities, or decide otherwise than the output they are of."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import Given
from robustcheck.distortion import spread
from robustcheck.models import logits_of, own_labels
from robustcheck.results import Check, judged
from robustcheck.text import percent

# samples that are looked at
_LOOKED_AT = 128
# of these that scores may give another class than the output, which may have ties
_OTHERWISE = 0.02


def saturated(given: Given) -> Check:
    """Look at probabilities where scores are made of them, else at decisions."""
    result, classifier = given.result, given.classifier
    at = spread(np.flatnonzero(result.correct), _LOOKED_AT)
    if classifier.ends_in.recovered is False:
        share = float(np.mean(result.confidence_before[at] >= 1.0 - 2.0**-23)) if len(at) else 0.0
        made = "scores are made of probabilities, and those"
        detail = f"{made} of {percent(share)} of the samples are rounded to 1"
        return judged("saturated", share, detail)
    detail = f"scores are those before any saturation that the graph shows ({classifier.head})"
    if not classifier.ends_in.left_out or classifier.votes is not None or not len(at):
        return judged("saturated", 0.0, detail)
    rows = result.rows[at]
    apart = float(np.mean(logits_of(classifier, rows).argmax(axis=1) != own_labels(classifier, rows)))
    if apart > _OTHERWISE:
        detail += f", but give {percent(apart)} of {len(at)} samples another class than the output"
    return judged("saturated", apart if apart > _OTHERWISE else 0.0, detail)
