"""Minimal distortions of a user's arrays, here or on an executor."""

from __future__ import annotations

import tempfile
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robustcheck.arrays import I64
from robustcheck.config import DataRange, SearchOptions
from robustcheck.distortion._attack import attack, default_batch_size, require_batch_size
from robustcheck.distortion._facts import facts_of
from robustcheck.distortion._work import SearchSetup, ShardWork
from robustcheck.distribute import Futures, Lost, Task, work_off
from robustcheck.errors import ConfigError, DataRefused, Incomplete
from robustcheck.models import Classifier, Predictor, by_decisions
from robustcheck.progress import OnProgress, silent
from robustcheck.recipe import Recipe
from robustcheck.results import Joined, SampleExamples, SearchResult
from robustcheck.samples import Samples, as_samples
from robustcheck.search import STAGE
from robustcheck.text import brief, option


def minimal_distortion(
    classifier: Classifier | Predictor,
    x: Any,
    y: Any,
    targets: Any = None,
    *,
    options: SearchOptions | None = None,
    data_range: DataRange = None,
    batch_size: int | None = None,
    executor: Executor | None = None,
    on_progress: OnProgress | None = None,
) -> SearchResult:
    """Find for each sample the nearest input that the model misclassifies.

    Args:
        classifier: from :func:`robustcheck.wrap`; or from :func:`robustcheck.predictor`, for the method
            ``"decision"``.
        x: samples ``[N, *input_shape]``.
        y: labels ``[N]`` or one-hot; None = the model's own predictions.
        targets: class that each example is to be given, ``[N]`` or one for all; None = any other.
        options: how to search.
        data_range: stored values that are mapped to the box; by itself (0, 255) for uint8.
        batch_size: samples searched at once; chosen from the size of a sample when None.
        executor: searches each batch as a task of its own; any ``concurrent.futures.Executor``. The model is
            saved for it as Keras does that.
        on_progress: called now and then with ("search", samples done, samples in all); within a batch the
            samples done stand for the share of the work.

    Returns:
        One row a sample in input order. Distances are upper bounds of the true minimum.

    Raises:
        DataRefused: arrays that do not fit the model.
    """
    if batch_size is not None:
        require_batch_size(batch_size)
    options = options or SearchOptions()
    if not isinstance(classifier, Classifier):
        classifier = _by_decisions(classifier, options)
    samples = as_samples(classifier, x, y, data_range=data_range)
    wanted = _targets(targets, samples, classifier.classes)
    batch_size = batch_size or default_batch_size(classifier)
    if executor is not None:
        if not hasattr(executor, "submit"):
            raise ConfigError(f"executor: expected a concurrent.futures.Executor, got {brief(executor)}")
        work = ShardWork(
            model=classifier.name, samples=samples, targets=wanted, options=options, batch_size=batch_size
        )
        return _elsewhere(classifier, work, executor, on_progress or silent)
    return attack(
        classifier,
        samples,
        wanted,
        options=options,
        batch_size=batch_size,
        on_progress=on_progress or silent,
    )


def _by_decisions(predictor: Predictor, options: SearchOptions) -> Classifier:
    """A predictor, of which only a search by decisions can ask."""
    if options.method != "decision" and isinstance(predictor, Predictor):
        raise ConfigError(
            f"{predictor.name}: expected {option('method', 'decision')} for what decides and has no "
            f"gradient, got {options.method!r}"
        )
    # as_samples says what is wrong with anything else
    return by_decisions(predictor) if isinstance(predictor, Predictor) else predictor


def _targets(targets: Any, samples: Samples, classes: int) -> I64:
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


def _elsewhere(
    classifier: Classifier, whole: ShardWork, executor: Executor, on_progress: OnProgress
) -> SearchResult:
    """The same on an executor, a task a batch."""
    count = len(whole.samples)
    starts = range(0, count, whole.batch_size)
    tasks = [Task(start, partial(whole.take, start, start + whole.batch_size)) for start in starts]
    parts: dict[int, SampleExamples] = {}
    on_progress(STAGE, 0, count)
    with tempfile.TemporaryDirectory(prefix="robustcheck-") as scratch:
        recipe = Recipe.of_classifier(classifier).portable(Path(scratch))
        facts = {classifier.name: facts_of(classifier, whole.samples)}
        workers = Futures(SearchSetup(recipes={classifier.name: recipe}, facts=facts), executor)
        for start, part in work_off(tasks, workers, lambda *_: None):
            if isinstance(part, Lost):
                raise Incomplete(f"executor: samples {start} and on could not be searched: {part.reason}")
            parts[start] = part.examples
            on_progress(STAGE, sum(map(len, parts.values())), count)
    joined = Joined(count, whole.samples.rows.reshape(-1, *classifier.input_shape))
    for start in starts:
        joined.add(parts[start])
    return joined.result()
