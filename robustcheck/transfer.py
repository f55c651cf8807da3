"""Who is fooled by whose examples, and by how much more than chance.

For every pair of models: the error of one (column) on the examples made for the other (row). Beside it stand
what would have been wrong anyway, on the clean samples and on noise of the same size, and the same at one
size for all rows: minimal examples of different models differ in size, and larger ones fool more (Szegedy et
al. 2013, section 4.2, tables 2 and 4).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck import measures
from robustcheck.config import DataRange, SearchOptions, TransferOptions
from robustcheck.distortion import attack, default_batch_size
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.models import Classifier, own_labels
from robustcheck.results import EqualDistortion, ScalePoint, SearchResult, TransferMatrix, TransferRow
from robustcheck.samples import Samples, as_samples

Floats = NDArray[np.float32]

# scales of the perturbations that the curve of a row goes through
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


def transfer_matrix(
    models: Mapping[str, Classifier],
    x: Any,
    y: Any,
    results: Mapping[str, SearchResult] | None = None,
    *,
    options: SearchOptions | None = None,
    transfer: TransferOptions | None = None,
    data_range: DataRange = None,
) -> TransferMatrix:
    """Error of every model on the minimal examples made for every other.

    Args:
        models: classifiers by name, at least one; the first is the subject.
        x, y: samples and labels as :func:`robustcheck.minimal_distortion` takes them.
        results: what was found already for some of the models on the same samples; the others are
            searched.
        options: how to search.
        transfer: sizes for the comparison at equal distortion, and draws of noise.
        data_range: stored values that are mapped to the box.

    Returns:
        A square matrix; each row over the samples with an example for the row's model.

    Raises:
        ModelRefused: models whose inputs, boxes or classes differ.
        DataRefused: results of other samples, or with examples that do not fool their model.
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
    return cross_errors(models, samples, known, transfer or TransferOptions())


