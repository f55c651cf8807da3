"""Minimal distortions: cut samples into batches, search each, check every answer, join.

The one batch loop. What the search claims is checked here with the plain model: the example is clipped to
the box in float32, classified in a batch, classified as a batch of one, classified by the model's own head,
and measured again in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from robustcheck import numerics
from robustcheck.arrays import F32, F64, I64, Mask
from robustcheck.config import SearchOptions
from robustcheck.errors import ConfigError, Incomplete, SearchInterrupted, one_line
from robustcheck.interrupts import deferred
from robustcheck.models import Classifier, in_costs, logits_of, own_labels, own_labels_singly
from robustcheck.norms import NORMS
from robustcheck.progress import OnProgress, silent, within
from robustcheck.results import Joined, SearchResult, StartFacts, Status, is_wanted, sample_ids
from robustcheck.samples import Samples
from robustcheck.search import METHODS, STAGE, Others, Problem

# float32 rounding between batch sizes, as a share of the largest logit
_ROUNDING = 4e-6
# samples that the spread between a batch and batches of one is measured on, and the factor of safety
_SPREAD_SAMPLES, _SPREAD_SAFETY = 32, 4.0
# steps of a feature that cost more than this share of the cheapest feature's range are too coarse to search
_COARSE = 1e-3
# what a batch raises that does not fit into memory
_NO_ROOM = (tf.errors.ResourceExhaustedError, MemoryError)
# bytes that a batch may take, and samples of it at most
_ROOM, _MOST_AT_ONCE = 2**31, 256
# samples that searches may start from on the misclassified side
_OTHERS = 256


def require_batch_size(batch_size: int) -> None:
    """Refuse a batch size that is not a whole number of at least 1."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ConfigError(f"batch_size: expected a whole number of at least 1, got {batch_size!r}")


def default_batch_size(classifier: Classifier) -> int:
    """Samples searched at once: a power of two so that they take about 2 GiB at most.

    A sample takes its features some 40 times over in the search, and the values that the model's layers give
    for it, each once more in the gradient.
    """
    values = getattr(classifier.logits, "values_a_row", 0)
    most = _ROOM // (4 * (40 * classifier.layout.width + 2 * values))
    return int(np.clip(2 ** int(np.log2(max(most, 1))), 1, _MOST_AT_ONCE))


def attack(
    classifier: Classifier,
    samples: Samples,
    targets: I64,
    *,
    options: SearchOptions,
    batch_size: int,
    facts: SetFacts | None = None,
    on_progress: OnProgress = silent,
    on_halved: Callable[[int], None] = lambda _: None,
) -> SearchResult:
    """:func:`minimal_distortion` on checked samples; ``targets`` ``[N]``, -1 = any other class.

    ``facts``: of the set that the samples were taken from; of the samples themselves when None. A batch that
    does not fit into memory is halved, which changes answers by rounding alone; ``on_halved`` is told the
    size that is kept to from then on.

    Raises:
        SearchInterrupted: Ctrl-C after the first batch; with the rows that are done.
    """
    with deferred():
        facts = facts or facts_of(classifier, samples)
    joined = Joined(len(samples), samples.rows.reshape(-1, *classifier.input_shape))
    on_progress(STAGE, 0, len(samples))
    start = 0
    try:
        while start < len(samples):
            chosen = np.arange(start, min(start + batch_size, len(samples)))
            inside = within(on_progress, start, len(chosen), len(samples))
            try:
                with deferred():
                    part = search_range(
                        classifier, samples.take(chosen), targets[chosen], facts, options, inside
                    )
            except _NO_ROOM as error:
                batch_size = _halved(classifier, len(chosen), error)
                on_halved(batch_size)
                continue
            joined.add(part)
            start = joined.done
            on_progress(STAGE, start, len(samples))
    except KeyboardInterrupt as stop:
        if not joined.done:
            raise
        raise SearchInterrupted(joined.result()) from stop
    return joined.result()


