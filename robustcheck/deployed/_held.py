"""Hold a form against the samples and the examples of the model that it is a form of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robustcheck.arrays import F32, F64, I64, Mask, blocks
from robustcheck.config import DeployedOptions, SearchOptions
from robustcheck.deployed._form import Form
from robustcheck.deployed._odd import another_reading
from robustcheck.distortion import SetFacts, shortened, spread
from robustcheck.errors import Incomplete
from robustcheck.measures import APART
from robustcheck.models import Classifier, Predictor, by_decisions, own_labels
from robustcheck.noise import moved
from robustcheck.norms import NORMS
from robustcheck.results import DeployedFacts, DeployedRows, SearchResult, Status
from robustcheck.text import percent

# multiples of a perturbation that a form is asked about, in this order, until it errs: an island of mistakes
# that lies between two of them is missed
_SCALES = (
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 1.0, 1.01, 1.02, 1.035,
    1.05, 1.075, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0,
)  # fmt: skip
# how precisely the multiple is located
_PRECISE = 0.0025
# samples that a form's own nearest examples are looked for, one in so many, and decisions asked for each
_SEARCHED, _ONE_IN, _DECISIONS = 8, 8, 500
# agreement below which it is asked why
_AGREES = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """What a form came to: what a report says of it, and a row a sample."""

    facts: DeployedFacts
    rows: DeployedRows


def hold(
    form: Form,
    subject: Classifier,
    result: SearchResult,
    facts: SetFacts,
    options: DeployedOptions,
    search: SearchOptions,
) -> Held:
    """Ask a form about samples, examples, and the way between them.

    It errs first where a scan of that way meets a mistake, located by bisection to 0.25 %: 18 to 40 decisions
    a sample. From there its own nearest examples are looked for on up to 8 samples.

    Args:
        form: what is deployed.
        subject: the audited model.
        result: what was found for it.
        facts: of all samples.
        options: how forms take samples.
        search: how the subject was searched.

    Raises:
        Incomplete: the form may not be asked about so many rows.
    """
    begun = time.perf_counter()
    clean = np.where(result.correct, result.label, result.predicted)
    predicted, ratio, points = _on_the_way(form.predictor, result)
    fooled = _fooled(form.predictor, result)
    finite = ~result.is_(Status.NON_FINITE)
    agreement = float(np.mean((predicted == clean)[finite]))
    notes = [*form.notes, *_odd(form, subject, options, result, ratio, agreement)]
    own = np.full(len(result), np.nan)
    try:
        own = _own(form.predictor, result, ratio, points, facts, search)
    except Incomplete as limit:
        notes.append(f"its own nearest examples were not looked for: {limit}")
    looked = np.isfinite(own)
    rows = DeployedRows(
        index=result.index,
        sample_id=result.sample_id,
        label=result.label,
        status=result.status,
        norm=result.norm,
        clean=clean,
        predicted=predicted,
        fooled=fooled,
        distance=np.where(result.found, result.distance, np.inf),
        ratio=ratio,
        mistake=_decided(form.predictor, points),
        own=own,
    )
    return Held(
        rows=rows,
        facts=DeployedFacts(
            name=form.name,
            path=form.path,
            sha256=form.sha256,
            runtime=form.runtime,
            types=form.types,
            notes=notes,
            searched=int(looked.sum()),
            own=float(np.median(own[looked])) if looked.any() else None,
            seconds=time.perf_counter() - begun,
        ),
    )


def _odd(
    form: Form,
    subject: Classifier,
    options: DeployedOptions,
    result: SearchResult,
    ratio: F64,
    agreement: float,
) -> list[str]:
    """What is odd of a form, and the flag that mends it where there is one."""
    if form.asked is not None and form.asked.unknown:
        share = percent(form.asked.unknown / form.asked.count)
        return [f"{share} of the rows that it was asked about got scores that are no numbers: it errs there"]
    apart = float(np.median(np.abs(ratio[result.found] - 1))) if result.found.any() else 0.0
    if agreement >= _AGREES and apart <= APART:
        return []
    why = another_reading(form, subject, options, result)
    if why is None and agreement < _AGREES:
        why = (
            f"it gives only {percent(agreement)} of the samples the class that {subject.name} gives them: is "
            "it a form of another model?"
        )
    return [] if why is None else [why]


def _decided(predictor: Predictor, points: F32) -> I64:
    """Decisions on points ``[N, D]``, -1 where there is none."""
    decided = np.full(len(points), -1, np.int64)
    there: Mask = np.asarray(np.isfinite(points).all(axis=1))
    for block in blocks(there):
        decided[block] = own_labels(predictor, points[block])
    return decided


def _fooled(predictor: Predictor, result: SearchResult) -> I64:
    """1 where the example is the wanted mistake of the form, 0 where not, -1 where there is none, ``[N]``."""
    fooled = np.full(len(result), -1)
    for block in blocks(result.found):
        fooled[block] = _errs(predictor, result, block, result.points[block])
    return fooled


def _errs(predictor: Predictor, result: SearchResult, at: I64, points: F32) -> Mask:
    """Which points ``[M, D]`` are the mistake wanted of the samples at these positions."""
    return result.reached(own_labels(predictor, points), at)


def _on_the_way(predictor: Predictor, result: SearchResult) -> tuple[I64, F64, F32]:
    """Decisions on the samples, where each errs first in shares of the distance, and the point there."""
    predicted, ratio = np.full(len(result), -1, np.int64), np.full(len(result), np.nan)
    points = np.full_like(result.rows, np.nan)
    for block in blocks(~result.is_(Status.NON_FINITE)):
        predicted[block] = own_labels(predictor, result.rows[block])
        at = block[result.found[block]]
        if len(at):
            ratio[at], points[at] = _first_mistake(predictor, result, at, predicted[at])
    return predicted, ratio, points


def _first_mistake(predictor: Predictor, result: SearchResult, at: I64, predicted: I64) -> tuple[F64, F32]:
    """Of the samples at these positions: ratio of lengths ``[M]``, and points ``[M, D]``."""
    x, r = result.rows[at], result.points[at] - result.rows[at]

    def there(which: I64, scale: F64) -> F32:
        return moved(predictor, x[which], scale[:, None].astype(np.float32) * r[which])

    def errs(which: I64, scale: F64) -> Mask:
        return _errs(predictor, result, at[which], there(which, scale))

    scale = _bisected(errs, _scanned(errs, result.reached(predicted, at)))
    reached = np.isfinite(scale)
    points = np.full_like(x, np.nan)
    points[reached] = there(np.flatnonzero(reached), scale[reached])
    lengths = NORMS[result.norm].distance(x, points, predictor.features, predictor.cost)
    # what the box stops is shorter than its multiple says
    ratio = np.where(reached, lengths / result.distance[at], np.inf)
    return np.where(scale == 0, 0.0, ratio), points


def _scanned(errs: Callable[[I64, F64], Mask], on_clean: Mask) -> tuple[F64, F64]:
    """The multiples between which each errs first: right at one, wrong at the other, ``[M]`` twice."""
    low, high = np.zeros(len(on_clean)), np.where(on_clean, 0.0, np.inf)
    for scale in _SCALES:
        todo = np.flatnonzero(np.isinf(high))
        if not len(todo):
            break
        wrong = errs(todo, np.full(len(todo), scale))
        high[todo[wrong]], low[todo[~wrong]] = scale, scale
    return low, high


def _bisected(errs: Callable[[I64, F64], Mask], between: tuple[F64, F64]) -> F64:
    """The upper ends, brought to the lower ones within 1 %."""
    low, high = between
    while True:
        with np.errstate(invalid="ignore"):
            todo = np.flatnonzero(np.isfinite(high) & (high - low > _PRECISE * high))
        if not len(todo):
            return high
        middle = 0.5 * (low[todo] + high[todo])
        wrong = errs(todo, middle)
        high[todo[wrong]], low[todo[~wrong]] = middle[wrong], middle[~wrong]


def _own(
    predictor: Predictor,
    result: SearchResult,
    ratio: F64,
    points: F32,
    facts: SetFacts,
    search: SearchOptions,
) -> F64:
    """Lengths of the form's own nearest examples over the distances, ``[N]``; NaN where not looked for."""
    own = np.full(len(result), np.nan)
    there = np.flatnonzero(np.isfinite(ratio) & (ratio > 0))
    at = spread(there, min(_SEARCHED, -(-len(there) // _ONE_IN)))
    if not len(at):
        return own
    known = result.take(at)
    # from where it errs first; the model's own examples are none of the form's
    lengths: dict[str, Any] = {
        name: norm.distance(known.rows, points[at], predictor.features, predictor.cost)
        for name, norm in NORMS.items()
    }
    begun = replace(known, adversarial=points[at].reshape(known.adversarial.shape), **lengths)
    walk = replace(search, method="decision", budget=_DECISIONS, norm=result.norm)
    here = np.arange(len(at))
    found = shortened(by_decisions(predictor), begun, here, facts, walk, batch_size=len(at))
    own[at] = found.distance / known.distance
    return own
