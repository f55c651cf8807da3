"""Who is fooled by whose examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.config import DataRange, SearchOptions
from robustcheck.distortion import attack, default_batch_size
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.models import Classifier, own_labels
from robustcheck.results import SearchResult, TransferMatrix, TransferRow
from robustcheck.samples import Samples, as_samples


def transfer_matrix(
    models: Mapping[str, Classifier],
    x: Any,
    y: Any,
    results: Mapping[str, SearchResult] | None = None,
    *,
    options: SearchOptions | None = None,
    data_range: DataRange = None,
) -> TransferMatrix:
    """Error of every model on the minimal examples made for every other.

    Args:
        models: classifiers by name, at least one; the first is the subject.
        x, y: samples and labels as :func:`robustcheck.minimal_distortion` takes them.
        results: what was found already for some of the models on the same samples; the others are
            searched.
        options: how to search.
        data_range: stored values that are mapped to the box.

    Returns:
        A square matrix; each row over the samples with an example for the row's model.

    Raises:
        ModelRefused: models whose inputs, boxes or classes differ.
    """
    if not models:
        raise ConfigError("models: expected at least one, got none")
    subject = next(iter(models.values()))
    require_comparable(models)
    samples = as_samples(subject, x, y, data_range=data_range)
    known = dict(results or {})
    for name, result in known.items():
        _require_same_samples(name, result, samples)
    untargeted = np.full(len(samples), -1, np.int64)
    for name, classifier in models.items():
        if name not in known:
            known[name] = attack(
                classifier,
                samples,
                untargeted,
                options=options or SearchOptions(),
                batch_size=default_batch_size(classifier),
            )
    return cross_errors(models, samples, known)


def _require_same_samples(name: str, result: SearchResult, samples: Samples) -> None:
    same = len(result) == len(samples) and np.array_equal(result.label, samples.label)
    if not same or not np.array_equal(result.input.reshape(samples.rows.shape), samples.rows, equal_nan=True):
        raise DataRefused(
            f"results of {name!r}: expected those of the {len(samples)} samples given, got {len(result)} of "
            "others"
        )


def require_comparable(models: Mapping[str, Classifier]) -> None:
    """Refuse models that cannot take each other's examples."""
    subject = next(iter(models.values()))
    for name, other in models.items():
        width = subject.layout.width == other.layout.width
        box = width and all(
            np.array_equal(mine, its)
            for mine, its in ((subject.lower, other.lower), (subject.upper, other.upper))
        )
        for same, what, want, got in (
            (width, "inputs of shape", subject.input_shape, other.input_shape),
            (subject.classes == other.classes, "classes", subject.classes, other.classes),
            (box, "the box", subject.box.describe(), other.box.describe()),
        ):
            if not same:
                raise ModelRefused(
                    f"reference {name!r}: expected {what} {want} as {subject.name!r} has, got {got}"
                )


def cross_errors(
    models: Mapping[str, Classifier], samples: Samples, results: Mapping[str, SearchResult]
) -> TransferMatrix:
    """The matrix from results that are there, rows in the order of ``models``, for those with a result."""
    clean = {name: own_labels(one, np.nan_to_num(samples.rows)) for name, one in models.items()}
    wrong = {name: label != samples.label for name, label in clean.items()}
    rows = [_row(name, models, samples, results[name], wrong) for name in models if name in results]
    return TransferMatrix(
        models=list(models),
        clean_error=[float(np.mean(wrong[name][samples.finite])) for name in models],
        rows=rows,
    )


def _row(
    made_for: str,
    models: Mapping[str, Classifier],
    samples: Samples,
    result: SearchResult,
    wrong: Mapping[str, NDArray[np.bool_]],
) -> TransferRow:
    found = result.found
    n = int(found.sum())
    if n == 0:
        nothing: list[float | None] = [None] * len(models)
        return TransferRow(
            made_for=made_for, n=0, rms=None, clean_error=nothing, error=nothing, excess=nothing
        )
    examples = result.adversarial[found].reshape(n, -1)
    label = samples.label[found]
    error = [float(np.mean(own_labels(one, examples) != label)) for one in models.values()]
    clean = [float(np.mean(wrong[name][found])) for name in models]
    return TransferRow(
        made_for=made_for,
        n=n,
        rms=float(result.rms[found].mean()),
        clean_error=list(clean),
        error=list(error),
        excess=[after - before for after, before in zip(error, clean, strict=True)],
    )
