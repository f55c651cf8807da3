"""Where a function changes sign along a segment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robustcheck.arrays import F32, F64, I64


def boundary_on_segment(
    beyond: Callable[[F32, I64], F32],
    x: F32,
    z: F32,
    value: F32,
    *,
    tolerance: float,
    near: F32 | None = None,
    most: int = 32,
) -> tuple[F32, I64]:
    """Bring ``z`` back towards ``x`` to where ``beyond`` changes sign, keeping it positive.

    The secant method in Illinois' variant on the share ``t`` of the way from ``x`` to ``z``. A row whose
    bracket twice running did not shrink to half is halved instead, and so is every row in the second half of
    the evaluations, so that a flat or broken side cannot stall it. Rows that are done are not evaluated.

    Args:
        beyond: what is asked of points ``[M, D]`` of the rows at ``[M]``; positive on the far side, ``[M]``.
        x: ``[B, D]``, where ``beyond`` is not positive.
        z: ``[B, D]``, where it is.
        value: of ``beyond`` at ``z``, ``[B]``; rows where it is not positive stay there.
        tolerance: width of the bracket, relative to ``t``, at which a row is done.
        near: where the change is thought to be, ``[B]``; None = nothing is known.
        most: evaluations of a row at most.

    Returns:
        The nearest point found on the far side ``[B, D]`` and the evaluations of each row ``[B]``.
    """
    direction, nearer, farther = z - x, np.minimum(x, z), np.maximum(x, z)
    count = np.zeros(len(x), np.int64)

    def ask(t: F64, rows: I64) -> F64:
        count[rows] += 1
        return np.asarray(beyond(at(t, rows), rows), np.float64)

    def at(t: F64, rows: I64) -> F32:
        # rounding must not lead out of a box that both ends lie in
        there = x[rows] + t.astype(np.float32)[:, None] * direction[rows]
        return np.clip(there, nearer[rows], farther[rows])

    bracket = _Bracket(value.astype(np.float64), tolerance, most)
    if near is not None:
        bracket.probe(near.astype(np.float64), ask)
    bracket.close_below(ask)
    while len(rows := bracket.open_rows(count)):
        t = bracket.next_share(rows, count)
        bracket.narrow(rows, t, ask(t, rows))
    return at(bracket.high, np.arange(len(x))), count


# looks near a guess before the whole way is searched
_PROBES = 4


class _Bracket:
    """Shares of the way ``[B]`` between which the change of sign lies, and the values there."""

    def __init__(self, value: F64, tolerance: float, most: int) -> None:
        self.tolerance, self.most = tolerance, most
        self.high, self.f_high = np.ones_like(value), value
        # nothing to look for where the far end is not beyond
        self.low, self.f_low = np.where(value > 0, 0.0, 1.0), np.full_like(value, np.nan)
        # whether the last look was beyond, -1 = none; looks running that did not halve the bracket
        self.last, self.slow = np.full(len(value), -1), np.zeros(len(value), np.int64)

    def probe(self, near: F64, ask: Callable[[F64, I64], F64]) -> None:
        """Look just behind where the change is thought to be, then just before it, by the secant again."""
        before, f_before = self.high.copy(), self.f_high.copy()
        t = np.clip(near, 0.0, 1.0) * (1.0 + 0.4 * self.tolerance)
        for _ in range(_PROBES):
            rows = np.flatnonzero((self.low == 0.0) & (t > 0.0))
            # where the guess is the end itself, the first look is just before that
            t = np.minimum(t, self.high * (1.0 - 0.9 * self.tolerance))
            before[rows], f_before[rows] = self.high[rows], self.f_high[rows]
            if not len(rows):
                return
            self.narrow(rows, t[rows], ask(t[rows], rows))
            fell = f_before - self.f_high
            steep = (fell > 0) & (before > self.high)
            run = (before - self.high) * self.f_high / np.where(steep, fell, 1.0)
            t = self.high - np.where(steep, 1.1 * run, 0.0)

    def close_below(self, ask: Callable[[F64, I64], F64]) -> None:
        """The value at the sample, where nothing nearer is known to be on this side."""
        rows = np.flatnonzero(np.isnan(self.f_low) & (self.high > self.low))
        if len(rows):
            self.f_low[rows] = np.minimum(ask(np.zeros(len(rows)), rows), 0.0)

    def open_rows(self, count: I64) -> I64:
        """Rows that are not done."""
        return np.flatnonzero((self.high - self.low > self.tolerance * self.high) & (count < self.most))

    def next_share(self, rows: I64, count: I64) -> F64:
        """Where to ask next."""
        low, high, f_low, f_high = self.low[rows], self.high[rows], self.f_low[rows], self.f_high[rows]
        width, least = high - low, 0.25 * self.tolerance * high
        change = f_high - f_low
        secant = high - width * f_high / np.where(change > 0, change, 1.0)
        # so that what is found closes the bracket from its wider side
        secant += np.where(2 * secant > low + high, -0.4, 0.4) * self.tolerance * high
        halve = (self.slow[rows] >= 2) | (2 * count[rows] > self.most) | ~(change > 0)
        return np.where(halve, low + 0.5 * width, np.clip(secant, low + least, high - least))

    def narrow(self, rows: I64, t: F64, value: F64) -> None:
        """Take in what was found at shares ``t`` of these rows."""
        low, high, far = self.low[rows], self.high[rows], value > 0
        again = np.where(self.last[rows] == far, 0.5, 1.0)
        self.f_low[rows] = np.where(far, again * self.f_low[rows], value)
        self.f_high[rows] = np.where(far, value, again * self.f_high[rows])
        self.last[rows] = far
        self.low[rows], self.high[rows] = np.where(far, low, t), np.where(far, t, high)
        slow = np.where(self.high[rows] - self.low[rows] > 0.5 * (high - low), self.slow[rows] + 1, 0)
        self.slow[rows] = slow
