"""Minimal distortions: cut samples into batches, search each, join. The one batch loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from robustcheck.arrays import I64
from robustcheck.config import SearchOptions
from robustcheck.distortion._facts import SetFacts, facts_of
from robustcheck.distortion._range import search_range
from robustcheck.errors import ConfigError, Incomplete, SearchInterrupted, one_line
from robustcheck.interrupts import deferred
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress, silent, within
from robustcheck.results import Joined, SearchResult
from robustcheck.samples import Samples
from robustcheck.search import STAGE

# what a batch raises that does not fit into memory
_NO_ROOM = (tf.errors.ResourceExhaustedError, MemoryError)
# bytes that a batch may take, and samples of it at most
_ROOM, _MOST_AT_ONCE = 2**31, 256


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