def _halved(classifier: Classifier, size: int, error: BaseException) -> int:
    """The size of batches to go on with after one of this size did not fit into memory."""
    if size == 1:
        raise Incomplete(
            f"{classifier.name}: a single sample does not fit into memory: {one_line(error)}"
        ) from error
    return size // 2


@dataclass(frozen=True, kw_only=True, eq=False)
class SetFacts:
    """What the search of a part of some samples needs of all of them, so that it ends as the whole would.

    Attributes:
        rounding: how far a logit moves with the batch size, as a share of the largest.
        others: samples that searches may start from on the misclassified side.
    """

    rounding: float
    others: Others


def facts_of(classifier: Classifier, samples: Samples) -> SetFacts:
    """The facts of a set of samples, asked of the model once."""
    return set_facts(samples, start_facts(classifier, samples))


def start_facts(classifier: Classifier, samples: Samples) -> StartFacts:
    """The same without the samples: with up to 256 of them, evenly spread, by their position."""
    finite = np.flatnonzero(samples.finite)
    starts = finite[np.unique(np.linspace(0, len(finite) - 1, _OTHERS).astype(int))]
    return StartFacts(
        rounding=measured_rounding(classifier, samples),
        starts=starts.tolist(),
        labels=own_labels(classifier, samples.rows[starts]).tolist(),
    )


def set_facts(samples: Samples, facts: StartFacts) -> SetFacts:
    """The facts of a set of samples, which were asked before."""
    others = Others(rows=samples.rows[facts.starts], label=np.array(facts.labels, np.int64))
    return SetFacts(rounding=facts.rounding, others=others)


def search_range(
    classifier: Classifier,
    samples: Samples,
    targets: I64,
    facts: SetFacts,
    options: SearchOptions,
    on_progress: OnProgress = silent,
) -> SearchResult:
    """Search some samples of a set as one batch, and check every answer.

    A function of its arguments alone, which are plain arrays but for the classifier: what is found for a
    sample depends neither on the others of the range nor on what was searched before.

    Args:
        classifier: the model.
        samples: some of the set, ``[B]``; all are searched at once.
        targets: class that each example is to be given, -1 = any other, ``[B]``.
        facts: of the whole set.
        options: how to search.
        on_progress: told about the search.
    """
    status = np.full(len(samples), Status.NON_FINITE, dtype="<U13")
    predicted = np.full(len(samples), -1, np.int64)
    finite = samples.finite
    if finite.any():
        predicted[finite] = own_labels(classifier, samples.rows[finite])
    status[finite] = np.where(predicted == samples.label, Status.NOT_FOUND, Status.ALREADY_WRONG)[finite]

    points = np.full_like(samples.rows, np.nan)
    points[status == Status.ALREADY_WRONG] = samples.rows[status == Status.ALREADY_WRONG]
    gradients, forwards, agreed = np.zeros((3, len(samples)), np.int64)
    halfway = np.full(len(samples), np.nan)
    attacked = np.flatnonzero(status == Status.NOT_FOUND)
    if len(attacked):
        problem = _problem(classifier, samples.take(attacked), targets[attacked], facts)
        priced = _priced(problem, classifier.cost) if classifier.priced else problem
        answer = METHODS[options.method](in_costs(classifier), priced, options, on_progress)
        found = _unpriced(answer.point, priced, problem, classifier.cost)
        held, now = _verify(classifier, problem, found)
        points[attacked[held]] = np.clip(found, problem.lower, problem.upper)[held]
        status[attacked[held]] = Status.FOUND
        predicted[attacked[held]] = now[held]
        gradients[attacked], forwards[attacked] = answer.gradient_evaluations, answer.forward_evaluations
        halfway[attacked], agreed[attacked] = answer.halfway, answer.agreed
    shape = (len(samples), *classifier.input_shape)
    return SearchResult(
        index=samples.index,
        sample_id=sample_ids(samples.rows),
        label=samples.label,
        status=status,
        input=samples.rows.reshape(shape),
        adversarial=points.reshape(shape),
        predicted=predicted,
        target=targets,
        confidence_before=_confidence(classifier, samples.rows),
        confidence_after=_confidence(classifier, points),
        **{
            name: norm.distance(samples.rows, points, classifier.features, classifier.cost)
            for name, norm in NORMS.items()
        },
        gradient_evaluations=gradients,
        forward_evaluations=forwards,
        halfway=halfway,
        starts_agreed=agreed,
        norm=options.norm,
    )


