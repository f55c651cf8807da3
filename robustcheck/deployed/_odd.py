"""Why a form may decide otherwise than the model that it is said to be of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustcheck.arrays import F32, I64
from robustcheck.config import DeployedOptions
from robustcheck.deployed._form import LAYOUTS, Form, reading
from robustcheck.errors import RobustcheckError
from robustcheck.models import Asked, Classifier
from robustcheck.text import option, percent

# ranges of values that models are often made for
_RANGES = ((0.0, 255.0), (-1.0, 1.0), (0.0, 1.0), (-128.0, 127.0))
# samples that another reading is tried on, and the agreement that makes it the right one
_SAMPLES, _AGREES, _BETTER = 64, 0.9, 0.2


def why_other(
    form: Form, subject: Classifier, options: DeployedOptions, rows: F32, clean: I64, agreement: float
) -> str:
    """A sentence on a form that agrees with its model on few samples.

    Where it agrees with other values or other axes, the flag that says so.
    """
    detail = f"it gives only {percent(agreement)} of the samples the class that {subject.name} gives them"
    if form.file is not None:
        for words, flag, share in _tried(form, subject, options, rows[:_SAMPLES], clean[:_SAMPLES]):
            if share >= _AGREES and share > agreement + _BETTER:
                return f"{detail}, but {percent(share)} {words}: {flag}"
    return f"{detail}: is it another model, or does it take other values than the box {subject.box}?"


def _tried(
    form: Form, subject: Classifier, options: DeployedOptions, rows: F32, clean: I64
) -> Iterator[tuple[str, str, float]]:
    for takes in _RANGES:
        words = f"with values of {takes[0]:g} to {takes[1]:g}"
        yield (
            words,
            option("deployed_range", f"{takes[0]:g} {takes[1]:g}"),
            _agreement(
                form, subject, takes, "same" if options.layout == "auto" else options.layout, rows, clean
            ),
        )
    for layout in LAYOUTS:
        yield (
            f"with images that are {layout}",
            option("deployed_layout", layout),
            _agreement(form, subject, options.takes, layout, rows, clean),
        )


def _agreement(
    form: Form, subject: Classifier, takes: tuple[float, float] | None, layout: str, rows: F32, clean: I64
) -> float:
    """The share of rows with the model's class, read so; 0 where the file cannot take them."""
    assert form.file is not None
    try:
        predict = reading(form.file, subject, takes, layout)
        asked = Asked(
            predict, subject.input_shape, subject.classes, form.name,
            batch=form.file.batch, head=subject.ends_in.kind,
        )  # fmt: skip
        return float(np.mean(asked.labels(rows) == clean))
    except (RobustcheckError, ValueError):
        return 0.0
