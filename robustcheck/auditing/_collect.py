"""What the shards hold, put together in the order of the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import I64
from robustcheck.auditing._plan import Plan
from robustcheck.auditing._report import Searched
from robustcheck.config import SearchedNorm
from robustcheck.errors import ReportRefused
from robustcheck.results import Joined, PlanDocument, SearchResult, sample_ids
from robustcheck.shards import ShardStore


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One search as far as it was done: positions of its samples ``[n]``, what was found for them, and how.

    ``batch_size`` is the smallest batch that had to be made.
    """

    positions: I64
    result: SearchResult
    seconds: float
    batch_size: int


def collect(plan: Plan, begun: PlanDocument, store: ShardStore) -> Searched:
    """What was found, of samples that the first search of the subject is done with; shards are read in turn.

    Searches that are not done with all of these are left out.

    Raises:
        ReportRefused: a shard of other samples, or none of the first search.
    """
    first, *further = [_joined(plan, begun, store, plan.subject.name, norm) for norm in begun.norms]
    if first is None:
        raise ReportRefused(f"{store.folder}: expected shards of the first search, got none")
    parts = {begun.norms[0]: first}
    for norm, part in zip(begun.norms[1:], further, strict=True):
        if part is not None and np.isin(first.positions, part.positions).all():
            parts[norm] = part
    made_for = {name: _joined(plan, begun, store, name, begun.norms[0]) for name in list(plan.attacked)[1:]}
    there = {name: part for name, part in made_for.items() if part is not None}
    return Searched(
        results={norm: _at(part, first.positions) for norm, part in parts.items()},
        seconds={norm: part.seconds for norm, part in parts.items()},
        made_for={name: part.result for name, part in there.items()},
        notes=_notes(plan, [*parts.values(), *there.values()]),
    )


def _joined(
    plan: Plan, begun: PlanDocument, store: ShardStore, model: str, norm: SearchedNorm
) -> _Part | None:
    """One search; None where no shard of it is done."""
    shards = {
        number: begun.shards[number]
        for number in sorted(store.done)
        if (begun.shards[number].model, begun.shards[number].norm) == (model, norm)
    }
    if not shards:
        return None
    positions = np.concatenate([np.arange(shard.start, shard.stop) for shard in shards.values()])
    samples = plan.samples if len(positions) == len(plan.samples) else plan.samples.take(positions)
    joined = Joined(len(positions), samples.rows.reshape(-1, *plan.models[model].input_shape))
    seconds, smallest = 0.0, plan.batch_size
    for number, shard in shards.items():
        done = store.read(begun, number)
        place = slice(joined.done, joined.done + shard.stop - shard.start)
        if not np.array_equal(done.examples.sample_id, sample_ids(samples.rows[place])):
            raise ReportRefused(
                f"{store.folder}: shard {number}: expected the samples of the plan, got others"
            )
        joined.add(done.examples)
        seconds, smallest = seconds + done.seconds, min(smallest, done.batch_size)
    return _Part(positions=positions, result=joined.result(), seconds=seconds, batch_size=smallest)


def _at(part: _Part, positions: I64) -> SearchResult:
    """What was found for the samples at these positions, which are there."""
    if len(positions) == len(part.positions):
        return part.result
    return part.result.take(np.searchsorted(part.positions, positions))


def _notes(plan: Plan, parts: list[_Part]) -> tuple[str, ...]:
    smallest = min(part.batch_size for part in parts)
    if smallest == plan.batch_size:
        return ()
    return (
        f"batches of {plan.batch_size} samples did not all fit into memory: some were searched in batches of "
        f"{smallest}",
    )
