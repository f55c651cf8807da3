"""Run a plan: search its shards wherever they are to be searched, try the examples on all models, report."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from robustcheck.auditing._collect import collect
from robustcheck.auditing._plan import Plan
from robustcheck.auditing._report import Searched, partial_report, whole_report
from robustcheck.config import AuditConfig
from robustcheck.deployed import hold
from robustcheck.distortion import SearchSetup, ShardWork, on_levels, run_shard, set_facts
from robustcheck.distribute import Futures, Here, Lost, Processes, RayActors, Task, Tell, Workers, work_off
from robustcheck.errors import Incomplete, Interrupted, RobustcheckError, one_line
from robustcheck.norms import NORMS
from robustcheck.progress import OnProgress
from robustcheck.remedies import adopt_transferred, walk_where_needed
from robustcheck.results import AuditReport, PlanDocument, SearchResult, ShardDone, ShardFacts, TransferMatrix
from robustcheck.shards import KEPT, ShardStore
from robustcheck.startup import start_worker
from robustcheck.transfer import cross_errors, require_comparable

# lost shards that a message names
_NAMED = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """An audit under way: what is to be done, the plan as it was begun, and where the work is kept."""

    plan: Plan
    begun: PlanDocument
    store: ShardStore


def run(audit: Run, config: AuditConfig, on_progress: OnProgress) -> AuditReport:
    """Search every model, try the examples on all, check and sum up.

    What took its workers with it, each time, leaves a report that is not complete.

    Raises:
        Interrupted: Ctrl-C after the first shard; with the report of what was done.
        Incomplete: nothing can be attacked.
    """
    require_comparable(audit.plan.models)
    try:
        lost = run_shards(audit, config, on_progress)
        if lost:
            return _partial(audit, told_of(audit, lost))
        found = collect(audit.plan, audit.begun, audit.store)
        _require_attacked(audit, found.first)
        found = _remedied(audit, found, on_progress)
        transfer = _transfer(audit.plan, found, on_progress)
        found = _with_forms(audit, found, on_progress)
        on_progress("check", 0, 1)
        report = whole_report(audit.plan, audit.begun, found, transfer)
        on_progress("check", 1, 1)
        return report
    except KeyboardInterrupt as stop:
        if not any(_is_first(audit, audit.begun.shards[number]) for number in audit.store.done):
            raise
        raise Interrupted(_partial(audit, "the audit was interrupted")) from stop


def run_shards(
    audit: Run, config: AuditConfig, on_progress: OnProgress, chosen: Iterable[int] | None = None
) -> dict[int, Lost]:
    """Do the shards that are not there yet, or those chosen of them; returns those that were lost."""
    numbers = range(len(audit.begun.shards)) if chosen is None else chosen
    there = audit.store.done
    tasks = [Task(number, partial(_work, audit, number)) for number in numbers if number not in there]
    lost: dict[int, Lost] = {}
    if not tasks:
        return lost
    display = _Display(audit, on_progress)
    with (
        _workers(audit, config, display.news) as workers,
        # whatever ends the loop ends the workers, at once
        closing(_worked_off(tasks, workers, config, display.news)) as results,
    ):
        for number, done in results:
            if isinstance(done, Lost):
                lost[number] = done
                continue
            audit.store.write(audit.begun, number, done)
            display.done(number)
            _require_some(audit, number, done)
    return lost


def _worked_off(
    tasks: list[Task], workers: Workers, config: AuditConfig, on_news: Callable[[int, int, int], None]
) -> Generator[tuple[int, Any], None, None]:
    """All tasks; an executor of the user's may fail in its own ways."""
    try:
        yield from work_off(tasks, workers, on_news)
    except RobustcheckError:
        raise
    except Exception as error:
        if config.executor == "local":
            raise
        goes_on = "" if config.out is None else f"; {KEPT}"
        raise Incomplete(f"the executor failed: {one_line(error)}{goes_on}") from error


def _work(audit: Run, number: int) -> ShardWork:
    """What a shard is given."""
    shard, plan = audit.begun.shards[number], audit.plan
    whole = ShardWork(
        model=shard.model,
        samples=plan.samples,
        targets=plan.targets,
        options=next(options for options in plan.searches if options.norm == shard.norm),
        batch_size=plan.batch_size,
    )
    return whole.take(shard.start, shard.stop)


@contextmanager
def _workers(audit: Run, config: AuditConfig, on_news: Callable[[int, int, int], None]) -> Iterator[Workers]:
    """Where the shards are done."""
    plan = audit.plan
    facts = {
        name: set_facts(plan.samples, measured)
        for name, measured in zip(plan.attacked, audit.begun.facts, strict=True)
    }
    if config.executor == "local" and config.jobs in (None, 1):

        def work(shard: ShardWork, tell: Tell) -> ShardDone:
            return run_shard(plan.attacked[shard.model], facts[shard.model], shard, tell)

        yield Here(work, on_news)
        return
    with tempfile.TemporaryDirectory(prefix="robustcheck-") as scratch:
        recipes = {name: plan.recipes[name].portable(Path(scratch)) for name in plan.attacked}
        setup = SearchSetup(recipes=recipes, facts=facts)
        if config.executor == "local":
            yield Processes(setup, config.jobs or 1, start_worker)
        elif config.executor == "ray":
            how: dict[str, Any] = {"address": config.ray_address, "gpus": config.gpus_per_worker}
            yield RayActors(setup, config.jobs, start_worker, **how)
        else:
            yield Futures(setup, config.executor)


