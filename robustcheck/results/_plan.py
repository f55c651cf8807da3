"""What ``plan.json`` holds: an audit as it was begun, so that it can go on elsewhere and later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from robustcheck.config import SearchedNorm
from robustcheck.results._document import DataFacts, ModelFacts, plain
from robustcheck.results._outcomes import SampleExamples

PLAN_SCHEMA = "robustcheck.plan/1"


@dataclass(frozen=True, kw_only=True)
class StartFacts:
    """What the searches of one model share, measured once, so that a sample ends the same in every shard.

    ``rounding`` is how far a logit moves with the batch size; ``starts`` are the positions of samples that a
    search may start from on the other side, ``labels`` what the model says of these; ``slope`` is the
    gradient to follow.
    """

    rounding: float
    starts: list[int]
    labels: list[int]
    slope: Literal["declared", "computed"] = "declared"


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """One piece of the work: samples ``start`` to ``stop`` of the search for a model in a norm."""

    model: str
    norm: SearchedNorm
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardDone:
    """What a shard came to: the examples, seconds spent, and the smallest batch that had to be made."""

    examples: SampleExamples
    seconds: float
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class PlanDocument:
    """An audit as it was begun.

    Attributes:
        models: the subject, then the references; each with its digest, None where that cannot be told.
        contents: digest of each model's content, in the same order.
        data: the samples, as the report has them.
        samples_sha256: digest of all samples as they are searched, with their labels and targets.
        options: how to search.
        norms: in which, the first first.
        batch_size: samples searched at once.
        transfer: how examples are tried on other models.
        facts: what is shared by the searches of each model, in the order of the models.
        shards: the pieces, numbered from 0.
        versions: of what computes.
        started, command: of the first process.
        deployed: what is held against the subject, by name: its digest and how it takes samples, None where
            the digest cannot be told.
        settings: as they were written, for another process to go on with; None for an audit made in Python.
    """

    schema: str = PLAN_SCHEMA
    models: list[ModelFacts]
    contents: list[str | None]
    data: DataFacts
    samples_sha256: str
    options: dict[str, str | int | float | None]
    norms: list[SearchedNorm]
    batch_size: int
    transfer: dict[str, str | int | float | list[float] | None]
    facts: list[StartFacts]
    shards: list[ShardFacts]
    versions: dict[str, str]
    started: str
    command: str | None
    settings: dict[str, Any] | None = None
    deployed: dict[str, str | None] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """Digest of all that decides what the shards hold, wherever the files are: each shard names it."""
        decides = [self._told(), plain(self.facts), plain(self.shards)]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def differences(self, other: PlanDocument) -> list[str]:
        """In what another plan differs, a phrase each, apart from what is measured anew."""
        mine, its = self._told(), other._told()
        return [
            f"{what}: {_short(mine.get(what))} there, {_short(its.get(what))} here"
            for what in dict.fromkeys([*mine, *its])
            if mine.get(what) != its.get(what)
        ]

    def _told(self) -> dict[str, Any]:
        """What decides the figures, by a name that a user knows."""
        data = plain(self.data)
        models: dict[str, Any] = {}
        for facts, content in zip(self.models, self.contents, strict=True):
            models[f"{facts.name}: content"] = content
            known = {name: value for name, value in plain(facts).items() if name not in ("path", "sha256")}
            models |= {f"{facts.name}: {name}": value for name, value in known.items()}
        return {
            "models": [facts.name for facts in self.models],
            **models,
            **{f"data {name}": data[name] for name in data if name not in ("path", "notes")},
            "samples": self.samples_sha256,
            **{f"option {name}": value for name, value in self.options.items()},
            "norms": self.norms,
            "batch size": self.batch_size,
            **{f"transfer {name}": value for name, value in self.transfer.items()},
            **{f"version of {name}": value for name, value in self.versions.items()},
            **{f"deployed {name}": value for name, value in self.deployed.items()},
        }


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return f"{text[:60]}..." if len(text) > 60 else text
