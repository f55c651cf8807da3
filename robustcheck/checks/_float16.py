"""How many samples have an example that is one in half precision too."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, Mask
from robustcheck.checks._given import Given
from robustcheck.results import Check, judged, not_asked
from robustcheck.text import percent

# samples that are looked at, and how far on the way to the example: rounding may undo what is at the boundary
_LOOKED_AT, _FURTHER = 256, (1.0, 1.001, 1.003, 1.01, 1.02, 1.05)


def float16(given: Given) -> Check:
    """Round examples to half precision, and what that undoes a little further out."""
    at = given.found(_LOOKED_AT)
    if not len(at):
        return not_asked("float16", "there is no example to round")
    x, point = given.result.rows[at], given.result.points[at]
    lower, upper = given.classifier.bounds(x)
    held, shares = np.zeros(len(at), bool), []
    for scale in _FURTHER:
        todo = np.flatnonzero(~held)
        if len(todo):
            there = np.clip(x + np.float32(scale) * (point - x), lower, upper)[todo]
            half, fits = _rounded(there, lower[todo], upper[todo])
            held[todo] = given.fooled(at[todo], np.where(fits[:, None], half, x[todo])) & fits
        shares.append(float(held.mean()))
    detail = f"rounded to half precision {percent(shares[0])} of {len(at)} examples are misclassified"
    detail += f", and {percent(shares[-1])} at most 5 % further out"
    return judged("float16", shares[-1], detail)


def _rounded(rows: F32, lower: F32, upper: F32) -> tuple[F32, Mask]:
    """Rows ``[M, D]`` in half precision within the box, and where there are such ``[M]``.

    What may not change stays as it is.
    """
    infinity = np.float16(np.inf)
    with np.errstate(over="ignore"):
        half = rows.astype(np.float16)
        half = np.where(half > upper, np.nextafter(half, -infinity), half)
        half = np.where(half < lower, np.nextafter(half, infinity), half)
    values = np.where(lower < upper, half.astype(np.float32), rows)
    inside = (values >= lower) & (values <= upper) & np.isfinite(values)
    return values, np.asarray(inside.all(axis=1))