def split_halves(y: Any, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two disjoint halves of a training set with as many samples of each class, give or take one.

    For models that differ in nothing but their training samples (Szegedy et al. 2013, tables 3 and 4).

    Args:
        y: class numbers ``[N]``.
        seed: of the shuffle.

    Returns:
        Indices of the first and of the second half, each in ascending order; together all of ``range(N)``.
    """
    label = np.asarray(y)
    if label.ndim != 1 or len(label) < 2:
        raise DataRefused(f"labels: expected at least two class numbers [N], got shape {label.shape}")
    draw = np.random.default_rng(seed)
    # shuffled, then sorted by class and dealt to the halves in turn: no class is off by more than one
    shuffled = draw.permutation(len(label))
    by_class = shuffled[np.argsort(label[shuffled], kind="stable")]
    return np.sort(by_class[::2]), np.sort(by_class[1::2])


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
            (box, "the box", subject.box, other.box),
        ):
            if not same:
                raise ModelRefused(
                    f"reference {name!r}: expected {what} {want} as {subject.name!r} has, got {got}"
                )


def cross_errors(
    models: Mapping[str, Classifier],
    samples: Samples,
    results: Mapping[str, SearchResult],
    options: TransferOptions,
    on_row: Callable[[int, int], None] | None = None,
) -> TransferMatrix:
    """The matrix from results that are there, rows in the order of ``models``, for those with a result.

    ``on_row`` is called with the rows done, of every size asked for, and how many there will be.
    """
    clean = {name: own_labels(one, np.nan_to_num(samples.rows)) for name, one in models.items()}
    wrong = {name: label != samples.label for name, label in clean.items()}
    made = [_Made.of(name, models, samples, results[name], wrong) for name in models if name in results]
    done, total = itertools.count(1), len(made) * (1 + len(options.rms))
    tell = on_row or (lambda *_: None)
    tell(0, total)

    def told(row: TransferRow) -> TransferRow:
        tell(next(done), total)
        return row

    return TransferMatrix(
        models=list(models),
        clean_error=[float(np.mean(wrong[name][samples.finite])) for name in models],
        rows=[told(_minimal_row(one, options)) for one in made],
        equal=[
            EqualDistortion(rms=rms, rows=[told(_row(one, one.magnified(rms), options)) for one in made])
            for rms in options.rms
        ],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """The examples made for one model: ``n`` samples ``x`` and perturbations ``r``, ``[n, D]``.

    ``wrong`` holds for each model which of the clean samples it gets wrong, ``[n]``.
    """

    name: str
    models: Mapping[str, Classifier]
    x: Floats
    r: NDArray[np.float64]
    label: NDArray[np.int64]
    wrong: Mapping[str, NDArray[np.bool_]]
    lower: Floats
    upper: Floats

    @staticmethod
    def of(
        name: str,
        models: Mapping[str, Classifier],
        samples: Samples,
        result: SearchResult,
        wrong: Mapping[str, NDArray[np.bool_]],
    ) -> _Made:
        found = result.found
        x = samples.rows[found]
        lower, upper = models[name].bounds(x)
        return _Made(
            name=name,
            models=models,
            x=x,
            r=result.adversarial[found].reshape(x.shape).astype(np.float64) - x,
            label=samples.label[found],
            wrong={one: mask[found] for one, mask in wrong.items()},
            lower=lower,
            upper=upper,
        )

    @property
    def features(self) -> int:
        """How many features the RMS runs over."""
        return self.models[self.name].features

    def at(self, r: NDArray[np.float64]) -> Floats:
        """The samples with a perturbation, clipped to the box, ``[n, D]``."""
        moved: Floats = np.clip((self.x + r).astype(np.float32), self.lower, self.upper)
        return moved

    def magnified(self, rms: float) -> NDArray[np.float64]:
        """The perturbations at one RMS: ``rms * sqrt(features) * r / |r|``, before clipping."""
        magnified: NDArray[np.float64] = self.r * (rms * np.sqrt(self.features) / _length(self.r))
        return magnified

    def noise(self, length: NDArray[np.float64], seed: tuple[int, int]) -> NDArray[np.float64]:
        """Gaussian noise of the given lengths ``[n, 1]`` in the features that may change."""
        drawn = np.random.default_rng(seed).standard_normal(self.r.shape) * self.models[self.name].free
        noise: NDArray[np.float64] = drawn * (length / _length(drawn))
        return noise

    def rms(self, at: Floats) -> float:
        """Mean RMS of perturbed samples."""
        return float(np.mean(_length(at.astype(np.float64) - self.x)) / np.sqrt(self.features))

    def fooled(self, at: Floats) -> dict[str, NDArray[np.bool_]]:
        """Which perturbed samples each model gets wrong."""
        return {name: own_labels(one, at) != self.label for name, one in self.models.items()}


def _length(r: NDArray[np.float64]) -> NDArray[np.float64]:
    length: NDArray[np.float64] = np.linalg.norm(r, axis=1, keepdims=True)
    return np.maximum(length, np.finfo(np.float64).tiny)


def _minimal_row(made: _Made, options: TransferOptions) -> TransferRow:
    """The row of the examples as they were found, with its curve."""
    row = _row(made, made.r, options)
    if not row.n:
        return row
    own = list(made.models).index(made.name)
    if row.error[own] != 1.0:
        raise DataRefused(
            f"results of {made.name!r}: expected examples that all fool {made.name!r}, got "
            f"{row.errors[own]} of {row.n}: are they another model's?"
        )
    curve = []
    for scale in SCALES:
        at = made.at(scale * made.r)
        rates = [float(np.mean(one)) for one in made.fooled(at).values()]
        curve.append(ScalePoint(scale=scale, rms=made.rms(at), error=rates))
    return replace(row, curve=curve)


def _row(made: _Made, r: NDArray[np.float64], options: TransferOptions) -> TransferRow:
    """What perturbations ``r`` of the samples of one model do to every model."""
    n, names = len(r), list(made.models)
    if n == 0:
        return TransferRow.empty(made.name, len(names))
    at = made.at(r)
    fooled = made.fooled(at)
    clean = [float(np.mean(made.wrong[name])) for name in names]
    shares = [measures.share(int(fooled[name].sum()), n) for name in names]
    error = [float(np.mean(fooled[name])) for name in names]
    noises = [made.at(made.noise(_length(r), (options.seed, draw))) for draw in range(options.draws)]
    by_noise = [made.fooled(noise) for noise in noises]
    right = {name: ~made.wrong[name] for name in names}
    return TransferRow(
        made_for=made.name,
        n=n,
        rms=made.rms(at),
        clean_error=list(clean),
        errors=[int(fooled[name].sum()) for name in names],
        error=list(error),
        low=[one.low for one in shares],
        high=[one.high for one in shares],
        excess=[after - before for after, before in zip(error, clean, strict=True)],
        right=[int(right[name].sum()) for name in names],
        error_of_right=[
            float(np.mean(fooled[name][right[name]])) if right[name].any() else None for name in names
        ],
        noise_rms=float(np.mean([made.rms(noise) for noise in noises])),
        noise_error=[float(np.mean([one[name] for one in by_noise])) for name in names],
    )
