"""Whether the classes of the samples are those of the source that they were drawn from."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import Given
from robustcheck.results import CHECKS, Check, not_asked
from robustcheck.text import option, percent


def sample(given: Given) -> Check:
    """Whether the classes of the samples are those of the source that they were drawn from."""
    result, strata = given.result, given.strata
    if strata is None:
        return not_asked("sample", "the classes of the whole source are not known")
    if len(strata) <= len(result):
        return Check(
            id="sample", outcome="PASS", detail=f"all {len(result)} samples of the source were taken"
        )
    classes, whole = np.unique(strata, return_counts=True)
    expected = whole / whole.sum()
    drawn = np.array([np.sum(result.label == label) for label in classes]) / len(result)
    skew = 0.5 * float(np.abs(drawn - expected).sum())
    by_chance = 0.5 * float(np.sqrt(2 / np.pi * expected * (1 - expected) / len(result)).sum())
    missing = int(np.sum(drawn == 0))
    detail = f"{len(result)} of {len(strata)} samples were taken"
    if skew <= 2 * by_chance + CHECKS["sample"].warn:
        return Check(id="sample", outcome="PASS", detail=f"{detail}; their classes are those of the whole")
    lacking = f", and {missing} of {len(classes)} classes are missing" if missing else ""
    detail += (
        f"; the shares of their classes differ from those of the whole by {percent(skew)}{lacking}: "
        f"{option('sample', 'stratified')} draws them in proportion"
    )
    return Check(id="sample", outcome="WARN", detail=detail)
