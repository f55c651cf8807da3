"""Exact minimal distortions of linear models, in float64, by another way than the package's."""

from __future__ import annotations

import numpy as np


def half_space_distance(
    x: np.ndarray, normal: np.ndarray, gap: float, lower: np.ndarray, upper: np.ndarray, norm: str = "l2"
) -> float:
    """Distance from x to ``gap + normal . (z - x) <= 0`` in the box; infinite where it is out of reach.

    In L2 and Linf by bisection on how far the point goes along the normal or its signs; in L1 by selling the
    features' room from the dearest on, one after the other.
    """
    if gap <= 0:
        return 0.0
    if norm == "l1":
        return _l1_distance(x, normal, gap, lower, upper)
    direction = normal if norm == "l2" else np.sign(normal)

    def at(s: float) -> np.ndarray:
        return np.clip(x - s * direction, lower, upper) - x

    high = 1.0
    while gap + float(normal @ at(high)) > 0:
        high *= 2
        if high > 1e12:
            return np.inf
    low = 0.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gap + float(normal @ at(middle)) > 0 else (low, middle)
    return float(np.linalg.norm(at(high), ord=2 if norm == "l2" else np.inf))


def _l1_distance(
    x: np.ndarray, normal: np.ndarray, gap: float, lower: np.ndarray, upper: np.ndarray
) -> float:
    spent = 0.0
    for feature in np.argsort(-np.abs(normal)):
        slope = abs(normal[feature])
        room = x[feature] - lower[feature] if normal[feature] > 0 else upper[feature] - x[feature]
        if slope == 0:
            return np.inf
        if slope * room >= gap:
            return float(spent + gap / slope)
        spent, gap = spent + room, gap - slope * room
    return np.inf


def linear_distance(
    weights: np.ndarray, bias: np.ndarray, x: np.ndarray, label: int, lead: float = 0.0, norm: str = "l2"
) -> float:
    """Least distance in [0, 1] at which another entry of ``x @ weights + bias`` exceeds that of ``label``.

    By ``lead`` times the largest entry at ``x``: what a decision needs to hold whatever the batch size.
    """
    w, b, x = weights.astype(np.float64), bias.astype(np.float64), x.astype(np.float64)
    z = x @ w + b
    box = np.zeros_like(x), np.ones_like(x)
    margin = lead * np.abs(z).max()
    return min(
        half_space_distance(x, w[:, label] - w[:, other], z[label] - z[other] + margin, *box, norm)
        for other in range(w.shape[1])
        if other != label
    )
