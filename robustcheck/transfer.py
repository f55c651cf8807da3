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
from typing import Any, TypeAlias

import numpy as np

from robustcheck import measures
from robustcheck.arrays import F32, F64, I64, Mask, slices
from robustcheck.config import DataRange, SearchOptions, TransferOptions
from robustcheck.distortion import attack, default_batch_size
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.models import Classifier, Predictor, own_labels
from robustcheck.noise import directions, moved
from robustcheck.progress import OnProgress, silent
from robustcheck.results import (
    EqualDistortion,
    ScalePoint,
    SearchResult,
    TransferMatrix,
    TransferRow,
    sample_ids,
)
from robustcheck.samples import Samples, as_samples

# other perturbations in place of those found, [B, D] -> [B, D]
Change: TypeAlias = Callable[[F64], F64]

# what progress is told under
STAGE = "transfer"

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
    searched = {result.norm for result in known.values()}
    searched |= {(options or SearchOptions()).norm} if len(known) < len(models) else set()
    if len(searched) > 1:
        raise ConfigError(
            f"results: expected examples made in one norm, got {sorted(searched)}: their rates do not compare"
        )
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


def split_halves(y: Any, *, seed: int = 0) -> tuple[I64, I64]:
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
    same = np.array_equal(result.label, samples.label)
    if not same or not np.array_equal(result.sample_id, sample_ids(samples.rows)):
        raise DataRefused(
            f"results of {name!r}: expected those of the {len(samples)} samples given, got {len(result)} of "
            "others"
        )


def require_comparable(models: Mapping[str, Predictor]) -> None:
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
            (width and np.array_equal(subject.cost, other.cost), "the costs", "that", "others"),
        ):
            if not same:
                raise ModelRefused(
                    f"reference {name!r}: expected {what} {want} as {subject.name!r} has, got {got}"
                )


def cross_errors(
    models: Mapping[str, Predictor],
    samples: Samples,
    results: Mapping[str, SearchResult],
    options: TransferOptions,
    on_progress: OnProgress = silent,
) -> TransferMatrix:
    """The matrix from results that are there, rows in the order of ``models``, for those with a result.

    Samples go through in blocks, so that no array of all of them is made besides those given.
    ``on_progress`` is told the rows done, of every size asked for.
    """
    wrong = {name: _clean_errors(classifier, samples) for name, classifier in models.items()}
    made = [_Made.of(name, models, samples, results[name], wrong) for name in models if name in results]
    done, total = itertools.count(1), len(made) * (1 + len(options.rms))
    on_progress(STAGE, 0, total)

    def counted(row: TransferRow) -> TransferRow:
        on_progress(STAGE, next(done), total)
        return row

    return TransferMatrix(
        models=list(models),
        clean_error=[float(np.mean(wrong[name][samples.finite])) for name in models],
        rows=[counted(_minimal_row(examples, options)) for examples in made],
        equal=[
            EqualDistortion(
                rms=rms, rows=[counted(_row(examples, examples.magnified(rms), options)) for examples in made]
            )
            for rms in options.rms
        ],
    )


