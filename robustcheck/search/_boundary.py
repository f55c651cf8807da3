"""The default search: many starts, each a short walk to the decision boundary, the promising ones refined.

Every sample goes through one fixed sequence of stages:

1. linearise the model at the sample; the nearest point of each of the nearest linearised boundaries (three of
   them: ``candidates``) is looked at (forward evaluations only);
2. walk towards each of these classes (:mod:`robustcheck.search._walk`), and polish the nearest point by
   cutting planes (:mod:`robustcheck.search._polish`);
3. start from the misclassified side: come from the nearest known sample of another class back to the
   boundary, and walk;
4. refine the nearest point with L-BFGS (:mod:`robustcheck.search._refine`);
5. where 3 and 4 found something much nearer, so that the short walks of 2 cannot be relied on: go on with
   them where they ended (other samples do so later);
6. again and again: hop, that is leave the nearest point by a random step of about its distance and walk
   towards the class that leads there; start from the misclassified side, from the nearest sample of the next
   class; walk towards the next class by linearised distance; refine with L-BFGS.

What comes near to the best is polished. A stage is entered only if what it may cost at most still fits the
sample's budget, and a sample that skips a stage for that has ended. So the budget is a cap for each sample,
the run of a smaller budget is the beginning of that of a larger one, and no sample's answer depends on its
batch mates.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._candidates import Candidates, choose
from robustcheck.search._geometry import L2
from robustcheck.search._known import Known
from robustcheck.search._lbfgs import Effort
from robustcheck.search._problem import STAGE, Answer, Floats, Ints, Positions, Problem
from robustcheck.search._starts import hop, other_side

# steps of walks: to the nearest class, to the others, where they go on, from the other side, after a hop
_FIRST_WALK, _WALK, _WALK_ON, _OTHER_WALK, _HOP_WALK = 20, 10, 40, 30, 16
_POLISH = 8
# the look at which coordinates are frozen is an evaluation too
_ROUND_MOST = 24
_ROUND = Effort(iterations=6, line_search=4, most=_ROUND_MOST - 1)
# a start is polished if it came this near to the best one known
_NEAR, _HOP_NEAR = 1.25, 1.05
# a sample is hard if polishing and the other side brought it down to this share of what walks had found;
# the walks of the others go on late, in this cycle
_HARD = 0.9
_EASY_WALK_ON = 1
# lengths of the random steps, in shares of the nearest point's distance
_HOPS = (0.6, 0.9, 1.2)


@dataclass(frozen=True)
class _Stage:
    """A step of the schedule: what it may cost a sample at most, and what it does for those at positions."""

    most: int
    run: Callable[[Positions], None]
    only: NDArray[np.bool_] | None = None  # by sample, [B]; None = all


def search_boundary(
    classifier: Classifier, problem: Problem, options: SearchOptions, on_progress: OnProgress
) -> Answer:
    """Nearest misclassified points of one batch."""
    known = Known(classifier, L2, problem, options)
    budget = options.evaluations
    active = np.arange(len(problem.rows))
    halfway, first_half = np.full(len(active), np.inf), np.ones(len(active), bool)
    for stage in _Schedule(known).stages():
        asked = np.ones(len(halfway), bool) if stage.only is None else stage.only
        past_half = asked & first_half & (known.gradients + stage.most > budget // 2)
        halfway[past_half] = known.shortest[past_half]
        first_half &= ~past_half
        active = active[~asked[active] | (known.gradients[active] + stage.most <= budget)]
        if not len(active):
            break
        if asked[active].any():
            stage.run(active[asked[active]])
        on_progress(STAGE, int(known.gradients.mean()), budget)
    return Answer(
        point=known.nearest,
        halfway=halfway,
        agreed=known.agreed(),
        gradient_evaluations=known.gradients,
        forward_evaluations=known.forwards,
    )


@dataclass(eq=False)
class _Path:
    """The walk from each sample towards one of its classes: the classes ``[B]``, where it is ``[B, D]``."""

    target: Ints
    at: Floats


class _Schedule:
    """The stages of one batch; see the module."""

    def __init__(self, known: Known) -> None:
        self.known = known
        problem = known.problem
        self.candidates: Candidates = choose(known.classifier, known.geometry, problem)
        everyone = np.arange(len(problem.rows))
        known.spend(everyone, self.candidates.gradient_evaluations, self.candidates.forward_evaluations)
        self.paths = [_Path(target, problem.rows.copy()) for target in self.candidates.target.T]

    def stages(self) -> Iterator[_Stage]:
        """One after the other, without end."""
        known = self.known
        first = range(min(known.options.candidates, len(self.paths)))
        for rank in first:
            yield _Stage(0, partial(self._look, rank))
        for rank in first:
            steps = _WALK if rank else _FIRST_WALK
            yield _Stage(steps, partial(self._walk, rank, steps, 0))
        walked = known.shortest.copy()
        yield _Stage(_POLISH, partial(known.polish_nearest, _POLISH))
        yield self._other_side(0, _WALK)
        yield _Stage(_ROUND_MOST, partial(known.refine_nearest, _ROUND))
        hard = ~(known.shortest > _HARD * walked)
        for rank in first:
            yield self._walk_on(rank, hard)
        for cycle in itertools.count():
            for number, length in enumerate(_HOPS):
                number += cycle * len(_HOPS)
                yield _Stage(_HOP_WALK + _POLISH, partial(self._hop, number, length))
            yield self._other_side(1 + cycle, _OTHER_WALK)
            if cycle == _EASY_WALK_ON:
                for rank in first:
                    yield self._walk_on(rank, ~hard)
            if len(first) + cycle < len(self.paths):
                yield self._walk_on(len(first) + cycle, None)
            yield _Stage(_ROUND_MOST, partial(known.refine_nearest, _ROUND))

    def _look(self, rank: int, at: Positions) -> None:
        rows = self.known.rows(at, self.paths[rank].target[at])
        self.known.settle(at, rows, self.candidates.start[at, rank])

    def _walk(self, rank: int, steps: int, polished: int, at: Positions) -> None:
        path = self.paths[rank]
        rows = self.known.rows(at, path.target[at])
        path.at[at] = self.known.start(at, rows, path.at[at], steps, polished=polished, near=_NEAR)

    def _walk_on(self, rank: int, only: NDArray[np.bool_] | None) -> _Stage:
        return _Stage(_WALK_ON + _POLISH, partial(self._walk, rank, _WALK_ON, _POLISH), only)

    def _other_side(self, rank: int, steps: int) -> _Stage:
        return _Stage(steps + _POLISH, partial(self._from_other_side, rank, steps))

    def _from_other_side(self, rank: int, steps: int, at: Positions) -> None:
        known = self.known
        found, other = other_side(known.problem, at, rank)
        at = at[found]
        if not len(at):
            return
        rows = known.rows(at, known.target[at])
        point, reached = known.boundary(at, rows, other[found])
        rows = known.rows(at, known.leading_class(at, point))
        z = np.where(reached[:, None], point, rows.x)
        known.start(at, rows, z, steps, polished=_POLISH, near=_NEAR)

    def _hop(self, number: int, length: float, at: Positions) -> None:
        known = self.known
        there = np.isfinite(known.shortest[at])
        base = np.where(there[:, None], known.nearest[at], known.problem.rows[at])
        # where nothing is found there is no better scale than the linearised model's
        scale = np.where(there, known.shortest[at], self.candidates.distance[at, 0])
        z = hop(known.problem, at, base, length * scale, seed=(known.options.seed, number))
        rows = known.rows(at, known.leading_class(at, z))
        known.start(at, rows, z, _HOP_WALK, polished=_POLISH, near=_HOP_NEAR)
