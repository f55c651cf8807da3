"""What a search is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# what searches call the stage that they are in
STAGE = "search"

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
# which samples of a batch
Positions = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Others:
    """Samples with the class that the model gives them: starts on the misclassified side.

    The same for every batch, so that batches do not matter. ``rows`` is ``[M, D]``, ``label`` ``[M]``.
    """

    rows: Floats
    label: NDArray[np.int64]


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

    rows: Floats
    label: Ints
    target: Ints
    lower: Floats
    upper: Floats
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

    point: Floats
    halfway: NDArray[np.float64]
    agreed: NDArray[np.int64]
    gradient_evaluations: NDArray[np.int64]
    forward_evaluations: NDArray[np.int64]
