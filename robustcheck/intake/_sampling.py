"""Which rows of a source are taken where not all are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import I64
from robustcheck.config import Draw


def strata_of(y: NDArray[Any] | None) -> NDArray[Any] | None:
    """The class of each label ``[N]``, of class numbers or one-hot rows; None where they are neither."""
    if y is None:
        return None
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "fiub":
        return np.asarray(y.argmax(axis=1))
    flat = y.reshape(len(y), -1)
    return flat[:, 0] if flat.shape[1] == 1 else None


def choose_rows(
    strata: NDArray[Any] | None, total: int, limit: int | None, sample: Draw, seed: int
) -> tuple[I64, Draw | None]:
    """Positions of the rows to take, in the order of the source, and how they were drawn.

    ``strata``: class of each row; without it a stratified draw is a random one. None = all were taken.
    """
    if limit is None or limit >= total:
        return np.arange(total), None
    if sample == "first":
        return np.arange(limit), "first"
    shuffled = np.random.default_rng(seed).permutation(total)
    if sample == "random" or strata is None:
        return np.sort(shuffled[:limit]), "random"
    # the k-th of a class's m rows gets the place (k + 1/2) / m: the smallest places are stratified
    place = np.empty(total)
    for stratum in np.unique(strata):
        members = shuffled[strata[shuffled] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:limit]), "stratified"
