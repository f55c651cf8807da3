"""The default search: many starts, each a short walk to the decision boundary, the promising ones refined.

Every sample goes through one fixed sequence of stages:

1. linearise the model at the sample; the nearest point of each of the three nearest linearised boundaries is
   looked at (forward evaluations only);
2. walk towards each of these three classes (:mod:`robustcheck.search._walk`);
3. refine the nearest point with L-BFGS (:mod:`robustcheck.search._refine`);
4. start from the misclassified side: come from the nearest known sample of another class back to the
   boundary, walk, and refine if that came near;
5. hop: leave the nearest point by a random step of about its distance, walk towards the class that leads
   there, and refine if that comes near; again and again.

A stage is entered only if what it may cost at most still fits the sample's budget, and a sample that skips a
stage has ended. So the budget is a cap for each sample, the run of a smaller budget is the beginning of that
of a larger one, and no sample's answer depends on its batch mates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from robustcheck.config import SearchOptions
from robustcheck.models import Classifier, logits_of
from robustcheck.search._candidates import Candidates, choose
from robustcheck.search._problem import Answer, Floats, Ints, Problem
from robustcheck.search._refine import Round, refine
from robustcheck.search._rows import Rows, to_boundary
from robustcheck.search._walk import walk

Positions = NDArray[np.int64]

_FIRST_WALK, _WALK, _HOP_WALK = 20, 10, 12
_ROUND = Round(iterations=6, most=24)
_HOP_ROUND = Round(iterations=8, most=30)
# a start is refined if it came this near to the best one known
_NEAR, _HOP_NEAR = 1.25, 1.05
# lengths of the random steps, in shares of the nearest point's distance, in turn
_HOPS = (0.6, 0.9, 1.2, 1.6)
# starts whose distances differ by less than this agree
_AGREE = 1.01


@dataclass(frozen=True)
class _Stage:
    """A step of the schedule: what it may cost a sample at most, and what it does for those at positions."""

    most: int
    run: Callable[[Positions], None]


def search_boundary(classifier: Classifier, problem: Problem, options: SearchOptions) -> Answer:
    """Nearest misclassified points of one batch."""
    return _Search(classifier, problem, options).answer()


class _Search:
    """One batch under way. Arrays are by sample, ``[B]`` or ``[B, D]``."""

    def __init__(self, classifier: Classifier, problem: Problem, options: SearchOptions) -> None:
        count = len(problem.rows)
        self.classifier = classifier
        self.problem = problem
        self.options = options
        self.nearest = np.full_like(problem.rows, np.nan)
        self.shortest = np.full(count, np.inf)
        self.target = np.zeros(count, np.int32)
        self.guess = np.ones(count, np.float32)
        self.halfway = np.full(count, np.inf)
        self.starts: list[NDArray[np.float64]] = []
        self.gradients, self.forwards = np.zeros((2, count), np.int64)

    def answer(self) -> Answer:
        """Run the schedule."""
        budget = self.options.evaluations
        active = np.arange(len(self.problem.rows))
        first_half = np.ones(len(active), bool)
        for stage in self._stages():
            past_half = first_half & (self.gradients + stage.most > budget // 2)
            self.halfway[past_half] = self.shortest[past_half]
            first_half &= ~past_half
            active = active[self.gradients[active] + stage.most <= budget]
            if not len(active):
                break
            stage.run(active)
            self.problem.on_share(float(self.gradients.mean()) / budget)
        agreed = np.zeros(len(self.shortest), np.int64)
        for distance in self.starts:
            agreed += np.isfinite(distance) & (distance <= _AGREE * self.shortest)
        return Answer(
            point=self.nearest,
            halfway=self.halfway,
            agreed=agreed,
            gradient_evaluations=self.gradients,
            forward_evaluations=self.forwards,
        )

    def _stages(self) -> Iterator[_Stage]:
        candidates = choose(self.classifier, self.problem, self.options.candidates)
        self.gradients += candidates.gradient_evaluations
        self.forwards += candidates.forward_evaluations
        per_sample = len(candidates.sample) // len(self.problem.rows)
        self.guess = candidates.distance[::per_sample]  # where nothing is found there is no better scale
        for rank in range(per_sample):
            yield _Stage(0, partial(self._look, candidates, rank, per_sample))
        for rank in range(per_sample):
            steps = _WALK if rank else _FIRST_WALK
            yield _Stage(steps, partial(self._walk_from_sample, candidates, rank, per_sample, steps))
        for _ in range(2):
            yield _Stage(_ROUND.most, self._refine_nearest)
        yield _Stage(_WALK + 2 * _ROUND.most, self._from_other_side)
        hop = 0
        while True:
            yield _Stage(_HOP_WALK + _HOP_ROUND.most, partial(self._hop, hop))
            hop += 1

    def _look(self, candidates: Candidates, rank: int, per_sample: int, at: Positions) -> None:
        chosen = at * per_sample + rank
        rows = Rows.of(self.problem, at, candidates.target[chosen])
        self._settle(at, rows, candidates.start[chosen])

    def _walk_from_sample(
        self, candidates: Candidates, rank: int, per_sample: int, steps: int, at: Positions
    ) -> None:
        rows = Rows.of(self.problem, at, candidates.target[at * per_sample + rank])
        self._start(at, rows, rows.x, steps, rounds=(), near=_NEAR)

    def _refine_nearest(self, at: Positions) -> None:
        there = at[np.isfinite(self.shortest[at])]
        if len(there):
            rows = Rows.of(self.problem, there, self.target[there])
            self._improve(there, rows, self.nearest[there], self.shortest[there], _ROUND)

    def _from_other_side(self, at: Positions) -> None:
        found, other = self._nearest_other(at)
        at = at[found]
        if not len(at):
            return
        rows = Rows.of(self.problem, at, self.target[at])
        point, reached = self._boundary(at, rows, other[found])
        rows = Rows.of(self.problem, at, self._leading_class(at, point))
        self._start(at, rows, np.where(reached[:, None], point, rows.x), _WALK, (_ROUND, _ROUND), _NEAR)

    def _hop(self, number: int, at: Positions) -> None:
        # one direction a hop for all samples, so that neither order nor batch matters
        draw = np.random.default_rng([self.options.seed, number])
        direction = draw.standard_normal(self.problem.rows.shape[1])
        step = direction / np.linalg.norm(direction)
        known = np.isfinite(self.shortest[at])
        base = np.where(known[:, None], self.nearest[at], self.problem.rows[at])
        length = _HOPS[number % len(_HOPS)] * np.where(known, self.shortest[at], self.guess[at])
        hopped = (base + length[:, None] * step).astype(np.float32)
        z = np.clip(hopped, self.problem.lower[at], self.problem.upper[at])
        rows = Rows.of(self.problem, at, self._leading_class(at, z))
        self._start(at, rows, z, _HOP_WALK, (_HOP_ROUND,), _HOP_NEAR)

    def _start(
        self, at: Positions, rows: Rows, z: Floats, steps: int, rounds: tuple[Round, ...], near: float
    ) -> None:
        """Walk from ``z``, then refine those that come near to the best; remember how far each start came."""
        walked = walk(self.classifier, rows, z, steps)
        self.gradients[at] += steps
        self.forwards[at] += steps
        point, distance = self._settle(at, rows, walked)
        for settings in rounds:
            worth = np.flatnonzero(np.isfinite(distance) & (distance <= near * self.shortest[at]))
            if not len(worth):
                break
            better = self._improve(at[worth], rows.take(worth), point[worth], distance[worth], settings)
            point[worth], distance[worth] = better
        self.starts.append(np.full(len(self.shortest), np.inf))
        self.starts[-1][at] = distance

    def _improve(
        self, at: Positions, rows: Rows, z: Floats, distance: NDArray[np.float64], settings: Round
    ) -> tuple[Floats, NDArray[np.float64]]:
        """One round of L-BFGS from ``z``; the nearer of its outcome and ``z``."""
        moved, spent = refine(self.classifier, rows, z, settings, self.options.history)
        self.gradients[at] += spent
        point, reached = self._settle(at, rows, moved)
        nearer = reached < distance
        return np.where(nearer[:, None], point, z), np.where(nearer, reached, distance)

    def _settle(self, at: Positions, rows: Rows, z: Floats) -> tuple[Floats, NDArray[np.float64]]:
        """Bring points to the boundary and keep the nearest; the points and their distances."""
        point, found = self._boundary(at, rows, z)
        distance = np.where(found, rows.distance(point), np.inf)
        nearer = distance < self.shortest[at]
        chosen = at[nearer]
        self.nearest[chosen], self.shortest[chosen] = point[nearer], distance[nearer]
        self.target[chosen] = rows.target[nearer]
        return point, distance

    def _boundary(self, at: Positions, rows: Rows, z: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        usable: NDArray[np.bool_] = np.asarray(np.isfinite(z).all(axis=1))
        found, point, asked = to_boundary(
            self.classifier, rows, np.where(usable[:, None], z, rows.x), self.options.tolerance
        )
        self.forwards[at] += asked
        return point, found & usable

    def _leading_class(self, at: Positions, z: Floats) -> Ints:
        """The class wanted, else the one that leads at ``z`` beside the label, ``[R]``."""
        logits = logits_of(self.classifier, z)
        self.forwards[at] += 1
        np.put_along_axis(logits, self.problem.label[at][:, None], -np.inf, axis=1)
        wanted = self.problem.target[at]
        return np.where(wanted >= 0, wanted, logits.argmax(axis=1)).astype(np.int32)

    def _nearest_other(self, at: Positions) -> tuple[NDArray[np.bool_], Floats]:
        """The nearest known sample of another class (of the class wanted), and whether there is one."""
        rows, bank = self.problem.rows[at], self.problem.others
        label, wanted = self.problem.label[at][:, None], self.problem.target[at][:, None]
        usable = np.where(wanted >= 0, bank.label == wanted, bank.label != label)
        squares = np.sum(rows * rows, axis=1)[:, None] + np.sum(bank.rows * bank.rows, axis=1)
        distance = np.where(usable, squares - 2.0 * rows @ bank.rows.T, np.inf)
        if not distance.shape[1]:
            return np.zeros(len(at), bool), rows
        other = bank.rows[distance.argmin(axis=1)]
        # features that may not change keep the sample's values
        return usable.any(axis=1), np.clip(other, self.problem.lower[at], self.problem.upper[at])
