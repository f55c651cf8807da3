"""Minimal distortions: cut samples into batches, search each, check every answer, join.

The one batch loop. What the search claims is checked here with the plain model: the example is clipped to
the box in float32, classified in a batch, classified as a batch of one, classified by the model's own head,
and measured again in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck import numerics
from robustcheck.config import DataRange, SearchOptions
from robustcheck.errors import ConfigError, DataRefused, Interrupted
from robustcheck.models import Classifier, logits_of, own_labels, own_labels_singly
from robustcheck.results import SearchResult, Status, sample_ids
from robustcheck.samples import Samples, as_samples
from robustcheck.search import Others, Problem, search

OnProgress = Callable[[int, int], None]

# float32 rounding between batch sizes, as a share of the largest logit
_ROUNDING = 4e-6
# samples that the spread between a batch and batches of one is measured on, and the factor of safety
_SPREAD_SAMPLES, _SPREAD_SAFETY = 32, 4.0
# samples that searches may start from on the misclassified side
_OTHERS = 256


def minimal_distortion(
    classifier: Classifier,
    x: Any,
    y: Any,
    targets: Any = None,
    *,
    options: SearchOptions | None = None,
    data_range: DataRange = None,
    batch_size: int | None = None,
    on_progress: OnProgress | None = None,
) -> SearchResult:
    """Find for each sample the nearest input that the model misclassifies.

    Args:
        classifier: from :func:`robustcheck.wrap`.
        x: samples ``[N, *input_shape]``.
        y: labels ``[N]`` or one-hot; None = the model's own predictions.
        targets: class that each example is to be given, ``[N]`` or one for all; None = any other.
        options: how to search.
        data_range: stored values that are mapped to the box; by itself (0, 255) for uint8.
        batch_size: samples searched at once; chosen from the size of a sample when None.
        on_progress: called now and then with (samples done, samples in all); within a batch the samples done
            stand for the share of the work.

    Returns:
        One row a sample in input order. Distances are upper bounds of the true minimum.

    Raises:
        DataRefused: arrays that do not fit the model.
    """
    if batch_size is not None:
        require_batch_size(batch_size)
    samples = as_samples(classifier, x, y, data_range=data_range)
    wanted = _targets(targets, samples, classifier.classes)
    return attack(
        classifier,
        samples,
        wanted,
        options=options or SearchOptions(),
        batch_size=batch_size or default_batch_size(classifier),
        on_progress=on_progress,
    )


def require_batch_size(batch_size: int) -> None:
    """Refuse a batch size that is not a whole number of at least 1."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ConfigError(f"batch_size: expected a whole number of at least 1, got {batch_size!r}")


def default_batch_size(classifier: Classifier) -> int:
    """Samples searched at once so that the search's own arrays stay within a few hundred megabytes."""
    most = 200_000 // classifier.layout.width
    return int(np.clip(2 ** int(np.log2(max(most, 1))), 1, 256))


def attack(
    classifier: Classifier,
    samples: Samples,
    targets: NDArray[np.int64],
    *,
    options: SearchOptions,
    batch_size: int,
    among: Samples | None = None,
    on_progress: OnProgress | None = None,
) -> SearchResult:
    """:func:`minimal_distortion` on checked samples; ``targets`` ``[N]``, -1 = any other class.

    ``among``: the samples that these were taken from; some of them are where searches start, and what the
    model's rounding is measured on.

    Raises:
        Interrupted: Ctrl-C after the first batch; with the rows that are done.
    """
    relative = measured_rounding(classifier, among or samples)
    others = _others(classifier, among or samples)
    # the inputs are there already; what else is joined is filled as it comes, so that nothing is held twice
    joined: dict[str, NDArray[Any]] = {"input": samples.rows.reshape(-1, *classifier.input_shape)}
    told = on_progress or (lambda *_: None)
    told(0, len(samples))
    done = 0
    try:
        for start in range(0, len(samples), batch_size):
            chosen = np.arange(start, min(start + batch_size, len(samples)))
            part, wanted = samples.take(chosen), targets[chosen]
            share = _by_share(told, start, len(chosen), len(samples))
            ask = partial(_problem, classifier, relative, others, share)
            found = _attack_batch(classifier, part, wanted, ask, options, batch_size)
            for name, values in vars(found).items():
                whole = joined.setdefault(name, np.empty((len(samples), *values.shape[1:]), values.dtype))
                whole[chosen] = values
            done = int(chosen[-1]) + 1
            told(done, len(samples))
    except KeyboardInterrupt as stop:
        if not done:
            raise
        raise Interrupted(SearchResult(**{name: one[:done] for name, one in joined.items()})) from stop
    return SearchResult(**joined)


def measured_rounding(classifier: Classifier, samples: Samples) -> float:
    """How far a logit moves with the batch size, as a share of the largest; at least float32's rounding.

    Measured on up to 32 finite samples: models in half precision need a larger lead than others.
    """
    rows = samples.rows[samples.finite][:_SPREAD_SAMPLES]
    together = logits_of(classifier, rows)
    alone = logits_of(classifier, rows, batch_size=1)
    largest = np.maximum(np.abs(together).max(axis=1), np.finfo(np.float32).tiny)
    spread = float(np.max(np.abs(together - alone).max(axis=1) / largest))
    return max(_ROUNDING, _SPREAD_SAFETY * spread)


