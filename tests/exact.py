"""Exact minimal distortions of linear models, in float64, by another way than the package's."""

from __future__ import annotations

import numpy as np


def half_space_distance(
    x: np.ndarray, normal: np.ndarray, gap: float, lower: np.ndarray, upper: np.ndarray
) -> float:
    """Distance from x to ``gap + normal . (z - x) <= 0`` in the box, by bisection on the multiplier."""

    def value(s: float) -> float:
        return gap + float(normal @ (np.clip(x - s * normal, lower, upper) - x))

    if gap <= 0:
        return 0.0
    high = 1.0
    while value(high) > 0:
        high *= 2
        if high > 1e12:
            return np.inf
    low = 0.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if value(middle) > 0 else (low, middle)
    return float(np.linalg.norm(np.clip(x - high * normal, lower, upper) - x))


def linear_distance(
    weights: np.ndarray, bias: np.ndarray, x: np.ndarray, label: int, lead: float = 0.0
) -> float:
    """Least distance in [0, 1] at which another entry of ``x @ weights + bias`` exceeds that of ``label``.

    By ``lead`` times the largest entry at ``x``: what a decision needs to hold whatever the batch size.
    """
    w, b, x = weights.astype(np.float64), bias.astype(np.float64), x.astype(np.float64)
    z = x @ w + b
    box = np.zeros_like(x), np.ones_like(x)
    margin = lead * np.abs(z).max()
    return min(
        half_space_distance(x, w[:, label] - w[:, other], z[label] - z[other] + margin, *box)
        for other in range(w.shape[1])
        if other != label
    )