def measured_rounding(classifier: Classifier, samples: Samples) -> float:
    """How far a logit moves with the batch size, as a share of the largest; at least float32's rounding.

    Measured on up to 32 finite samples: models in half precision need a larger lead than others.
    """
    rows = samples.rows[np.flatnonzero(samples.finite)[:_SPREAD_SAMPLES]]
    together = logits_of(classifier, rows)
    alone = logits_of(classifier, rows, batch_size=1)
    largest = np.maximum(np.abs(together).max(axis=1), np.finfo(np.float32).tiny)
    spread = float(np.max(np.abs(together - alone).max(axis=1) / largest))
    return max(_ROUNDING, _SPREAD_SAFETY * spread)


def _problem(classifier: Classifier, samples: Samples, targets: I64, facts: SetFacts) -> Problem:
    lower, upper = classifier.bounds(samples.rows)
    return Problem(
        rows=samples.rows,
        label=samples.label.astype(np.int32),
        target=targets.astype(np.int32),
        lower=lower,
        upper=upper,
        relative=facts.rounding,
        absolute=classifier.rounding,
        others=facts.others,
    )


def _priced(problem: Problem, cost: F32) -> Problem:
    """The problem where the length of a change is what it costs: all rows times their costs."""
    held = beyond_float32(problem.lower, problem.upper, problem.rows, cost)
    return replace(
        problem,
        rows=problem.rows * cost,
        lower=np.where(held, problem.rows, problem.lower) * cost,
        upper=np.where(held, problem.rows, problem.upper) * cost,
        others=Others(rows=problem.others.rows * cost, label=problem.others.label),
    )


def _unpriced(points: F32, priced: Problem, problem: Problem, cost: F32) -> F32:
    """Points of the priced problem as samples; what did not move there has not moved here."""
    if priced is problem:
        return points
    return np.where(points == priced.rows, problem.rows, points / cost).astype(np.float32)


def beyond_float32(lower: F32, upper: F32, rows: F32, cost: F32) -> Mask:
    """Features ``[B, D]`` so dear that float32 cannot tell what a change of them costs: they are held.

    Their smallest step costs more than a thousandth of the whole range of the cheapest feature.
    """
    width = (upper - lower).astype(np.float64)
    ranges = np.where(np.isfinite(width), width, 1.0) * cost
    cheapest = np.where(width > 0, ranges, np.inf).min(axis=1, keepdims=True)
    held: Mask = cost * np.spacing(np.abs(rows)) > _COARSE * cheapest
    return held


def _verify(classifier: Classifier, problem: Problem, points: F32) -> tuple[Mask, I64]:
    """Which points hold, ``[B]``, and the class that the plain model gives them, ``[B]``."""
    held: Mask = np.asarray(np.isfinite(points).all(axis=1))
    now = problem.label.astype(np.int64)
    if not held.any():
        return held, now
    there = np.clip(points, problem.lower, problem.upper)[held]
    logits = logits_of(classifier, there)
    margin = numerics.adversarial_margin(logits, problem.label[held], problem.target[held])
    leads = margin >= numerics.needed_margin(logits, problem.relative, problem.absolute)
    batched = own_labels(classifier, there)
    singly = own_labels_singly(classifier, there)
    reached = is_wanted(batched, label=problem.label[held], target=problem.target[held])
    now[held] = batched
    held[held] = leads & reached & (batched == singly)
    return held, now


def _confidence(classifier: Classifier, rows: F32) -> F64:
    """Softmax probability of the prediction, ``[N]``; NaN for rows that are not finite."""
    confidence = np.full(len(rows), np.nan)
    there = np.isfinite(rows).all(axis=1)
    if there.any():
        z = logits_of(classifier, rows[there]).astype(np.float64)
        confidence[there] = 1.0 / np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)
    return confidence
