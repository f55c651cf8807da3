from __future__ import annotations

import numpy as np
import pytest
from exact import half_space_distance
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robustcheck import numerics
from robustcheck.norms import NORMS


def problems(seed: int, rows: int, width: int) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(seed)
    x = np.where(
        draw.random((rows, width)) < 0.5, draw.integers(0, 2, (rows, width)), draw.random((rows, width))
    )
    normal = draw.standard_normal((rows, width))
    gap = draw.random(rows) * np.abs(normal).sum(axis=1) * 0.6
    return x.astype(np.float32), normal.astype(np.float32), gap.astype(np.float32)


HALF_SPACES = {
    "l2": numerics.nearest_in_half_space,
    "linf": numerics.nearest_in_half_space_linf,
    "l1": numerics.nearest_in_half_space_l1,
}


@pytest.mark.parametrize("norm", HALF_SPACES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 60))
def test_nearest_in_half_space_is_exact(norm: str, seed: int, width: int) -> None:
    x, normal, gap = problems(seed, 20, width)
    lower, upper = np.zeros_like(x), np.ones_like(x)
    point, reached = HALF_SPACES[norm](x, normal, gap, lower, upper)
    rows = zip(x, normal, gap, lower, upper, strict=True)
    exact = np.array([half_space_distance(*map(np.float64, row), norm) for row in rows])
    # float32 decides for a gap within rounding of the farthest corner either way
    farthest = np.where(normal > 0, -normal * x, -normal * (x - 1)).sum(axis=1) + gap
    clear = np.abs(farthest) > 1e-4 * (1 + gap)
    np.testing.assert_array_equal(reached[clear], np.isfinite(exact)[clear])
    inside = clear & reached
    distance = NORMS[norm].length(point.astype(np.float64) - x, width)
    np.testing.assert_allclose(distance[inside], exact[inside], rtol=2e-4, atol=1e-5)
    assert ((point >= 0) & (point <= 1)).all()


@pytest.mark.parametrize(("norm", "dual"), [("l2", "l2"), ("linf", "l1"), ("l1", "linf")])
def test_without_a_box_the_distance_is_the_gap_over_the_dual_norm(norm: str, dual: str) -> None:
    x, normal, gap = problems(3, 50, 30)
    infinite = np.full_like(x, np.inf)
    point, reached = HALF_SPACES[norm](x, normal, gap, -infinite, infinite)
    assert reached.all()
    distance = NORMS[norm].length(point.astype(np.float64) - x, 30)
    np.testing.assert_allclose(distance, gap / NORMS[dual].length(normal.astype(np.float64), 30), rtol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_the_references_agree_with_linear_programming(norm: str) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    x, normal, gap = (part.astype(np.float64) for part in problems(5, 12, 9))
    for row in range(len(x)):
        eye, ones = np.eye(9), np.ones((9, 1))
        # variables: r and its length, all in all or feature by feature
        bound = ones if norm == "linf" else eye
        more = bound.shape[1]
        found = optimize.linprog(
            np.r_[np.zeros(9), np.ones(more)],
            A_ub=np.block([[eye, -bound], [-eye, -bound], [normal[row][None], np.zeros((1, more))]]),
            b_ub=np.r_[np.zeros(18), -gap[row]],
            bounds=[*zip(-x[row], 1 - x[row], strict=True), *[(0, None)] * more],
        )
        exact = half_space_distance(x[row], normal[row], gap[row], np.zeros(9), np.ones(9), norm)
        assert np.isfinite(exact) == found.success
        if found.success:
            assert found.fun == pytest.approx(exact, rel=1e-6)


def test_nearest_in_half_space_without_a_box_is_a_projection() -> None:
    x, normal, gap = problems(0, 50, 30)
    infinite = np.full_like(x, np.inf)
    point, reached = numerics.nearest_in_half_space(x, normal, gap, -infinite, infinite)
    expected = x - (gap / np.sum(normal**2, axis=1))[:, None] * normal
    assert reached.all()
    np.testing.assert_allclose(point, expected, atol=1e-5)


@pytest.mark.parametrize("norm", HALF_SPACES)
def test_rows_on_the_far_side_stay(norm: str) -> None:
    x, normal, gap = problems(1, 10, 5)
    point, reached = HALF_SPACES[norm](x, normal, -gap, np.zeros_like(x), np.ones_like(x))
    np.testing.assert_array_equal(point, x)
    assert reached.all()


@pytest.mark.parametrize("norm", HALF_SPACES)
def test_a_zero_normal_reaches_nothing_and_stays_finite(norm: str) -> None:
    x = np.full((2, 3), 0.5, np.float32)
    point, reached = HALF_SPACES[norm](
        x, np.zeros_like(x), np.ones(2, np.float32), np.zeros_like(x), np.ones_like(x)
    )
    np.testing.assert_array_equal(point, x)
    assert not reached.any()


def test_what_is_not_finite_is_no_constraint() -> None:
    normal = np.array(
        [[3.0, -6.0], [1e-30, 0.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0]], np.float32
    )
    gap = np.array([1.5, 1e-30, 1.0, 1.0, 1.0, np.nan], np.float32)
    scaled, at = numerics.to_unit_slope(normal, gap)
    np.testing.assert_allclose(scaled[:2], [[0.5, -1.0], [1.0, 0.0]])
    np.testing.assert_allclose(at[:2], [0.25, 1.0])
    np.testing.assert_array_equal(scaled[2:], 0)
    np.testing.assert_array_equal(at[2:], 0)


def test_adversarial_margin_by_hand() -> None:
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0], [1.0, 2.0, 7.0]], np.float32)
    label, target = np.array([0, 0, 1]), np.array([-1, -1, 0])
    np.testing.assert_allclose(numerics.adversarial_margin(logits, label, target), [-1.0, 5.0, -6.0])


