"""The one call of ``tfp.optimizer.lbfgs_minimize``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow_probability as tfp

Tensor = Any


def minimize(
    value_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    *,
    iterations: int,
    line_search: int,
    history: int,
) -> tuple[Tensor, Tensor]:
    """A few L-BFGS iterations on every row at once.

    tfp's own verdicts are of no use here: it calls a zero gradient at the start converged, and the end of
    float32's resolution failed. The caller judges the positions itself.

    Args:
        value_and_gradient: ``[B, D] -> ([B], [B, D])``.
        start: ``[B, D]``.
        iterations: L-BFGS iterations at most.
        line_search: iterations of each line search at most.
        history: pairs of steps remembered.

    Returns:
        The positions ``[B, D]`` and how often the objective was evaluated, for every row alike, a scalar.
    """
    result = tfp.optimizer.lbfgs_minimize(
        value_and_gradient,
        start,
        num_correction_pairs=history,
        tolerance=1e-6,
        max_iterations=iterations,
        max_line_search_iterations=line_search,
    )
    return result.position, result.num_objective_evaluations
