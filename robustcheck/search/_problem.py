"""What a search is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from robustcheck.arrays import F32, F64, I32, I64

# what searches call the stage that they are in
STAGE = "search"


@dataclass(frozen=True, kw_only=True, eq=False)
class Others:
    """Samples with the class that the model gives them: starts on the misclassified side.

    The same for every batch, so that batches do not matter. ``rows`` is ``[M, D]``, ``label`` ``[M]``.
    """

    rows: F32
    label: I64


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """One batch of ``B`` rows that the model classifies right.

    Attributes:
        rows: the samples, ``[B, D]``, finite and inside the box.
        label: the class to leave, ``[B]``.
        target: the class to reach, ``[B]``; -1 = any other.
        lower, upper: the box of each row, ``[B, D]``.
        relative, absolute: the lead of a decision that holds, ``relative * max |Z| + absolute``.
        others: samples that may be of another class.
    """

    rows: F32
    label: I32
    target: I32
    lower: F32
    upper: F32
    relative: float
    absolute: float
    others: Others


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """The nearest misclassified points that were seen.

    Attributes:
        point: ``[B, D]``, inside the box; NaN where none was found.
        halfway: the distance that half the budget would have given, ``[B]``; infinite where none, NaN
            where the method cannot tell.
        agreed: starts that ended within 1 % of the nearest, ``[B]``; 0 where the method has but one.
        gradient_evaluations: forward and backward passes spent on each row, ``[B]``.
        forward_evaluations: forward passes alone, ``[B]``.
    """

    point: F32
    halfway: F64
    agreed: I64
    gradient_evaluations: I64
    forward_evaluations: I64
