"""Why a form may decide otherwise than the model that it is said to be of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustcheck.config import DeployedOptions
from robustcheck.deployed._form import LAYOUTS, Form, reading
from robustcheck.distortion import spread
from robustcheck.errors import RobustcheckError
from robustcheck.models import Asked, Classifier
from robustcheck.noise import moved
from robustcheck.results import SearchResult
from robustcheck.text import option, percent

# ranges of values that models are often made for
_RANGES = ((0.0, 255.0), (-1.0, 1.0), (0.0, 1.0), (-128.0, 127.0))
# samples that another reading is tried on, and what makes it the right one: see ``_fit``
_SAMPLES, _FITS, _BETTER = 64, 0.7, 0.3
_BEFORE, _BEYOND = 0.9, 1.1


def another_reading(
    form: Form, subject: Classifier, options: DeployedOptions, result: SearchResult
) -> str | None:
    """A sentence with the flag by which a file would be about as robust as its model, if there is one.

    Clean decisions do not tell: on values that are a tenth of what it takes a net often decides the same.
    """
    if form.file is None or not result.found.any():
        return None
    asked = "same" if options.layout == "auto" else options.layout
    now = _fit(form, subject, result, options.takes, asked)
    for words, flag, takes, layout in _readings(options, asked):
        fit = _fit(form, subject, result, takes, layout)
        if fit >= _FITS and fit > now + _BETTER:
            return (
                f"{words} it is right at {_BEFORE:g} and errs at {_BEYOND:g} of the model's distance for "
                f"{percent(fit)} of the samples, as it is for {percent(now)}: {flag}"
            )
    return None


def _readings(
    options: DeployedOptions, asked: str
) -> Iterator[tuple[str, str, tuple[float, float] | None, str]]:
    for takes in _RANGES:
        low, high = (f"{side:g}" for side in takes)
        flag = f"deployed_range=({low}, {high}) (--deployed-range {low} {high})"
        yield f"with values of {low} to {high}", flag, takes, asked
    for layout in LAYOUTS:
        yield f"with images that are {layout}", option("deployed_layout", layout), options.takes, layout


def _fit(
    form: Form, subject: Classifier, result: SearchResult, takes: tuple[float, float] | None, layout: str
) -> float:
    """On how many examples a file is right well before the model's distance and errs well beyond it."""
    assert form.file is not None
    at = spread(np.flatnonzero(result.found), _SAMPLES)
    x, r = result.rows[at], result.points[at] - result.rows[at]
    asked = Asked(
        reading(form.file, subject, takes, layout), subject.input_shape, subject.classes, form.name,
        head=form.asked.head if form.asked else subject.ends_in.kind,
    )  # fmt: skip
    try:
        errs = [
            result.reached(asked.labels(moved(subject, x, np.float32(scale) * r)), at)
            for scale in (_BEFORE, _BEYOND)
        ]
    except (RobustcheckError, ValueError):
        return 0.0
    return float(np.mean(~errs[0] & errs[1]))
