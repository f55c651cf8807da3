"""Whether deployed forms are about as robust as the audited model."""

from __future__ import annotations

import math

import numpy as np

from robustcheck.checks._given import GRAVITY, Given
from robustcheck.measures import APART, MIN_SAMPLES, count, deployed_measures, share
from robustcheck.results import CHECKS, Check, CheckOutcome, DeployedRows, Measure, not_asked
from robustcheck.text import percent


def deployed(given: Given) -> Check:
    """The worst of the forms, and what each came to."""
    if not given.forms:
        return not_asked("deployed", "no deployed form was given")
    measures, counts = deployed_measures(given.forms), count(given.result)
    least = share(counts.correct, counts.correct + counts.already_wrong).low or 0.0
    made = [_of(name, rows, measures, least) for name, rows in given.forms.items()]
    outcome = max((outcome for outcome, _ in made), key=GRAVITY.index)
    # of several the worst are told of
    detail = "; ".join(detail for its, detail in made if its == outcome)
    if outcome == "PASS" and counts.found < MIN_SAMPLES:
        return not_asked("deployed", f"of {counts.found} examples, where {MIN_SAMPLES} are needed: {detail}")
    return Check(id="deployed", outcome=outcome, detail=detail)


def _of(
    name: str, rows: DeployedRows, measures: dict[str, Measure], least: float
) -> tuple[CheckOutcome, str]:
    """How one form is judged, with the interval's lower end of the model's own accuracy."""
    agreement = measures[f"deployed.{name}.agreement"].value or 0.0
    low = measures[f"deployed.{name}.ratio.p05"].value
    ratio = math.inf if low is None else low
    outcome = CHECKS["deployed"].outcome(ratio)
    detail = f"{name} agrees with the model on {percent(agreement)} of the samples"
    if agreement < least:
        outcome, detail = "FAIL", f"{detail}, fewer than {percent(least)}"
    shown = "beyond 4 times" if low is None else f"at {low:.3g} of"
    detail += f"; on the way to its examples it errs {shown} the distance or later for 95 %"
    apart = float(np.median(np.abs(rows.ratio[rows.found] - 1))) if rows.found.any() else 0.0
    if apart > APART and agreement >= least:
        outcome = "WARN" if outcome == "PASS" else outcome
        by = f"more than {percent(apart)}" if np.isfinite(apart) else "more than 4 times"
        detail += f", and for half of them at lengths that differ from the model's by {by}: is it its form?"
    return outcome, detail
