"""The searches of an audit as pieces that can be done anywhere: what each is given, does and gives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robustcheck.arrays import I64
from robustcheck.config import SearchOptions
from robustcheck.distortion._attack import attack
from robustcheck.distortion._facts import SetFacts
from robustcheck.distribute import Tell, Work
from robustcheck.errors import ModelRefused
from robustcheck.models import Classifier, own_labels
from robustcheck.recipe import Recipe
from robustcheck.results import SampleExamples, ShardDone
from robustcheck.samples import Samples
from robustcheck.text import percent

# share of decisions that rounding on another machine may turn
_MOST_OTHERWISE = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardWork:
    """What a shard is given: some samples of the set, the model by its name, and how to search it."""

    model: str
    samples: Samples
    targets: I64
    options: SearchOptions
    batch_size: int

    def take(self, start: int, stop: int) -> ShardWork:
        """The work on some of the samples alone."""
        chosen = np.arange(start, min(stop, len(self.samples)))
        return replace(self, samples=self.samples.take(chosen), targets=self.targets[chosen])


def run_shard(classifier: Classifier, facts: SetFacts, work: ShardWork, tell: Tell) -> ShardDone:
    """Search the samples of a shard; a function of its arguments alone."""
    begun, sizes = time.perf_counter(), [work.batch_size]
    found = attack(
        classifier,
        work.samples,
        work.targets,
        options=work.options,
        batch_size=work.batch_size,
        facts=facts,
        on_progress=lambda _, done, total: tell(done, total),
        on_halved=sizes.append,
    )
    seconds = time.perf_counter() - begun
    return ShardDone(examples=found.only(SampleExamples), seconds=seconds, batch_size=sizes[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchSetup:
    """Sets a worker up: what it does is given a :class:`ShardWork`; models are loaded when first needed."""

    recipes: Mapping[str, Recipe]
    facts: Mapping[str, SetFacts]

    def _opened(self, name: str) -> Classifier:
        """A model, if it decides here as it did where the facts were measured."""
        classifier, others = self.recipes[name].open(), self.facts[name].others
        differ = float(np.mean(own_labels(classifier, others.rows) != others.label))
        if differ > _MOST_OTHERWISE:
            raise ModelRefused(
                f"{name}: expected the model that the audit began with, got one that gives {percent(differ)} "
                "of the samples another class in another process"
            )
        return classifier

    def __call__(self) -> Work:
        """In the worker."""
        models: dict[str, Classifier] = {}

        def work(shard: ShardWork, tell: Tell) -> Any:
            if shard.model not in models:
                models[shard.model] = self._opened(shard.model)
            return run_shard(models[shard.model], self.facts[shard.model], shard, tell)

        return work
