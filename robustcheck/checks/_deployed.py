"""Whether deployed forms are about as robust as the audited model."""

from __future__ import annotations

import math

from robustcheck.checks._given import Given
from robustcheck.measures import count, deployed_measures, share
from robustcheck.results import CHECKS, Check, CheckOutcome, Measure, not_asked
from robustcheck.text import percent

_GRAVITY = ("PASS", "WARN", "FAIL")


def deployed(given: Given) -> Check:
    """The worst of the forms, and what each came to."""
    if not given.forms:
        return not_asked("deployed", "no deployed form was given")
    measures, counts = deployed_measures(given.forms), count(given.result)
    least = share(counts.correct, counts.correct + counts.already_wrong).low or 0.0
    made = [_of(name, measures, least) for name in given.forms]
    outcome = max((outcome for outcome, _ in made), key=_GRAVITY.index)
    # of several the worst are told of
    details = [detail for its, detail in made if its == outcome]
    return Check(id="deployed", outcome=outcome, detail="; ".join(details))


def _of(name: str, measures: dict[str, Measure], least: float) -> tuple[CheckOutcome, str]:
    """How one form is judged, with the interval's lower end of the model's own accuracy."""
    agreement = measures[f"deployed.{name}.agreement"].value or 0.0
    low = measures[f"deployed.{name}.ratio.p05"].value
    ratio = math.inf if low is None else low
    outcome = CHECKS["deployed"].outcome(ratio)
    detail = f"{name} agrees with the model on {percent(agreement)} of the samples"
    if agreement < least:
        outcome, detail = "FAIL", f"{detail}, fewer than {percent(least)}"
    shown = "beyond 4 times" if low is None else f"at {low:.3g} of"
    return outcome, f"{detail}; on the way to its examples it errs {shown} the distance or later for 95 %"
