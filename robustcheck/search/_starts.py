"""Points on the misclassified side to start from."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, I64, Mask
from robustcheck.search._problem import Problem


def other_side(problem: Problem, at: I64, rank: int) -> tuple[Mask, F32]:
    """Known samples of another class, the nearest of the ``rank``-th nearest class.

    Returns:
        Whether there is one ``[R]``, and the samples ``[R, D]``, elsewhere meaningless. Samples that must
        reach one class have only that.
    """
    rows, bank = problem.rows[at], problem.others
    classes, of_class = np.unique(bank.label, return_inverse=True)
    if rank >= len(classes):
        return np.zeros(len(at), bool), rows
    label, wanted = problem.label[at][:, None], problem.target[at][:, None]
    usable = np.where(wanted >= 0, bank.label == wanted, bank.label != label)
    squares = np.sum(rows * rows, axis=1)[:, None] + np.sum(bank.rows * bank.rows, axis=1)
    distance = np.where(usable, squares - 2.0 * rows @ bank.rows.T, np.inf)
    by_class = np.stack(
        [distance[:, of_class == number].min(axis=1) for number in range(len(classes))], axis=1
    )
    chosen = np.argsort(by_class, axis=1, kind="stable")[:, rank]
    distance = np.where(of_class == chosen[:, None], distance, np.inf)
    other = bank.rows[distance.argmin(axis=1)]
    found: Mask = np.asarray(np.isfinite(distance).any(axis=1))
    # features that may not change keep the sample's values
    return found, np.clip(other, problem.lower[at], problem.upper[at])
