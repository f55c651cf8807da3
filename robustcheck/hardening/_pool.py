"""A pool of examples at one cut, and how new ones are made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, F64, I64
from robustcheck.config import HeadKind, PoolOptions, SearchOptions
from robustcheck.distortion import attack, default_batch_size
from robustcheck.hardening._cuts import Cut
from robustcheck.models import Classifier, wrap
from robustcheck.noise import directions, moved
from robustcheck.results import SearchResult
from robustcheck.samples import Samples

# the examples of a pool take no more than this
_MOST_BYTES = 256 * 2**20
# numbers that go into or out of the part below a cut at once
_ACTIVATIONS = 2**22


@dataclass(frozen=True, kw_only=True)
class PoolState:
    """What a pool came to.

    Attributes:
        layer: of the cut.
        size: examples it can hold.
        held: examples it holds.
        made: examples that were made for it in all.
        tried: samples that were searched.
        distortion: mean L2 distance of the examples held from what they were made of; None of none.
        gradient_evaluations, forward_evaluations: spent on making examples.
        seconds: spent on making examples.
    """

    layer: str
    size: int
    held: int
    made: int
    tried: int
    distortion: float | None
    gradient_evaluations: int
    forward_evaluations: int
    seconds: float


class Pool:
    """Examples at one cut with the training samples they were made of; random ones give way to new ones."""

    def __init__(self, cut: Cut, options: PoolOptions, head: HeadKind | Literal["auto"] = "auto") -> None:
        self.cut = cut
        self.options = options
        self.classifier: Classifier = wrap(cut.above, box=cut.box, name=cut.name, head=head)
        width = self.classifier.layout.width
        self.size = max(1, min(options.size, _MOST_BYTES // (4 * width)))
        self.examples = np.zeros((self.size, width), np.float32)
        self.source = np.zeros(self.size, np.int64)
        self.distance = np.zeros(self.size, np.float64)
        self.held = self.made = self.tried = self.gradients = self.forwards = 0
        self.seconds = 0.0

    def refresh(self, x: NDArray[Any], label: I64, draw: np.random.Generator) -> None:
        """Make examples of random training samples; they take free places, then those of random others.

        Args:
            x: training samples ``[N, *shape]``.
            label: their classes ``[N]``.
            draw: of everything random.
        """
        begun = time.perf_counter()
        chosen = draw.choice(len(x), size=min(self.options.fresh, len(x)), replace=False)
        clean = self.activations(x[chosen])
        made, distance, kept = self._made(clean, label[chosen], draw)
        free = np.arange(self.held, min(self.held + len(made), self.size))
        others = draw.permutation(self.held)[: len(made) - len(free)]
        places = np.concatenate([free, others])[: len(made)]
        count = len(places)
        self.examples[places] = made[:count]
        self.source[places] = chosen[kept][:count]
        self.distance[places] = distance[:count]
        self.held = max(self.held, int(places.max()) + 1) if count else self.held
        self.made += count
        self.tried += len(chosen)
        self.seconds += time.perf_counter() - begun

    def activations(self, x: NDArray[Any]) -> F32:
        """What reaches the cut of samples ``[n, *shape]``, as rows ``[n, D]``."""
        rows = np.asarray(x, np.float32)
        if self.cut.below is not None:
            size = max(1, _ACTIVATIONS // max(rows[0].size, self.classifier.layout.width))
            parts = [self.cut.below(rows[i : i + size], training=False) for i in range(0, len(rows), size)]
            rows = np.concatenate([np.asarray(part, np.float32) for part in parts])
        flat = rows.reshape(len(rows), -1)
        # a sigmoid may round to just outside of its range
        return np.clip(flat, self.classifier.lower, self.classifier.upper)

    def _made(self, clean: F32, label: I64, draw: np.random.Generator) -> tuple[F32, F64, I64]:
        """Examples ``[m, D]``, their distances ``[m]``, and the positions ``[m]`` they were made of."""
        if self.options.kind == "clean":
            return clean, np.zeros(len(clean)), np.arange(len(clean))
        result = self._search(clean, label, int(draw.integers(2**31)))
        spread = float(np.sqrt(np.mean(np.sum((clean - clean.mean(axis=0)) ** 2, axis=1))))
        near = result.found & (result.distance <= self.options.cap * spread)
        kept = np.flatnonzero(near)
        examples = result.points[kept]
        if self.options.kind == "noise":
            examples = self._noise(clean[kept], result.distance[kept], draw)
        return examples, result.distance[kept], kept

    def _search(self, clean: F32, label: I64, seed: int) -> SearchResult:
        samples = Samples(
            index=np.arange(len(clean)),
            rows=clean,
            label=label,
            finite=np.asarray(np.isfinite(clean).all(axis=1)),
            notes=(),
        )
        result = attack(
            self.classifier,
            samples,
            np.full(len(clean), -1, np.int64),
            options=SearchOptions(budget=self.options.budget, seed=seed),
            batch_size=max(default_batch_size(self.classifier), min(512, 200_000 // clean.shape[1])),
        )
        self.gradients += int(result.gradient_evaluations.sum())
        self.forwards += int(result.forward_evaluations.sum())
        return result

    def _noise(self, clean: F32, length: F64, draw: np.random.Generator) -> F32:
        """Gaussian noise of the lengths that the search found, within the range: the control."""
        drawn = directions(draw, self.classifier, len(clean), np.float64)
        return moved(self.classifier, clean, length[:, None] * drawn)

    def batch(self, count: int, draw: np.random.Generator) -> tuple[F32, I64]:
        """Random examples ``[count, *shape]`` with the training samples ``[count]`` they were made of."""
        places = draw.integers(0, self.held, size=count)
        shape = (count, *self.classifier.input_shape)
        return self.examples[places].reshape(shape), self.source[places]

    @property
    def state(self) -> PoolState:
        """What the pool came to so far."""
        held = self.distance[: self.held]
        return PoolState(
            layer=self.cut.name,
            size=self.size,
            held=self.held,
            made=self.made,
            tried=self.tried,
            distortion=float(held.mean()) if self.held else None,
            gradient_evaluations=self.gradients,
            forward_evaluations=self.forwards,
            seconds=self.seconds,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that it takes to go on, as arrays."""
        counts = [self.held, self.made, self.tried, self.gradients, self.forwards]
        return {
            "examples": self.examples[: self.held],
            "source": self.source[: self.held],
            "distance": self.distance[: self.held],
            "counts": np.array(counts, np.int64),
            "seconds": np.array(self.seconds),
        }

    def restore(self, stored: dict[str, NDArray[Any]]) -> None:
        """Go on from what :meth:`arrays` gave."""
        counts = [int(count) for count in stored["counts"]]
        self.held, self.made, self.tried, self.gradients, self.forwards = counts
        self.examples[: self.held] = stored["examples"]
        self.source[: self.held] = stored["source"]
        self.distance[: self.held] = stored["distance"]
        self.seconds = float(stored["seconds"])
