"""Whether the model is better than chance."""

from __future__ import annotations

from robustcheck.checks._given import Given
from robustcheck.measures import MIN_SAMPLES, binomial_tail, count
from robustcheck.results import CHECKS, Check, not_asked
from robustcheck.text import percent


def labels(given: Given) -> Check:
    """The check of the samples of a search."""
    if given.unlabelled:
        return not_asked("labels", "the labels are the model's own predictions")
    counts = count(given.result)
    return better_than_chance(counts.correct, counts.correct + counts.already_wrong, given.classifier.classes)


def better_than_chance(correct: int, tried: int, classes: int) -> Check:
    """The check of a number of samples."""
    detail = f"{correct} of {tried} samples are classified right"
    fits = "do the labels, the order of the classes and the range of the data fit the model?"
    chance = binomial_tail(correct, tried, 1.0 / classes)
    guessed = chance > CHECKS["labels"].warn
    if guessed and tried >= MIN_SAMPLES:
        return Check(
            id="labels", outcome="FAIL", detail=f"only {detail}, about what chance would give: {fits}"
        )
    if not guessed and classes >= 5 and correct <= 2 * tried / classes:
        return Check(id="labels", outcome="WARN", detail=f"only {detail}, little more than chance: {fits}")
    if guessed:
        detail += f", which guessing gives in {percent(chance)} of the cases: more samples would tell; {fits}"
        return Check(id="labels", outcome="WARN", detail=detail)
    return Check(id="labels", outcome="PASS", detail=detail)
