"""How long the stages of the default search are."""

from __future__ import annotations

from dataclasses import dataclass, field

from robustcheck.search._lbfgs import Effort


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Lengths of the stages, each a number of gradient evaluations of a sample unless said otherwise.

    Attributes:
        walk, again, walk_on, other_walk, hop_walk: steps of walks: of the first ones, where the one towards
            the nearest class goes on at once, where they go on later, from the other side, after a hop.
        polish, polish_nearest: steps of polishing: of a start, and of the nearest point.
        round_most: of a round of L-BFGS, the look at which coordinates are frozen included.
        round: what L-BFGS itself may spend of these.
        near, hop_near: a start is polished if it came this near to the best one known, as a factor.
        hard: a sample is hard if the other side and L-BFGS brought it down to this share of what was found
            before.
        easy_walk_on: the cycle in which the walks of the samples that are not hard go on, a number.
        rounds: whether there are rounds of L-BFGS.
        descent: what L-BFGS may spend from every third hop, which looks within the radius known, beside one
            gradient at its start; None = such hops walk as the others.
        walk_l2: of walks that go by L2 in a search of another norm: they change more features at once.
        near_l2: what such a walk found is polished if it came this near, as a factor.
    """

    walk: int = 10
    again: int = 10
    walk_on: int = 40
    other_walk: int = 30
    hop_walk: int = 12
    polish: int = 8
    polish_nearest: int = 8
    round_most: int = 24
    round: Effort = field(default_factory=lambda: Effort(iterations=6, line_search=4, most=23))
    near: float = 1.25
    hop_near: float = 1.05
    hard: float = 0.9
    easy_walk_on: int = 1
    rounds: bool = True
    descent: Effort | None = None
    walk_l2: int = 0
    near_l2: float = 3.0
