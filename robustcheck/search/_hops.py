"""Random steps from what is known: new valleys to look for a nearer point in.

What is drawn is the same for all samples, so that neither their order nor their batch matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import F32, F64

# kinds of hops, that take turns; one of each in a cycle
KINDS = 3
# lengths of steps, in shares of the nearest point's distance
_LENGTHS = (0.6, 0.9, 1.2)
# share of the features of a perturbation that are turned round
_TURNED = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Hop:
    """A step to take.

    Attributes:
        x: the samples, ``[R, D]``.
        nearest: the nearest points known, the samples themselves where there is none, ``[R, D]``.
        scale: their distance in the norm that is searched, or the linearised model's, ``[R]``.
        number: which step this is, from 0 on.
        seed: of all that is drawn.
    """

    x: F32
    nearest: F32
    scale: F64
    number: int
    seed: int

    @property
    def draw(self) -> np.random.Generator:
        """For this step."""
        return np.random.default_rng((self.seed, self.number))


def hop_l2(hop: Hop) -> F32:
    """From the nearest point in a random direction, by about its distance."""
    direction = hop.draw.standard_normal(hop.x.shape[1])
    step = direction / np.linalg.norm(direction)
    length = _LENGTHS[hop.number % len(_LENGTHS)] * hop.scale
    hopped: F32 = (hop.nearest + length[:, None] * step).astype(np.float32)
    return hopped


def hop_linf(hop: Hop) -> F32:
    """In turn: any point as near as the nearest; the nearest with some features turned round; near to it."""
    draw, kind = hop.draw, hop.number % KINDS
    if kind == 1:
        turned = np.where(draw.random(hop.x.shape[1]) < _TURNED, -1.0, 1.0)
        other: F32 = (hop.x + turned * (hop.nearest - hop.x)).astype(np.float32)
        return other
    step = draw.uniform(-1.0, 1.0, hop.x.shape[1])
    base = hop.x if kind == 0 else hop.nearest
    hopped: F32 = (base + hop.scale[:, None] * step).astype(np.float32)
    return hopped


def hop_l1(hop: Hop) -> F32:
    """From the nearest point by changing some random features, about as many as it changed, as far."""
    draw, r = hop.draw, np.abs(hop.nearest - hop.x)
    largest = r.max(axis=1)
    # where nothing is known a feature goes as far as the whole distance would be
    largest = np.where(largest > 0, largest, hop.scale)
    many = _LENGTHS[hop.number % len(_LENGTHS)] * hop.scale / np.maximum(largest, np.finfo(np.float32).tiny)
    rank = draw.permutation(hop.x.shape[1])
    sign = np.where(draw.random(hop.x.shape[1]) < 0.5, -1.0, 1.0)
    step = np.where(rank < np.maximum(many, 1.0)[:, None], sign * largest[:, None], 0.0)
    hopped: F32 = (hop.nearest + step).astype(np.float32)
    return hopped
