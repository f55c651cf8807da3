"""Lengths of perturbations, against NumPy and the laws between norms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robustcheck.norms import NORMS

values = st.floats(-4, 4, width=32).map(lambda value: round(value, 3))
perturbations = arrays(np.float64, (3, 6), elements=values)


def lengths(r: np.ndarray) -> dict[str, np.ndarray]:
    return {name: norm.length(r, r.shape[1]) for name, norm in NORMS.items()}


@given(perturbations)
def test_lengths_are_numpys(r: np.ndarray) -> None:
    got = lengths(r)
    for name, order in (("l2", 2), ("linf", np.inf), ("l1", 1), ("l0", 0)):
        np.testing.assert_allclose(got[name], np.linalg.norm(r, ord=order, axis=1), rtol=1e-12)
    np.testing.assert_allclose(got["rms"], np.sqrt(np.mean(r * r, axis=1)), rtol=1e-12)


@given(perturbations, st.floats(0.1, 10))
def test_norms_bound_one_another_and_scale(r: np.ndarray, factor: float) -> None:
    got, more = lengths(r), 1 + 1e-12
    assert (got["linf"] <= more * got["l2"]).all()
    assert (got["l2"] <= more * got["l1"]).all()
    assert (got["l1"] <= more * np.sqrt(got["l0"]) * got["l2"]).all()
    assert (got["l2"] <= more * np.sqrt(got["l0"]) * got["linf"]).all()
    scaled = lengths(factor * r)
    for name in ("l2", "rms", "linf", "l1"):
        np.testing.assert_allclose(scaled[name], factor * got[name], rtol=1e-12)


@given(perturbations, perturbations)
def test_hoelder(r: np.ndarray, slope: np.ndarray) -> None:
    """A linear function changes by at most the length times the dual length of its slope."""
    change = np.abs(np.sum(r * slope, axis=1))
    for norm in NORMS.values():
        if norm.dual is not None:
            dual = NORMS[norm.dual]
            assert NORMS[dual.dual or ""] is norm
            assert (change <= (1 + 1e-9) * norm.length(r, 6) * dual.length(slope, 6) + 1e-12).all()


def test_a_point_that_is_not_there_is_infinitely_far() -> None:
    rows = np.zeros((3, 2), np.float32)
    points = np.array([[3, 4], [np.nan, np.nan], [0, 0]], np.float32)
    rows[2] = np.inf
    assert NORMS["l2"].distance(rows, points, 2).tolist() == [5, np.inf, np.inf]
    assert NORMS["rms"].distance(rows, points, 2)[0] == pytest.approx(5 / np.sqrt(2))
