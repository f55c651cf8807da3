"""A search that asks for decisions alone, and so cannot be misled by scores or gradients.

It walks along the decision boundary as HopSkipJump does (Chen, Jordan and Wainwright 2020, arXiv:1904.02144,
after the Boundary Attack of Brendel, Rauber and Bethge 2018, arXiv:1712.04248): at a point of the boundary,
random moves tell which way is misclassified, and their mean is the boundary's normal. From there on it is the
search by gradients: the nearest point of the half-space that the normal gives, within the box and in the
norm, is exact, and shows in which direction from the sample the boundary is to be looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import F32, F64, I64, Mask
from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._constraint import beyond, to_boundary
from robustcheck.search._geometry import GEOMETRIES, Geometry
from robustcheck.search._problem import STAGE, Answer, Problem
from robustcheck.search._rows import Rows
from robustcheck.search._starts import other_side

# samples of other classes that the walk may begin at, and draws of noise where there is none
_STARTS, _DRAWS = 3, 5
# how precisely the boundary is located while walking
_COARSE = 2e-3
# moves that are tried for a normal, at first and at most; they grow as the walk comes closer
_MOVES, _MOST_MOVES = 32, 192
# length of a move in L2, in shares of the distance: at first, and the least
_FAR, _CLOSE = 0.3, 0.03
# of the way to the projection: directions in which the boundary is looked for
_SHARES = (1.0, 0.5, 0.2, 0.05)
# a direction is worth it if it is misclassified at this share of the best distance
_SHORTER = 0.995
# a direction from the sample is not drawn out further
_FURTHEST = 1e6
# normals of steps before count so much
_KEPT = 0.6


def search_decision(
    classifier: Classifier, problem: Problem, options: SearchOptions, on_progress: OnProgress
) -> Answer:
    """Nearest misclassified points of one batch, by forward evaluations alone."""
    walk = BoundaryWalk(classifier, problem, options)
    walk.begin()
    return _walked(walk, on_progress)


def shorten(
    classifier: Classifier, problem: Problem, options: SearchOptions, points: F32, on_progress: OnProgress
) -> Answer:
    """The same from misclassified points ``[B, D]`` that are known, where these are finite."""
    walk = BoundaryWalk(classifier, problem, options)
    walk.begin_at(points)
    return _walked(walk, on_progress)


def _walked(walk: BoundaryWalk, on_progress: OnProgress) -> Answer:
    budget = walk.options.evaluations
    halfway = walk.shortest.copy()
    while walk.step(budget):
        early = walk.asked <= budget // 2
        halfway[early] = walk.shortest[early]
        on_progress(STAGE, int(walk.asked.mean()), budget)
    walk.settle()
    return walk.answer(halfway)


@dataclass(frozen=True, eq=False)
class _Moves:
    """What random moves from points came to: sums over them, so that none is kept.

    Attributes:
        count: how many there were.
        wrong: how many of them were misclassified, ``[R]``.
        towards: sum of these, less the sum of the others, ``[R, D]``; as far as the box let them.
        total: sum of all, ``[R, D]``.
    """

    count: int
    wrong: I64
    towards: F32
    total: F32


class BoundaryWalk:
    """The walks of one batch. Arrays are by sample, ``[B]`` or ``[B, D]``."""

    def __init__(self, classifier: Classifier, problem: Problem, options: SearchOptions) -> None:
        count = len(problem.rows)
        self.classifier, self.problem, self.options = classifier, problem, options
        self.geometry: Geometry = GEOMETRIES[options.norm]
        self.nearest = np.full_like(problem.rows, np.nan)
        self.shortest = np.full(count, np.inf)
        self.asked = np.zeros(count, np.int64)
        self.steps = 0
        self.normal = np.zeros_like(problem.rows)
        # length of a move in shares of the distance; shrinks where no direction was better
        self.reach = np.full(count, _FAR)

    def begin(self) -> None:
        """Come to the boundary from samples of other classes, and from noise where that gives nothing."""
        everyone = np.arange(len(self.shortest))
        for rank in range(_STARTS):
            there, other = other_side(self.problem, everyone, rank)
            if there.any():
                self._come_from(everyone[there], other[there])
        for draw in range(_DRAWS):
            lost = np.flatnonzero(~np.isfinite(self.shortest))
            if len(lost):
                self._come_from(lost, self._noise(lost, draw))

    def begin_at(self, points: F32) -> None:
        """Begin at points that are misclassified, and as usual where there is none."""
        known = np.flatnonzero(np.isfinite(points).all(axis=1))
        if len(known):
            self._come_from(known, points[known])
        if len(known) < len(points):
            self.begin()
        # a start that is good is left by small moves
        self.reach[known] = 0.5 * _FAR

    def step(self, budget: int) -> bool:
        """Go a step with each sample that can afford it; whether there was one."""
        moves = self._moves()
        most = moves + len(_SHARES) * 3 + 24
        at = np.flatnonzero(np.isfinite(self.shortest) & (self.asked + most <= budget))
        if not len(at):
            return False
        rows, z = self._rows(at), self.nearest[at]
        normal = self._normal(at, self._tried(at, rows, z, moves))
        usable: Mask = np.asarray(normal.any(axis=1))
        better = np.zeros(len(at), bool)
        if usable.any():
            better[usable] = self._towards(at[usable], rows.take(usable), normal[usable])
        self.reach[at] = np.where(better, self.reach[at], np.maximum(0.7 * self.reach[at], _CLOSE))
        self.steps += 1
        return True

    def settle(self) -> None:
        """Bring the nearest points as close to the boundary as the search by gradients does."""
        at = np.flatnonzero(np.isfinite(self.shortest))
        if len(at):
            self._come_from(at, self.nearest[at], self.options.tolerance)

    def answer(self, halfway: F64) -> Answer:
        """What was found."""
        none = np.zeros(len(self.shortest), np.int64)
        return Answer(
            point=self.nearest,
            halfway=halfway,
            agreed=none,
            gradient_evaluations=none.copy(),
            forward_evaluations=self.asked,
        )

    def _rows(self, at: I64) -> Rows:
        return Rows.of(self.problem, at, self.problem.target[at])

    def _moves(self) -> int:
        return int(min(_MOVES * np.sqrt(1 + self.steps), _MOST_MOVES))

    def _draw(self, *what: int) -> np.random.Generator:
        return np.random.default_rng((self.options.seed, *what))

    def _noise(self, at: I64, draw: int) -> F32:
        """Uniform in the box; as far as its finite sides are wide where it has infinite ones."""
        lower, upper = self.problem.lower[at], self.problem.upper[at]
        x = self.problem.rows[at]
        low, high = (np.where(np.isfinite(side), side, x + way) for side, way in ((lower, -1), (upper, 1)))
        share = self._draw(1, draw).random(x.shape[1], np.float32)
        return (low + share * (high - low)).astype(np.float32)

    def _come_from(self, at: I64, z: F32, tolerance: float = _COARSE) -> Mask:
        """Bring points to the boundary on the way to their samples and keep what is nearer; what was."""
        found, point, asked = to_boundary(self.classifier, self._rows(at), z, tolerance)
        self.asked[at] += asked
        distance = np.where(found, self.geometry.distance(self.problem.rows[at], point), np.inf)
        nearer: Mask = distance < self.shortest[at]
        self.nearest[at[nearer]], self.shortest[at[nearer]] = point[nearer], distance[nearer]
        return nearer

    def _tried(self, at: I64, rows: Rows, z: F32, count: int) -> _Moves:
        """Random moves from points on the boundary; the same directions for every sample."""
        free = rows.upper > rows.lower
        length = self.reach[at] * np.sqrt(np.sum((z - rows.x).astype(np.float64) ** 2, axis=1))
        draw = self._draw(2, self.steps)
        wrong, towards, total = np.zeros(len(z), np.int64), np.zeros_like(z), np.zeros_like(z)
        for _ in range(count):
            along = np.where(free, draw.standard_normal(z.shape[1], np.float32), 0)
            size = np.maximum(np.sqrt(np.sum(along * along, axis=1)), np.finfo(np.float32).tiny)
            there = np.clip(z + (length / size).astype(np.float32)[:, None] * along, rows.lower, rows.upper)
            errs = beyond(self.classifier, rows.goal, there) > 0
            move = there - z
            wrong += errs
            towards += np.where(errs[:, None], move, -move)
            total += move
        self.asked[at] += count
        return _Moves(count, wrong, towards, total)

    def _normal(self, at: I64, moves: _Moves) -> F32:
        """The way to the misclassified side, ``[R, D]``: where moves went that were, less where others did.

        With the mean taken off (HopSkipJump, equation 16), and those of steps before. Moves that the box bent
        are what they became.
        """
        one_sided = (moves.wrong == 0) | (moves.wrong == moves.count)
        mean = np.where(one_sided, 0.0, 2.0 * moves.wrong / moves.count - 1.0).astype(np.float32)
        normal = moves.towards - mean[:, None] * moves.total
        size = np.sqrt(np.sum(normal * normal, axis=1, keepdims=True))
        normal /= np.maximum(size, np.finfo(np.float32).tiny)
        kept: F32 = normal + _KEPT * self.normal[at]
        kept /= np.maximum(np.sqrt(np.sum(kept * kept, axis=1, keepdims=True)), np.finfo(np.float32).tiny)
        self.normal[at] = kept
        return kept

    def _towards(self, at: I64, rows: Rows, normal: F32) -> Mask:
        """Look for the boundary in the directions that the half-space shows; where it was better ``[R]``."""
        z = self.nearest[at]
        gap = np.sum(normal * (z - rows.x), axis=1)
        point, _ = self.geometry.nearest_in_half_space(rows.x, -normal, gap, rows.lower, rows.upper)
        better = np.zeros(len(at), bool)
        for share in _SHARES:
            todo = np.flatnonzero(~better)
            if not len(todo):
                break
            there = z[todo] + share * (point[todo] - z[todo])
            reached = self._at_distance(rows.take(todo), there, _SHORTER * self.shortest[at[todo]])
            wrong = beyond(self.classifier, rows.goal.take(todo), reached) > 0
            self.asked[at[todo]] += 1
            hit = todo[wrong]
            if len(hit):
                better[hit] = self._come_from(at[hit], reached[wrong])
        return better

    def _at_distance(self, rows: Rows, points: F32, distance: F64) -> F32:
        """Points in the same directions from their samples, at these distances but for the box."""
        way = points - rows.x
        length = np.maximum(self.geometry.distance(rows.x, points), np.finfo(np.float32).tiny)
        scale = np.where(np.isfinite(length), np.minimum(distance / length, _FURTHEST), 0.0)
        return np.clip(rows.x + scale[:, None].astype(np.float32) * way, rows.lower, rows.upper)