def _clean_errors(predictor: Predictor, samples: Samples) -> Mask:
    """Which samples a model gets wrong, ``[N]``."""
    decided = [own_labels(predictor, np.nan_to_num(samples.rows[at])) for at in slices(len(samples))]
    wrong: Mask = np.concatenate(decided) != samples.label
    return wrong


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tried:
    """Perturbed samples: their distance after clipping ``[n]``, and by model which it gets wrong, ``[n]``."""

    length: F64
    wrong: Mapping[str, Mask]

    def rms(self, features: int) -> float:
        """Mean RMS."""
        return float(np.mean(self.length) / np.sqrt(features))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """The examples made for one model.

    Attributes:
        name: the model.
        models: those that they are tried on.
        rows, points: all samples and their examples, ``[N, D]``; neither is copied.
        found: positions of those that have one, ``[n]``.
        label: of these, ``[n]``.
        wrong: for each model which of the clean samples it gets wrong, ``[n]``.
    """

    name: str
    models: Mapping[str, Predictor]
    rows: F32
    points: F32
    found: I64
    label: I64
    wrong: Mapping[str, Mask]

    @staticmethod
    def of(
        name: str,
        models: Mapping[str, Predictor],
        samples: Samples,
        result: SearchResult,
        wrong: Mapping[str, Mask],
    ) -> _Made:
        found = np.flatnonzero(result.found)
        return _Made(
            name=name,
            models=models,
            rows=samples.rows,
            points=result.points,
            found=found,
            label=samples.label[found],
            wrong={other: mask[found] for other, mask in wrong.items()},
        )

    def __len__(self) -> int:
        return len(self.found)

    @property
    def model(self) -> Predictor:
        """That they were made for."""
        return self.models[self.name]

    def tried(self, changed: Change) -> _Tried:
        """The samples with their perturbations changed, on every model."""
        length = np.zeros(len(self))
        wrong = {name: np.zeros(len(self), bool) for name in self.models}
        for block in slices(len(self)):
            x = self.rows[self.found[block]]
            at = moved(self.model, x, changed(self.points[self.found[block]].astype(np.float64) - x))
            length[block] = self.length(at.astype(np.float64) - x)[:, 0]
            for name, classifier in self.models.items():
                wrong[name][block] = own_labels(classifier, at) != self.label[block]
        return _Tried(length=length, wrong=wrong)

    def length(self, r: F64) -> F64:
        """What perturbations cost in L2, ``[B, 1]``."""
        length: F64 = np.linalg.norm(r * self.model.cost, axis=1, keepdims=True)
        return np.maximum(length, np.finfo(np.float64).tiny)

    def magnified(self, rms: float) -> Change:
        """All perturbations at one RMS: ``rms * sqrt(features) * r / |r|``, before clipping."""
        return lambda r: r * (rms * np.sqrt(self.model.features) / self.length(r))

    def noise(self, changed: Change, seed: tuple[int, int]) -> Change:
        """Gaussian noise as long as the changed perturbations, in the features that may change."""
        draw = np.random.default_rng(seed)
        return lambda r: self.length(changed(r)) * directions(draw, self.model, len(r), np.float64)


def _unchanged(r: F64) -> F64:
    return r


def _scaled(scale: float) -> Change:
    return lambda r: scale * r


def _minimal_row(made: _Made, options: TransferOptions) -> TransferRow:
    """The row of the examples as they were found, with its curve."""
    row = _row(made, _unchanged, options)
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
        tried = made.tried(_scaled(scale))
        rates = [float(np.mean(mask)) for mask in tried.wrong.values()]
        curve.append(ScalePoint(scale=scale, rms=tried.rms(made.model.features), error=rates))
    return replace(row, curve=curve)


def _row(made: _Made, changed: Change, options: TransferOptions) -> TransferRow:
    """What the perturbations of the samples of one model, changed in some way, do to every model."""
    n, names = len(made), list(made.models)
    if n == 0:
        return TransferRow.empty(made.name, len(names))
    tried, features = made.tried(changed), made.model.features
    fooled = tried.wrong
    clean = [float(np.mean(made.wrong[name])) for name in names]
    shares = [measures.share(int(fooled[name].sum()), n) for name in names]
    error = [float(np.mean(fooled[name])) for name in names]
    noises = [made.tried(made.noise(changed, (options.seed, draw))) for draw in range(options.draws)]
    right = {name: ~made.wrong[name] for name in names}
    return TransferRow(
        made_for=made.name,
        n=n,
        rms=tried.rms(features),
        clean_error=list(clean),
        errors=[int(fooled[name].sum()) for name in names],
        error=list(error),
        low=[share.low for share in shares],
        high=[share.high for share in shares],
        excess=[after - before for after, before in zip(error, clean, strict=True)],
        right=[int(right[name].sum()) for name in names],
        error_of_right=[
            float(np.mean(fooled[name][right[name]])) if right[name].any() else None for name in names
        ],
        noise_rms=float(np.mean([noise.rms(features) for noise in noises])),
        noise_error=[float(np.mean([noise.wrong[name] for noise in noises])) for name in names],
    )