def _targets(targets: Any, samples: Samples, classes: int) -> NDArray[np.int64]:
    if targets is None:
        return np.full(len(samples), -1, np.int64)
    wanted = np.asarray(targets)
    if wanted.dtype.kind not in "iu" or wanted.shape not in ((), (len(samples),)):
        raise DataRefused(
            f"targets: expected one class or {len(samples)} of them, got {wanted.dtype} of shape "
            f"{wanted.shape}"
        )
    wanted = np.broadcast_to(wanted, len(samples)).astype(np.int64)
    if wanted.min() < 0 or wanted.max() >= classes:
        raise DataRefused(
            f"targets: expected classes 0 to {classes - 1}, got {wanted.min()} to {wanted.max()}"
        )
    same = int(np.sum(wanted == samples.label))
    if same:
        raise DataRefused(f"targets: expected another class than the label, got the label for {same} samples")
    return wanted


def _attack_batch(
    classifier: Classifier,
    samples: Samples,
    targets: NDArray[np.int64],
    ask: Callable[[Samples, NDArray[np.int64]], Problem],
    options: SearchOptions,
    batch_size: int,
) -> SearchResult:
    status = np.full(len(samples), Status.NON_FINITE, dtype="<U13")
    predicted = np.full(len(samples), -1, np.int64)
    finite = samples.finite
    if finite.any():
        predicted[finite] = own_labels(classifier, samples.rows[finite], batch_size=batch_size)
    status[finite] = np.where(predicted == samples.label, Status.NOT_FOUND, Status.ALREADY_WRONG)[finite]

    points = np.full_like(samples.rows, np.nan)
    points[status == Status.ALREADY_WRONG] = samples.rows[status == Status.ALREADY_WRONG]
    gradients, forwards, agreed = np.zeros((3, len(samples)), np.int64)
    halfway = np.full(len(samples), np.nan)
    attacked = np.flatnonzero(status == Status.NOT_FOUND)
    if len(attacked):
        problem = ask(samples.take(attacked), targets[attacked])
        answer = search(classifier, problem, options)
        held, now = _verify(classifier, problem, answer.point, batch_size)
        points[attacked[held]] = np.clip(answer.point, problem.lower, problem.upper)[held]
        status[attacked[held]] = Status.FOUND
        predicted[attacked[held]] = now[held]
        gradients[attacked], forwards[attacked] = answer.gradient_evaluations, answer.forward_evaluations
        halfway[attacked], agreed[attacked] = answer.halfway, answer.agreed
    before, after = (_confidence(classifier, rows, batch_size) for rows in (samples.rows, points))
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
        confidence_before=before,
        confidence_after=after,
        **_norms(samples.rows, points, classifier.features),
        gradient_evaluations=gradients,
        forward_evaluations=forwards,
        l2_halfway=halfway,
        starts_agreed=agreed,
    )


def _others(classifier: Classifier, samples: Samples) -> Others:
    """Up to 256 of all the samples, evenly spread over them, with the model's own decisions."""
    rows = samples.rows[samples.finite]
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _OTHERS).astype(int))]
    return Others(rows=rows, label=own_labels(classifier, rows))


def _by_share(told: OnProgress, start: int, count: int, total: int) -> Callable[[float], None]:
    """Progress within a batch, as if its samples were done one after the other."""
    return lambda share: told(start + int(min(share, 1.0) * (count - 1)), total)


def _problem(
    classifier: Classifier,
    relative: float,
    others: Others,
    on_share: Callable[[float], None],
    samples: Samples,
    targets: NDArray[np.int64],
) -> Problem:
    lower, upper = classifier.bounds(samples.rows)
    return Problem(
        rows=samples.rows,
        label=samples.label.astype(np.int32),
        target=targets.astype(np.int32),
        lower=lower,
        upper=upper,
        relative=relative,
        absolute=classifier.rounding,
        others=others,
        on_share=on_share,
    )


def _verify(
    classifier: Classifier, problem: Problem, points: NDArray[np.float32], batch_size: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which points hold, ``[B]``, and the class that the plain model gives them, ``[B]``."""
    held: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    now = problem.label.astype(np.int64)
    if not held.any():
        return held, now
    there = np.clip(points, problem.lower, problem.upper)[held]
    logits = tf.constant(logits_of(classifier, there, batch_size=batch_size))
    margin = numerics.adversarial_margin(
        logits, tf.constant(problem.label[held]), tf.constant(problem.target[held])
    )
    leads = (margin >= numerics.needed_margin(logits, problem.relative, problem.absolute)).numpy()
    batched = own_labels(classifier, there, batch_size=batch_size)
    singly = own_labels_singly(classifier, there, batch_size=batch_size)
    target, label = problem.target[held], problem.label[held]
    reached = np.where(target >= 0, batched == target, batched != label)
    now[held] = batched
    held[held] = leads & reached & (batched == singly)
    return held, now


def _confidence(classifier: Classifier, rows: NDArray[np.float32], batch_size: int) -> NDArray[np.float64]:
    """Softmax probability of the prediction, ``[N]``; NaN for rows that are not finite."""
    confidence = np.full(len(rows), np.nan)
    there = np.isfinite(rows).all(axis=1)
    if there.any():
        z = logits_of(classifier, rows[there], batch_size=batch_size).astype(np.float64)
        confidence[there] = 1.0 / np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)
    return confidence


def _norms(
    rows: NDArray[np.float32], points: NDArray[np.float32], features: int
) -> dict[str, NDArray[np.float64]]:
    """Norms of ``points - rows`` in float64, each ``[N]``; infinite where there is no point."""
    there = np.isfinite(points).all(axis=1) & np.isfinite(rows).all(axis=1)
    r = np.abs(points[there].astype(np.float64) - rows[there])
    l2 = np.sqrt(np.sum(r * r, axis=1))
    found = {"l2": l2, "rms": l2 / np.sqrt(features), "linf": r.max(axis=1), "l1": r.sum(axis=1)}
    found["l0"] = np.count_nonzero(r, axis=1).astype(np.float64)
    norms = {name: np.full(len(rows), np.inf) for name in found}
    for name, values in found.items():
        norms[name][there] = values
    return norms
