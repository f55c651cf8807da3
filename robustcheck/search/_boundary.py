"""The default search: many starts, each a short walk to the decision boundary, the promising ones refined.

Every sample goes through one fixed sequence of stages:

1. linearise the model at the sample; a look behind each of the nearest linearised boundaries (three of them:
   ``candidates``; forward evaluations only);
2. walk towards the nearest class (:mod:`robustcheck.search._walk`); where that comes upon nothing, come from
   the nearest known sample of another class back to the boundary and walk from there, else go on; walk
   towards the other classes; and polish the nearest point by cutting planes
   (:mod:`robustcheck.search._polish`);
3. hop: leave the nearest point by a random step of about its distance and walk towards the class that leads
   there;
4. start from the misclassified side, as above;
5. refine the nearest point with L-BFGS (:mod:`robustcheck.search._refine`);
6. where 4 and 5 found something much nearer, so that the short walks cannot be relied on: go on with the
   walks of 2 where they ended (other samples do so later);
7. again and again: hop; start from the misclassified side, from the nearest sample of the next class; walk
   towards the next class by linearised distance; refine with L-BFGS.

In Linf and L1 the stages after 2 are others: polishing does more there, hops and walks take turns from the
start, and there are no rounds of L-BFGS from the nearest point. In Linf every third hop goes on by L-BFGS
within the radius known instead of a walk; in L1 some walks go by L2.

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

from robustcheck.arrays import F32, I32, I64, Mask
from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._candidates import Candidates, choose
from robustcheck.search._geometry import GEOMETRIES
from robustcheck.search._hops import KINDS as _HOPS
from robustcheck.search._hops import Hop
from robustcheck.search._known import Known
from robustcheck.search._lbfgs import Effort
from robustcheck.search._problem import STAGE, Answer, Problem
from robustcheck.search._schedule import Lengths
from robustcheck.search._starts import other_side
from robustcheck.search._walk import overshot

# how precisely the boundary is located where a walk is to start from it
_COARSE = 0.02


@dataclass(frozen=True)
class _Stage:
    """A step of the schedule: what it may cost a sample at most, and what it does for those at positions."""

    most: int
    run: Callable[[I64], None]
    only: Mask | None = None  # by sample, [B]; None = all


def search_boundary(
    classifier: Classifier, problem: Problem, options: SearchOptions, on_progress: OnProgress
) -> Answer:
    """Nearest misclassified points of one batch."""
    known = Known(classifier, GEOMETRIES[options.norm], problem, options)
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

    target: I32
    at: F32


class _Schedule:
    """The stages of one batch; see the module."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.lengths: Lengths = known.geometry.lengths
        problem = known.problem
        self.candidates: Candidates = choose(known.classifier, known.geometry, problem)
        everyone = np.arange(len(problem.rows))
        known.spend(everyone, self.candidates.gradient_evaluations, self.candidates.forward_evaluations)
        # the first step of a walk from the sample is known
        self.paths = [
            _Path(target, overshot(problem, start))
            for target, start in zip(
                self.candidates.target.T, self.candidates.start.transpose(1, 0, 2), strict=True
            )
        ]

    def stages(self) -> Iterator[_Stage]:
        """One after the other, without end."""
        known, lengths = self.known, self.lengths
        first = range(min(known.options.candidates, len(self.paths)))
        for rank in first:
            yield _Stage(0, partial(self._look, rank))
        yield self._walked(0, lengths.walk)
        # where the first steps lead nowhere the gradient says little
        lost = ~np.isfinite(known.shortest)
        yield self._other_side(0, lengths.walk, polished=0, only=lost)
        if lengths.again:
            yield self._walked(0, lengths.again, only=~lost)
        for rank in first[1:]:
            yield self._walked(rank, lengths.walk)
        if not lengths.rounds:
            # where the walks found nothing there is nothing to polish: a sample of another class is something
            yield self._other_side(0, lengths.walk, only=~lost & ~np.isfinite(known.shortest))
        yield _Stage(lengths.polish_nearest, partial(known.polish_nearest, lengths.polish_nearest))
        yield from self._cycles_l2(first, lost) if lengths.rounds else self._cycles(first)

    def _cycles_l2(self, first: range, lost: Mask) -> Iterator[_Stage]:
        known, lengths = self.known, self.lengths
        refined = _Stage(lengths.round_most, partial(known.refine_nearest, lengths.round))
        yield self._hopped(0)
        walked = known.shortest.copy()
        yield self._other_side(0, lengths.walk, only=~lost)
        yield refined
        hard = ~(known.shortest > lengths.hard * walked)
        for rank in first:
            yield self._walk_on(rank, hard)
        for cycle in itertools.count():
            hops = (self._hopped(1 + _HOPS * cycle + number) for number in range(_HOPS))
            yield next(hops)
            yield self._other_side(1 + cycle, lengths.other_walk)
            yield next(hops)
            if cycle == lengths.easy_walk_on:
                for rank in first:
                    yield self._walk_on(rank, ~hard)
            yield next(hops)
            if len(first) + cycle < len(self.paths):
                yield self._walk_on(len(first) + cycle, None)
            yield refined

    def _cycles(self, first: range) -> Iterator[_Stage]:
        """In the other norms polishing does more, and the walks go on one after the other."""
        known, lengths = self.known, self.lengths
        polished = _Stage(lengths.polish_nearest, partial(known.polish_nearest, lengths.polish_nearest))
        for cycle in itertools.count():
            if lengths.walk_l2 and cycle < len(first):
                most = lengths.walk_l2 + lengths.polish_nearest
                yield _Stage(most, partial(self._walk_in_l2, cycle))
            yield self._hopped(_HOPS * cycle)
            if cycle % 2 == 0:
                yield self._other_side(cycle // 2, lengths.other_walk if cycle else lengths.walk)
            if len(first):
                yield self._walk_on(cycle % len(first), None)
            yield self._hopped(_HOPS * cycle + 1)
            yield polished
            yield self._hopped(_HOPS * cycle + 2)
            if len(first) + cycle < len(self.paths):
                yield self._walk_on(len(first) + cycle, None)

    def _hopped(self, number: int) -> _Stage:
        descent = self.lengths.descent if number % _HOPS == 0 else None
        most = self.lengths.hop_walk if descent is None else descent.most + 1
        return _Stage(most + self.lengths.polish, partial(self._hop, number, descent))

    def _look(self, rank: int, at: I64) -> None:
        path = self.paths[rank]
        self.known.look_at(at, self.known.rows(at, path.target[at]), path.at[at])

    def _walk(self, rank: int, steps: int, polished: int, at: I64) -> None:
        path = self.paths[rank]
        rows = self.known.rows(at, path.target[at])
        path.at[at] = self.known.start(
            at, rows, path.at[at], steps, polished=polished, near=self.lengths.near
        )

    def _walk_in_l2(self, rank: int, at: I64) -> None:
        known = self.known
        rows = known.rows(at, self.paths[rank].target[at])
        known.start(
            at,
            rows,
            rows.x,
            self.lengths.walk_l2,
            polished=self.lengths.polish_nearest,
            near=self.lengths.near_l2,
            walked_in=GEOMETRIES["l2"],
        )

    def _walk_on(self, rank: int, only: Mask | None) -> _Stage:
        return _Stage(
            self.lengths.walk_on + self.lengths.polish,
            partial(self._walk, rank, self.lengths.walk_on, self.lengths.polish),
            only,
        )

    def _walked(self, rank: int, steps: int, only: Mask | None = None) -> _Stage:
        return _Stage(steps, partial(self._walk, rank, steps, 0), only)

    def _other_side(
        self, rank: int, steps: int, *, polished: int | None = None, only: Mask | None = None
    ) -> _Stage:
        polished = self.lengths.polish if polished is None else polished
        return _Stage(steps + polished, partial(self._from_other_side, rank, steps, polished), only)

    def _from_other_side(self, rank: int, steps: int, polished: int, at: I64) -> None:
        known = self.known
        found, other = other_side(known.problem, at, rank)
        at = at[found]
        if not len(at):
            return
        rows = known.rows(at, known.target[at])
        point, reached = known.boundary(at, rows, other[found], _COARSE)
        rows = known.rows(at, known.leading_class(at, point))
        z = np.where(reached[:, None], point, rows.x)
        known.start(at, rows, z, steps, polished=polished, near=self.lengths.near)

    def _hop(self, number: int, descent: Effort | None, at: I64) -> None:
        known, lengths = self.known, self.lengths
        there = np.isfinite(known.shortest[at])
        x = known.problem.rows[at]
        step = Hop(
            x=x,
            nearest=np.where(there[:, None], known.nearest[at], x),
            # where nothing is found there is no better scale than the linearised model's
            scale=np.where(there, known.shortest[at], self.candidates.distance[at, 0]),
            number=number,
            seed=known.options.seed,
        )
        z = np.clip(known.geometry.hop(step), known.problem.lower[at], known.problem.upper[at])
        rows = known.rows(at, known.leading_class(at, z))
        if descent is None:
            known.start(at, rows, z, lengths.hop_walk, polished=lengths.polish, near=lengths.hop_near)
        else:
            known.descend(at, rows, z, step.scale, descent, polished=lengths.polish)
