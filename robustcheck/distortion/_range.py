"""Minimal distortions of one batch: search, check every answer with the plain model, measure.

What a search claims is checked here: the example is clipped to the box in float32, classified in a batch,
classified as a batch of one, classified by the model's own head, and measured again in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.arrays import F32, F64, I32, I64, Mask
from robustcheck.config import SearchOptions
from robustcheck.distortion._facts import SetFacts
from robustcheck.measures import binomial_tail
from robustcheck.models import Classifier, Votes, in_costs, logits_of, own_labels, own_labels_singly
from robustcheck.norms import NORMS
from robustcheck.progress import OnProgress, silent, within
from robustcheck.results import SearchResult, Status, is_wanted, sample_ids
from robustcheck.samples import Samples
from robustcheck.search import METHODS, Answer, Others, Problem, shorten

# steps of a feature that cost more than this share of the cheapest feature's range are too coarse to search
_COARSE = 1e-3
# what does not hold is tried a little further out: where scores jump, the next float is another class
_FURTHER = (1.0, 1.0005, 1.002, 1.01, 1.03, 1.06, 1.1, 1.15, 1.2, 1.3)
_STILL_FURTHER = (1.5, 2.0, 3.0)
# an example of a random model is one if most draws err at this level
_LEVEL = 0.01
# columns that no search changes
_GIVEN = ("index", "sample_id", "label", "input", "target", "confidence_before")


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

    attacked = np.flatnonzero(status == Status.NOT_FOUND)
    bare = _bare(classifier, samples, targets, status, predicted, options)
    if not len(attacked):
        return bare

    posed = _posed(classifier, bare, attacked, facts)
    answer = METHODS[options.method](posed.subject.by(facts.slope), posed.priced, options, on_progress)
    columns = _changeable(bare)
    _put(columns, bare, attacked, posed, answer)
    return replace(bare, **columns)


def shortened(
    classifier: Classifier,
    result: SearchResult,
    at: I64,
    facts: SetFacts,
    options: SearchOptions,
    on_progress: OnProgress = silent,
    *,
    batch_size: int,
    begin: F32 | None = None,
) -> SearchResult:
    """Go on from the examples of the samples at positions ``at`` by decisions alone; what is nearer is kept.

    Whatever gradients and scores say has no part in it. ``begin`` are other points to go on from, ``[M, D]``;
    where there is none, and where it is NaN, samples are searched anew; ``batch_size`` of them at once.
    """
    begin = result.points[at] if begin is None else begin
    columns = _changeable(result)
    for start in range(0, len(at), batch_size):
        block = at[start : start + batch_size]
        posed = _posed(classifier, result, block, facts)
        points = begin[start : start + batch_size]
        points = points * classifier.cost if classifier.priced else points
        inside = within(on_progress, start, len(block), len(at))
        _put(columns, result, block, posed, shorten(posed.subject, posed.priced, options, points, inside))
    return replace(result, **columns)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Posed:
    """Samples as a problem: for the plain model, and for the model in units of what changes cost."""

    classifier: Classifier
    problem: Problem
    subject: Classifier
    priced: Problem


def _posed(classifier: Classifier, result: SearchResult, at: I64, facts: SetFacts) -> _Posed:
    problem = _problem(classifier, result, at, facts)
    priced = _priced(problem, classifier.cost) if classifier.priced else problem
    return _Posed(classifier=classifier, problem=problem, subject=in_costs(classifier), priced=priced)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Checked:
    """Points ``[B, D]`` of the box, which of them hold and the class that they are given, ``[B]``."""

    points: F32
    held: Mask
    decided: I64


def _changeable(result: SearchResult) -> dict[str, Any]:
    """The columns that a search may change, to be changed."""
    return {name: values.copy() for name, values in result.columns().items() if name not in _GIVEN}


def _put(columns: dict[str, Any], result: SearchResult, at: I64, posed: _Posed, answer: Answer) -> None:
    """Put what was answered for the samples at positions ``at`` of a result where it holds and is nearer."""
    classifier = posed.classifier
    new = _checked(posed, answer)
    lengths = {
        name: norm.distance(result.rows[at], new.points, classifier.features, classifier.cost)
        for name, norm in NORMS.items()
    }
    nearer = new.held & (lengths[result.norm] < result.distance[at])
    chosen, points = at[nearer], new.points[nearer]
    columns["adversarial"][chosen] = points.reshape(-1, *result.input.shape[1:])
    columns["status"][chosen] = Status.FOUND
    columns["predicted"][chosen] = new.decided[nearer]
    columns["confidence_after"][chosen] = _confidence(classifier, points)
    for name, length in lengths.items():
        columns[name][chosen] = length[nearer]
    # of a sample for which nothing was found too
    tells = nearer | ~np.isfinite(result.distance[at])
    columns["halfway"][at[tells]] = answer.halfway[tells]
    columns["starts_agreed"][at[tells]] = answer.agreed[tells]
    columns["gradient_evaluations"][at] += answer.gradient_evaluations
    columns["forward_evaluations"][at] += answer.forward_evaluations


def _bare(
    classifier: Classifier,
    samples: Samples,
    targets: I64,
    status: NDArray[np.str_],
    predicted: I64,
    options: SearchOptions,
) -> SearchResult:
    """What is known of samples before they are searched."""
    points = np.where((status == Status.ALREADY_WRONG)[:, None], samples.rows, np.float32(np.nan))
    shape, none = (len(samples), *classifier.input_shape), np.zeros(len(samples), np.int64)
    unknown = np.full(len(samples), np.nan)
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
        gradient_evaluations=none,
        forward_evaluations=none,
        halfway=unknown,
        starts_agreed=none,
        distance8=unknown,
        scale8=unknown,
        threshold8=unknown,
        norm=options.norm,
    )


def _problem(classifier: Classifier, result: SearchResult, at: I64, facts: SetFacts) -> Problem:
    rows = result.rows[at]
    lower, upper = classifier.bounds(rows)
    return Problem(
        rows=rows,
        label=result.label[at].astype(np.int32),
        target=result.target[at].astype(np.int32),
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


def _checked(posed: _Posed, answer: Answer) -> _Checked:
    """Check an answer with the plain model, and what does not hold a little further out."""
    classifier, problem = posed.classifier, posed.problem
    points = _unpriced(answer.point, posed.priced, problem, classifier.cost)
    held: Mask = np.zeros(len(points), bool)
    decided = problem.label.astype(np.int64)
    kept = points.copy()
    for further in (*_FURTHER, *(_STILL_FURTHER if classifier.votes else ())):
        todo = np.flatnonzero(~held & np.isfinite(points).all(axis=1))
        if not len(todo):
            break
        x = problem.rows[todo]
        there = x + np.float32(further) * (points[todo] - x) if further > 1 else points[todo]
        there = np.clip(there, problem.lower[todo], problem.upper[todo])
        holds, now = _holds(classifier, problem, todo, there)
        hold = todo[holds]
        held[hold], decided[hold], kept[hold] = True, now[holds], there[holds]
    return _Checked(points=kept, held=held, decided=decided)


def _holds(classifier: Classifier, problem: Problem, at: I64, there: F32) -> tuple[Mask, I64]:
    """Which points ``[M, D]`` of samples at these positions hold, and the class the plain model gives."""
    label, target = problem.label[at], problem.target[at]
    logits = logits_of(classifier, there)
    margin = numerics.adversarial_margin(logits, label, target)
    leads = margin >= numerics.needed_margin(logits, problem.relative, problem.absolute)
    batched = own_labels(classifier, there)
    singly = own_labels_singly(classifier, there)
    holds: Mask = leads & is_wanted(batched, label=label, target=target) & (batched == singly)
    if classifier.votes is not None and holds.any():
        holds[holds] = _most_err(classifier.votes, there[holds], label[holds], target[holds])
    return holds, batched


def _most_err(votes: Votes, rows: F32, label: I32, target: I32) -> Mask:
    """Where the wanted mistake has more draws of a random model than the label, by a test on fresh ones."""
    mistaken, voting = numerics.votes_for(votes.fresh(tf.constant(rows)).numpy(), label, target)
    chances = [
        binomial_tail(hits, n, 0.5) for hits, n in zip(mistaken.tolist(), voting.tolist(), strict=True)
    ]
    enough: Mask = np.array(chances) <= _LEVEL
    return enough


def _confidence(classifier: Classifier, rows: F32) -> F64:
    """Softmax probability of the prediction, ``[N]``; NaN for rows that are not finite."""
    confidence = np.full(len(rows), np.nan)
    there = np.isfinite(rows).all(axis=1)
    if there.any():
        z = logits_of(classifier, rows[there]).astype(np.float64)
        confidence[there] = 1.0 / np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)
    return confidence