@settings(max_examples=25, deadline=None)
@example(crossing=0.0625, power=1.5, tolerance=1e-4, guess=None)  # the secants alone came no nearer than 1e-3
@given(
    crossing=st.floats(0.01, 0.99),
    power=st.sampled_from([0.5, 1.0, 1.5, 5.0]),
    tolerance=st.sampled_from([1e-2, 1e-4]),
    guess=st.sampled_from([None, 0.5, 0.999, 1.0, 1.001, 2.0]),
)
def test_boundary_on_segment_finds_the_crossing(
    crossing: float, power: float, tolerance: float, guess: float | None
) -> None:
    x, z = np.zeros((3, 2), np.float32), np.ones((3, 2), np.float32)
    asked: list[int] = []

    def beyond(point: np.ndarray, rows: np.ndarray) -> np.ndarray:
        asked.extend(rows)
        distance = point[:, 0] - crossing
        return np.sign(distance) * np.abs(distance) ** power

    value = np.full(3, (1 - crossing) ** power)
    near = None if guess is None else np.full(3, guess * crossing, np.float32)
    point, evaluations = numerics.boundary_on_segment(beyond, x, z, value, tolerance=tolerance, near=near)
    found = point[:, 0]
    assert (found >= crossing - 1e-6).all()
    # a root of the fifth order is flat over a wide part: there it need only come near
    slack = 2 * tolerance if power < 2 else 0.05
    assert (found <= crossing * (1 + slack) + 1e-6).all()
    np.testing.assert_array_equal(evaluations, np.bincount(asked, minlength=3))
    assert evaluations.max() <= 32


def test_a_good_guess_of_the_boundary_takes_few_evaluations() -> None:
    x, z = np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32)
    value = np.full(2, 0.4 + 0.05 * np.sin(8.0))
    for guess, most in ((0.6, 3), (0.61, 7), (None, 9)):
        near = None if guess is None else np.full(2, guess, np.float32)
        point, evaluations = numerics.boundary_on_segment(
            lambda p, _: p[:, 0] - 0.6 + 0.05 * np.sin(20 * (p[:, 0] - 0.6)),
            x,
            z,
            value,
            tolerance=1e-4,
            near=near,
        )
        np.testing.assert_allclose(point, 0.6, rtol=2e-4)
        assert evaluations.max() <= most, guess


def test_boundary_on_segment_leaves_rows_that_are_not_beyond() -> None:
    x, z, at = np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32), np.array([0.5, 2.0])
    point, evaluations = numerics.boundary_on_segment(
        lambda p, rows: p[:, 0] - at[rows], x, z, 1 - at, tolerance=1e-4
    )
    np.testing.assert_allclose(point, [[0.5], [1.0]], atol=1e-3)
    assert evaluations[1] == 0