def _remedied(audit: Run, found: Searched, on_progress: OnProgress) -> Searched:
    """What the searches of the subject found; with a walk where they did not see, and on 8-bit levels."""
    plan = audit.plan
    facts = set_facts(plan.samples, audit.begun.facts[0])
    results, seconds, walks = dict(found.results), dict(found.seconds), {}
    for options in plan.searches:
        begun = time.perf_counter()
        result, adopted = adopt_transferred(
            plan.subject, results[options.norm], found.made_for, facts, options
        )
        result, walk = walk_where_needed(plan.subject, result, facts, options, on_progress)
        walks[options.norm] = replace(walk, adopted=adopted)
        results[options.norm] = on_levels(plan.subject, result)
        seconds[options.norm] += time.perf_counter() - begun
    return replace(found, results=results, seconds=seconds, walks=walks)


def _with_forms(audit: Run, found: Searched, on_progress: OnProgress) -> Searched:
    """Deployed forms held against the samples and examples of the subject, in the first norm."""
    plan, held = audit.plan, {}
    facts = set_facts(plan.samples, audit.begun.facts[0])
    for done, form in enumerate(plan.forms):
        on_progress("deployed", done, len(plan.forms))
        held[form.name] = hold(form, plan.subject, found.first, facts, plan.deployed, plan.searches[0])
    if plan.forms:
        on_progress("deployed", len(plan.forms), len(plan.forms))
    return replace(found, held=held)


def _transfer(plan: Plan, found: Searched, on_progress: OnProgress) -> TransferMatrix | None:
    if not plan.references:
        return None
    results = {plan.subject.name: found.first, **found.made_for}
    return cross_errors(plan.models, plan.samples, results, plan.transfer, on_progress)


def _partial(audit: Run, why: str) -> AuditReport:
    """The report of what is done.

    Raises:
        Incomplete: that is nothing that could be attacked.
    """
    if not any(_is_first(audit, audit.begun.shards[number]) for number in audit.store.done):
        raise Incomplete(f"{why}; nothing else was done")
    found = collect(audit.plan, audit.begun, audit.store)
    _require_attacked(audit, found.first)
    return partial_report(audit.plan, audit.begun, found, why)


def told_of(audit: Run, lost: Mapping[int, Lost]) -> str:
    """Which shards were lost, and why."""
    shards = {number: audit.begun.shards[number] for number in sorted(lost)[:_NAMED]}
    named = [
        f"shard {number} (samples {shard.start} to {shard.stop - 1}, {NORMS[shard.norm].title}, "
        f"{shard.model}) could not be searched: {lost[number].reason}"
        for number, shard in shards.items()
    ]
    return "; ".join(named) + (f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else "")


def _is_first(audit: Run, shard: ShardFacts) -> bool:
    """Whether a shard is of the subject in the first norm."""
    return shard.model == audit.plan.subject.name and shard.norm == audit.begun.norms[0]


def _require_some(audit: Run, number: int, done: ShardDone) -> None:
    """Stop as soon as the first search has ended with nothing that can be attacked."""
    if not _is_first(audit, audit.begun.shards[number]) or done.examples.correct.any():
        return
    of_first = {n for n, shard in enumerate(audit.begun.shards) if _is_first(audit, shard)}
    if of_first <= audit.store.done:
        _require_attacked(audit, collect(audit.plan, audit.begun, audit.store).first)


def _require_attacked(audit: Run, result: SearchResult) -> None:
    if not result.correct.any():
        raise Incomplete(
            f"{audit.plan.subject.name}: none of the {len(result)} samples is classified right, so nothing "
            "can be attacked; do the labels and the range of the data fit the model?"
        )


class _Display:
    """Progress of shards as that of the searches that they are of, over all workers."""

    def __init__(self, audit: Run, on_progress: OnProgress) -> None:
        self._on_progress, self._total = on_progress, len(audit.plan.samples)
        several = len(audit.begun.norms) > 1
        self._shards = audit.begun.shards
        self._stage = [
            f"search {shard.model}{f' {NORMS[shard.norm].title}' if several else ''}"
            for shard in self._shards
        ]
        # of each stage what its shards are done with
        self._done: dict[str, dict[int, int]] = defaultdict(dict)
        for number in audit.store.done:
            self._done[self._stage[number]][number] = self._size(number)
        self._begun: set[str] = set()

    def news(self, number: int, done: int, total: int) -> None:
        """A shard is under way; its last sample is told when it is kept."""
        self._tell(number, min(done, total - 1))

    def done(self, number: int) -> None:
        """A shard is kept."""
        self._tell(number, self._size(number))

    def _tell(self, number: int, done: int) -> None:
        stage = self._stage[number]
        if stage not in self._begun:
            self._begun.add(stage)
            self._on_progress(stage, sum(self._done[stage].values()), self._total)
        self._done[stage][number] = done
        self._on_progress(stage, sum(self._done[stage].values()), self._total)

    def _size(self, number: int) -> int:
        return self._shards[number].stop - self._shards[number].start
