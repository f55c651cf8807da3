"""Whether the gradient that the search followed is that of the scores."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import Given
from robustcheck.distortion import sloped_rows
from robustcheck.models import Classifier
from robustcheck.results import CHECKS, Check, CheckOutcome, SearchResult, Status
from robustcheck.search import Agreement, choose_slope, margin_slope
from robustcheck.text import percent

# samples whose gradient is looked at
_LOOKED_AT = 128
# what is done about it, where something is
_REMEDY = "the walk by decisions was given all samples, and the report keeps the shorter distances"


def gradient(given: Given) -> Check:
    """Hold slopes against differences of the scores."""
    classifier, result, walked = given.classifier, given.result, given.walked
    rows = sloped_rows(result.rows, np.flatnonzero(~result.is_(Status.NON_FINITE)))
    chosen = choose_slope(classifier, rows)
    followed, flat = chosen.followed, _flat(classifier.by(chosen.slope), result)
    detail = f"the slopes are those of the scores within {percent(followed.off)}"
    if followed.misleads:
        detail = f"the slopes are not those of the scores, but {percent(followed.off)} of their length off"
    if chosen.slope == "computed":
        declares = f"the gradient that the model declares is {chosen.declared.fault}, so the search followed"
        detail = f"{declares} that of what it computes: {detail}"
    elif followed.misleads:
        detail = f"the gradient is {followed.fault}: {detail}"
    if CHECKS["gradient"].outcome(flat) != "PASS":
        detail += f"; there is none at {percent(flat)} of the samples"
    if followed.misleads:
        detail += f"; {_REMEDY}" if walked else "; distances may come out too long"
    outcome = _outcome(followed, flat, walked=walked)
    if classifier.jumps:
        outcome = "WARN" if outcome == "PASS" else outcome
        detail += (
            "; the scores jump somewhere (rounding, comparisons), and no slope shows what is behind a jump"
        )
    return Check(id="gradient", outcome=outcome, detail=detail)


def _outcome(followed: Agreement, flat: float, *, walked: bool) -> CheckOutcome:
    outcome = "FAIL" if followed.misleads else CHECKS["gradient"].outcome(flat)
    return "WARN" if walked and outcome == "FAIL" else outcome


def _flat(classifier: Classifier, result: SearchResult) -> float:
    """Share of the samples at which the margin has no slope, or none that is finite."""
    where = np.flatnonzero(result.correct)[:_LOOKED_AT]
    slope = margin_slope(classifier, result.rows[where], result.label[where], result.target[where])
    slope = slope[:, classifier.free]
    return float(np.mean(~np.isfinite(slope).all(axis=1) | ~slope.any(axis=1)))