def test_nearest_in_polyhedron_against_scipy() -> None:
    minimize = pytest.importorskip("scipy.optimize").minimize
    draw = np.random.default_rng(5)
    for _ in range(20):
        x = np.clip(draw.uniform(-0.3, 1.3, 8), 0, 1)
        inside = draw.uniform(0.2, 0.8, 8)
        normals = draw.standard_normal((4, 8))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        offsets = normals @ inside - draw.uniform(0, 0.05, 4)
        reference = minimize(
            lambda z, x=x: 0.5 * np.sum((z - x) ** 2),
            inside,
            jac=lambda z, x=x: z - x,
            bounds=[(0, 1)] * 8,
            constraints={"type": "ineq", "fun": lambda z, a=normals, b=offsets: b - a @ z},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 200},
        )
        if not reference.success:
            continue  # the planes have no point of the box in common
        arrays = [a[None].astype(np.float32) for a in (x, normals, offsets, np.zeros(8), np.ones(8))]
        for start in (None, np.full((1, 4), 0.3, np.float32)):
            point, multipliers = numerics.nearest_in_polyhedron(*arrays, start=start, steps=30)
            assert (normals @ point[0] - offsets).max() <= 1e-4
            np.testing.assert_allclose(np.linalg.norm(point[0] - x), np.sqrt(2 * reference.fun), atol=2e-4)
            assert (multipliers >= 0).all()


def test_nearest_in_polyhedron_without_planes_stays() -> None:
    x = np.array([[0.2, 0.9]], np.float32)
    none = np.zeros((1, 3, 2), np.float32), np.zeros((1, 3), np.float32)
    point, _ = numerics.nearest_in_polyhedron(x, *none, 0 * x, 1 + 0 * x)
    np.testing.assert_array_equal(point, x)


def test_nearest_in_polyhedron_with_planes_that_are_the_same() -> None:
    """As those of two steps at one point are: the dual has no unique solution."""
    x, normal = np.array([[0.9, 0.8, 0.1]], np.float32), np.array([0.6, 0.8, 0.0], np.float32)
    sides, half = (0 * x, 1 + 0 * x), np.full((1, 5), 0.5, np.float32)
    once, _ = numerics.nearest_in_polyhedron(x, normal[None, None], half[:, :1], *sides)
    twice, _ = numerics.nearest_in_polyhedron(x, np.tile(normal, (1, 5, 1)), half, *sides)
    np.testing.assert_allclose(twice, once, atol=1e-5)
    np.testing.assert_allclose(once, x - (np.dot(x[0], normal) - 0.5) * normal, atol=1e-5)


def test_rows_of_a_polyhedron_do_not_matter_to_one_another() -> None:
    """Those that are done are left out of the rest of Newton's method."""
    draw = np.random.default_rng(3)
    x = draw.random((9, 12), np.float32)
    normals = draw.standard_normal((9, 5, 12)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    offsets = (np.einsum("bmd,bd->bm", normals, x) - draw.random((9, 5)) * 0.2).astype(np.float32)
    sides = np.zeros_like(x), np.ones_like(x)
    together, _ = numerics.nearest_in_polyhedron(x, normals, offsets, *sides)
    for row in range(9):
        one = slice(row, row + 1)
        alone, _ = numerics.nearest_in_polyhedron(
            x[one], normals[one], offsets[one], *(side[one] for side in sides)
        )
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("norm", HALF_SPACES)
def test_threads_change_nothing(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from robustcheck.numerics import _threads

    x, normal, gap = problems(2, 11, 20)
    sides = np.zeros_like(x), np.ones_like(x)
    normals, offsets = np.stack([normal, -normal[::-1]], axis=1), np.stack([gap, gap], axis=1)
    alone = (
        HALF_SPACES[norm](x, normal, gap, *sides),
        numerics.nearest_in_polyhedron(x, normals, offsets, *sides, precision=gap * 1e-5),
    )
    monkeypatch.setattr(_threads, "_LEAST", 20)
    monkeypatch.setattr(_threads, "_threads", lambda: 3)
    shared = (
        HALF_SPACES[norm](x, normal, gap, *sides),
        numerics.nearest_in_polyhedron(x, normals, offsets, *sides, precision=gap * 1e-5),
    )
    for one_thread, three in zip(alone, shared, strict=True):
        for ours, theirs in zip(one_thread, three, strict=True):
            np.testing.assert_array_equal(ours, theirs)
