"""Where checks draw the line, and how much they look at."""

from __future__ import annotations

from dataclasses import dataclass

from robustcheck.measures import MIN_FOUND
from robustcheck.remedies import SHORTER


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Each between "nothing to see" and "this figure says little"; shares unless said otherwise.

    Attributes:
        chance: an accuracy that chance would give this often is none.
        fill_warn, fill_fail: of a range that the values fill: less is little, or next to nothing.
        fewest_values: that a range must be told by, a number.
        skew: how far the classes of a sample may be from those of the whole, in total variation, beyond twice
            what a random draw gives.
        asked_again: samples that are asked about once more, a number.
        again, company: scores that differ by more, in shares of the largest, are others: of the same batch,
            and of another, where half precision rounds.
        company_rows: samples that are asked about in other company before an audit begins, a number.
        company_fail: of these whose answers are others: more are refused.
        found_warn, found_fail: of the samples with an example: fewer are too few.
        doubling_warn, doubling_fail: by which the last doubling of the budget shortened the distances.
        noise_warn, noise_fail: of the samples that noise as long as their example fools.
        slopes: samples whose gradient is looked at, a number.
        flat_warn, flat_fail: of these that have none.
        walk_warn: by which a walk by decisions shortens the median distance.
        on_the_way: samples whose way to their example, or to another class, is looked at, a number.
        known: samples of other classes that are looked for, a number.
        otherwise: of samples that scores give another class than the output, which may have ties.
        nearer: by which an example made for a reference must be nearer than the model's own to count.
        nearer_class: by which a boundary must be that is found without the lead that examples have.
        nearer_fail: of the samples for which something is.
        eight_bit_warn: of the examples that have one on 256 levels beside them: fewer are few.
    """

    chance: float = 0.05
    fill_warn: float = 0.2
    fill_fail: float = 0.05
    fewest_values: int = 30
    skew: float = 0.1
    asked_again: int = 128
    again: float = 1e-3
    company: float = 0.05
    company_rows: int = 32
    company_fail: float = 0.1
    found_warn: float = 1.0
    found_fail: float = MIN_FOUND
    doubling_warn: float = 0.01
    doubling_fail: float = 0.5
    noise_warn: float = 0.1
    noise_fail: float = 0.5
    slopes: int = 128
    flat_warn: float = 0.0
    flat_fail: float = 0.1
    walk_warn: float = SHORTER
    on_the_way: int = 64
    known: int = 256
    otherwise: float = 0.02
    nearer: float = 0.01
    nearer_class: float = 0.05
    nearer_fail: float = 0.05
    eight_bit_warn: float = 0.9


LIMITS = Limits()
