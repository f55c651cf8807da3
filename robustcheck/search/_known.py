"""What the search of a batch knows so far: the nearest misclassified points, and what was spent."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, F64, I32, I64, Mask
from robustcheck.config import SearchOptions
from robustcheck.models import Classifier, logits_of
from robustcheck.search._constraint import beyond, to_boundary
from robustcheck.search._geometry import Geometry
from robustcheck.search._lbfgs import Effort
from robustcheck.search._polish import polish
from robustcheck.search._problem import Problem
from robustcheck.search._refine import refine
from robustcheck.search._rows import Rows
from robustcheck.search._walk import OVERSHOOT, Walked, walk

# starts whose distances differ by less than this agree
_AGREE = 1.01


class Known:
    """One batch under way. Arrays are by sample, ``[B]`` or ``[B, D]``; ``at`` picks samples.

    Whatever a move comes upon is brought to the decision boundary, and the nearest point is kept.
    """

    def __init__(
        self, classifier: Classifier, geometry: Geometry, problem: Problem, options: SearchOptions
    ) -> None:
        count = len(problem.rows)
        self.classifier = classifier
        self.geometry = geometry
        self.problem = problem
        self.options = options
        self.nearest = np.full_like(problem.rows, np.nan)
        self.shortest = np.full(count, np.inf)
        self.target = np.zeros(count, np.int32)
        self.starts: list[F64] = []
        self.gradients, self.forwards = np.zeros((2, count), np.int64)

    def rows(self, at: I64, target: I32) -> Rows:
        """A row for each of the samples, heading for these classes."""
        return Rows.of(self.problem, at, target)

    def agreed(self) -> I64:
        """How many starts ended within 1 % of the nearest, ``[B]``."""
        close = [np.isfinite(start) & (start <= _AGREE * self.shortest) for start in self.starts]
        return np.sum(close, axis=0, dtype=np.int64) if close else np.zeros(len(self.shortest), np.int64)

    def start(
        self,
        at: I64,
        rows: Rows,
        z: F32,
        steps: int,
        *,
        polished: int,
        near: float,
        walked_in: Geometry | None = None,
    ) -> F32:
        """Walk from ``z``, and polish what came near to the best; where the walk ended, ``[R, D]``.

        ``walked_in``: the norm that the walk goes by, where that is not the one that is searched.
        """
        walked = walk(self.classifier, walked_in or self.geometry, rows, z, steps)
        self.spend(at, steps, 0)
        distance = walked.distance.astype(np.float64)
        if walked_in is not None:
            crossing = walked.crossed(rows)
            distance = np.where(np.isfinite(distance), self.geometry.distance(rows.x, crossing), np.inf)
        worth = np.flatnonzero(np.isfinite(distance) & (distance <= near * self.shortest[at]))
        if not polished:
            worth = worth[distance[worth] < self.shortest[at][worth]]
        if len(worth):
            those = at[worth], rows.take(worth), walked.take(worth)
            distance[worth] = self._polished(*those, polished) if polished else self._crossed(*those)
        self._ended_at(at, distance)
        return walked.ended

    def _crossed(self, at: I64, rows: Rows, walked: Walked) -> F64:
        """Bring what walks found to the boundary; the distances."""
        return self.settle(at, rows, walked.nearest, lead=walked.lead, near=walked.crossing)[1]

    def _polished(self, at: I64, rows: Rows, walked: Walked, steps: int) -> F64:
        """Polish from where walks crossed the boundary; the distances."""
        moved, distance = self._polish(at, rows, walked.crossed(rows), walked.nearest, steps)
        # where nothing was nearer than what the walk saw, that is not on the boundary yet
        still = np.flatnonzero(~moved & (walked.distance < self.shortest[at]))
        if len(still):
            distance[still] = self._crossed(at[still], rows.take(still), walked.take(still))
        return distance

    def _finish(self, at: I64, rows: Rows, z: F32, *, polished: int, near: float) -> None:
        """Settle where a start led to, and polish it if that is near to the best."""
        point, distance = self.settle(at, rows, z)
        worth = np.flatnonzero(np.isfinite(distance) & (distance <= near * self.shortest[at]))
        if polished and len(worth):
            _, shorter = self._polish(at[worth], rows.take(worth), point[worth], point[worth], polished)
            distance[worth] = np.minimum(distance[worth], shorter)
        self._ended_at(at, distance)

    def _ended_at(self, at: I64, distance: F64) -> None:
        self.starts.append(np.full(len(self.shortest), np.inf))
        self.starts[-1][at] = distance

    def look_at(self, at: I64, rows: Rows, z: F32) -> None:
        """Bring points to the boundary that are misclassified and may be the nearest."""
        lead = beyond(self.classifier, rows.goal, z)
        self.spend(at, 0, 1)
        new = np.flatnonzero((lead > 0) & (self.geometry.distance(rows.x, z) < OVERSHOOT * self.shortest[at]))
        if len(new):
            self.settle(
                at[new], rows.take(new), z[new], lead=lead[new], near=np.full(len(new), 1 / OVERSHOOT)
            )

    def polish_nearest(self, steps: int, at: I64) -> None:
        """Cutting planes from the nearest points."""
        at = at[np.isfinite(self.shortest[at])]
        if len(at):
            rows = self.rows(at, self.target[at])
            self._polish(at, rows, self.nearest[at], self.nearest[at], steps)

    def refine_nearest(self, effort: Effort, at: I64) -> None:
        """A round of L-BFGS from the nearest points."""
        at = at[np.isfinite(self.shortest[at])]
        if len(at):
            rows = self.rows(at, self.target[at])
            moved, spent = refine(self.classifier, rows, self.nearest[at], effort, self.options.history)
            self.spend(at, spent, 0)
            self.settle(at, rows, moved)

    def descend(self, at: I64, rows: Rows, z: F32, radius: F64, effort: Effort, *, polished: int) -> None:
        """L-BFGS from ``z`` within a radius, and polish what came near to the best."""
        assert self.geometry.descend is not None
        moved, spent = self.geometry.descend(self.classifier, rows, z, radius, effort, self.options.history)
        self.spend(at, spent, 0)
        self._finish(at, rows, moved, polished=polished, near=self.geometry.lengths.hop_near)

    def settle(
        self, at: I64, rows: Rows, z: F32, *, lead: F32 | None = None, near: F32 | None = None
    ) -> tuple[F32, F64]:
        """Bring points to the boundary and keep the nearest; the points and their distances."""
        point, found = self.boundary(at, rows, z, self.options.tolerance, lead=lead, near=near)
        return point, self._keep(at, rows, point, found)

    def _keep(self, at: I64, rows: Rows, point: F32, found: Mask) -> F64:
        """Keep the points that are the nearest; the distances, infinite where there is none."""
        distance = np.where(found, self.geometry.distance(rows.x, point), np.inf)
        nearer = distance < self.shortest[at]
        chosen = at[nearer]
        self.nearest[chosen], self.shortest[chosen] = point[nearer], distance[nearer]
        self.target[chosen] = rows.goal.target[nearer]
        return distance

    def boundary(
        self,
        at: I64,
        rows: Rows,
        z: F32,
        tolerance: float,
        *,
        lead: F32 | None = None,
        near: F32 | None = None,
    ) -> tuple[F32, Mask]:
        """The boundary on the rays through points, and where there is one."""
        usable: Mask = np.asarray(np.isfinite(z).all(axis=1))
        found, point, asked = to_boundary(
            self.classifier, rows, np.where(usable[:, None], z, rows.x), tolerance, lead=lead, near=near
        )
        self.spend(at, 0, asked)
        return point, found & usable

    def leading_class(self, at: I64, z: F32) -> I32:
        """The class wanted, else the one that leads at ``z`` beside the label, ``[R]``."""
        logits = logits_of(self.classifier, z)
        self.spend(at, 0, 1)
        np.put_along_axis(logits, self.problem.label[at][:, None], -np.inf, axis=1)
        wanted = self.problem.target[at]
        return np.where(wanted >= 0, wanted, logits.argmax(axis=1)).astype(np.int32)

    def spend(self, at: I64, gradients: int | I64, forwards: int | I64) -> None:
        """Count evaluations of these samples."""
        self.gradients[at] += gradients
        self.forwards[at] += forwards

    def _polish(self, at: I64, rows: Rows, start: F32, best: F32, steps: int) -> tuple[Mask, F64]:
        """Polish, and keep what came nearer: which did, and the distances, infinite elsewhere."""
        done = polish(self.classifier, self.geometry.polish, rows, start, best, steps)
        self.spend(at, steps, done.forwards)
        return done.moved, self._keep(at, rows, done.point, done.moved)
