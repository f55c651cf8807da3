"""Whether the gradient that the search followed is that of the scores."""

from __future__ import annotations

from typing import Literal

import numpy as np

from robustcheck.checks._limits import LIMITS
from robustcheck.distortion import sloped_rows
from robustcheck.models import Classifier
from robustcheck.results import Check, SearchResult, Status
from robustcheck.search import Agreement, choose_slope, margin_slope
from robustcheck.text import percent

# what is done about it, where something is
_REMEDY = "the walk by decisions was given all samples, and the report keeps the shorter distances"


def gradient(classifier: Classifier, result: SearchResult, *, walked: bool) -> Check:
    """Hold slopes against differences of the scores.

    ``walked``: whether the walk by decisions was given all samples after the search.
    """
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
    if flat > LIMITS.flat_warn:
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


def _outcome(followed: Agreement, flat: float, *, walked: bool) -> Literal["PASS", "WARN", "FAIL"]:
    if (followed.misleads and not walked) or flat > LIMITS.flat_fail:
        return "WARN" if walked else "FAIL"
    return "WARN" if followed.misleads or flat > LIMITS.flat_warn else "PASS"


def _flat(classifier: Classifier, result: SearchResult) -> float:
    """Share of the samples at which the margin has no slope, or none that is finite."""
    where = np.flatnonzero(result.correct)[: LIMITS.slopes]
    slope = margin_slope(classifier, result.rows[where], result.label[where], result.target[where])
    slope = slope[:, classifier.free]
    return float(np.mean(~np.isfinite(slope).all(axis=1) | ~slope.any(axis=1)))
