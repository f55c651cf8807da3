"""The nearest examples, as the page shows them: pictures, or the features that changed most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.config import SearchedNorm
from robustcheck.levels import levels_between, values_of
from robustcheck.measures import WEAKER
from robustcheck.report import _drawings
from robustcheck.report._wording import EIGHT_BITS, TITLES, class_name, eight_bits_first
from robustcheck.results import AuditReport, DeployedRows, SearchResult
from robustcheck.text import percent


@dataclass(frozen=True, kw_only=True)
class PageLimits:
    """How much a page shows.

    Attributes:
        small_side: pictures whose sides are no longer than this are small.
        most_small, most_large: samples shown as small and as large pictures.
        most_bytes: of all pictures together, as the page holds them.
        most_weakest: samples shown of a deployed form.
        most_rows, most_features, most_changes: of what is no image: samples, features over all of them, and
            features of a sample.
    """

    small_side: int = 64
    most_small: int = 200
    most_large: int = 24
    most_bytes: int = 9_500_000
    most_weakest: int = 6
    most_rows: int = 24
    most_features: int = 20
    most_changes: int = 3


PAGE = PageLimits()

# lengths that are shown of an example, by the norm that it was made for
_SHOWN: Mapping[SearchedNorm, tuple[str, ...]] = {
    "l2": ("l2", "rms", "linf"),
    "linf": ("linf", "l2", "rms"),
    "l1": ("l1", "l0", "l2", "linf"),
}


@dataclass(frozen=True)
class Triple:
    """One sample as pictures: original, perturbation around mid-grey times ``factor``, example."""

    index: int
    pictures: tuple[bytes, bytes, bytes]
    factor: float
    caption: Caption


@dataclass(frozen=True)
class Caption:
    """What is said of one example; ``lengths`` by the names of norms, its distance first."""

    index: int
    before: str
    after: str
    lengths: list[tuple[str, float]]


@dataclass(frozen=True)
class FeatureChange:
    """A feature over all examples: mean change, its share of the squared length, how often it led."""

    name: str
    mean: float
    share: float
    led: float


@dataclass(frozen=True)
class ChangedRow:
    """One sample as its most changed features: name, value before and after."""

    caption: Caption
    features: list[tuple[str, float, float]]


def nearest(result: SearchResult) -> I64:
    """Rows with an example, nearest first."""
    found = np.flatnonzero(result.found)
    return found[np.argsort(result.distance[found], kind="stable")]


def caption(report: AuditReport, result: SearchResult, row: int) -> Caption:
    """Labels, confidence and lengths of a row."""

    def named(label: int, confidence: float) -> str:
        return f"{class_name(report, label)}, {percent(confidence)}"

    lengths = [(TITLES[norm], float(getattr(result, norm)[row])) for norm in _SHOWN[result.norm]]
    on_levels = float(result.distance8[row])
    if np.isfinite(on_levels):
        title = f"{EIGHT_BITS} {TITLES[result.norm]}"
        lengths.insert(0 if eight_bits_first(report) else len(lengths), (title, on_levels))
    return Caption(
        index=int(result.index[row]),
        before=named(int(result.label[row]), float(result.confidence_before[row])),
        after=named(int(result.predicted[row]), float(result.confidence_after[row])),
        lengths=lengths,
    )


def triples(report: AuditReport, result: SearchResult, limits: PageLimits = PAGE) -> list[Triple]:
    """The nearest samples as pictures, as many as fit; none if samples are no images.

    The searches in several norms share the room of a page.
    """
    shape, searches = result.input.shape[1:], len(report.searches)
    if not _drawings.is_image(shape):
        return []
    most = limits.most_small if max(shape) <= limits.small_side else limits.most_large
    kept, size = [], 0
    for triple in _pictures(report, result, nearest(result)[: max(1, most // searches)]):
        size += sum(len(picture) * 4 // 3 for picture in triple.pictures)
        if size > limits.most_bytes // searches:
            break
        kept.append(triple)
    return kept


def _pictures(report: AuditReport, result: SearchResult, rows: I64) -> Iterator[Triple]:
    low, high = shown_range(report, result, rows) if len(rows) else (0.0, 1.0)
    for row in rows:
        pictures, factor = triple_values(report, result, int(row), low, high)
        yield Triple(
            index=int(result.index[row]),
            pictures=tuple(_drawings.image_png(*picture) for picture in pictures),  # type: ignore[arg-type]
            factor=factor,
            caption=caption(report, result, int(row)),
        )


def weakest(report: AuditReport, form: DeployedRows) -> list[Triple]:
    """Pictures of the samples where a form errs soonest, with what both decide; none of what is no image."""
    result, rows = report.samples, form.weakest[: PAGE.most_weakest]
    rows = rows[form.ratio[rows] < WEAKER]
    if not _drawings.is_image(result.input.shape[1:]):
        return []
    return [
        replace(triple, caption=_of_both(report, form, int(row), triple.caption))
        for row, triple in zip(rows, _pictures(report, result, rows), strict=True)
    ]


def _of_both(report: AuditReport, form: DeployedRows, row: int, of_model: Caption) -> Caption:
    """What the model decides on its example, and where the form errs on the way there."""
    ratio = float(form.ratio[row])
    its = class_name(report, int(form.mistake[row] if ratio > 0 else form.predicted[row]))
    after = f"{of_model.after} (model); {its} (form) from {ratio:.3g} of the distance on"
    return replace(of_model, after=after)


def shown_range(report: AuditReport, result: SearchResult, rows: I64) -> tuple[float, float]:
    """What is drawn black and white: the box where it is finite, else what the samples reach."""
    lower, upper = report.conditions.lower, report.conditions.upper
    low, high = float(lower.min()), float(upper.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    shown = result.input[rows], result.adversarial[rows]
    return min(float(values.min()) for values in shown), max(float(values.max()) for values in shown)


def shown_example(report: AuditReport, result: SearchResult, row: int) -> F32:
    """The example of a row as a picture has it: on 256 levels where the data came in 8 bits."""
    exact: F32 = result.adversarial[row]
    if not (eight_bits_first(report) and np.isfinite(result.distance8[row])):
        return exact
    at, box = slice(row, row + 1), (report.conditions.lower, report.conditions.upper)
    levels = levels_between(
        result.rows[at], result.points[at], *box, result.scale8[row], result.threshold8[row]
    )
    moved = np.where(report.conditions.freeze, result.rows[at], values_of(levels, *box))
    return moved.reshape(exact.shape)


def triple_values(
    report: AuditReport, result: SearchResult, row: int, low: float, high: float
) -> tuple[list[tuple[F32, float, float]], float]:
    """Values with their range for original, perturbation and example; and the perturbation's factor."""
    before, after = result.input[row], shown_example(report, result, row)
    perturbation = after - before
    largest = float(np.abs(perturbation).max()) or 1.0
    factor = 0.5 * (high - low) / largest
    return [(before, low, high), (perturbation, -largest, largest), (after, low, high)], factor


def triple_png(report: AuditReport, result: SearchResult, row: int) -> bytes | None:
    """Original, perturbation and example of a row side by side; None where there is nothing to draw."""
    if not _drawings.is_image(result.input.shape[1:]) or not result.found[row]:
        return None
    parts, _ = triple_values(report, result, row, *shown_range(report, result, np.array([row])))
    return _drawings.side_by_side([_drawings.image_pixels(*part) for part in parts])


def _perturbations(result: SearchResult) -> F64:
    """Of the samples with an example, ``[n, D]``."""
    rows = result.found
    moved = result.adversarial[rows].astype(np.float64) - result.input[rows]
    return moved.reshape(len(moved), math.prod(moved.shape[1:]))


def most_changed(result: SearchResult) -> list[FeatureChange]:
    """The features that the examples change most, over all of them."""
    moved = np.abs(_perturbations(result))
    if not moved.size:
        return []
    mean, square = moved.mean(axis=0), (moved**2).sum(axis=0)
    share = square / max(square.sum(), np.finfo(float).tiny)
    led = np.bincount(moved.argmax(axis=1), minlength=moved.shape[1]) / len(moved)
    order = np.argsort(-share, kind="stable")[: PAGE.most_features]
    shape = result.input.shape[1:]
    return [
        FeatureChange(_feature(int(at), shape), float(mean[at]), float(share[at]), float(led[at]))
        for at in order
        if share[at] > 0
    ]


def changed_rows(report: AuditReport, result: SearchResult) -> list[ChangedRow]:
    """The nearest samples with the features that changed most in each."""
    shape = result.input.shape[1:]
    rows = []
    for row in nearest(result)[: PAGE.most_rows]:
        before, after = (samples[row].reshape(-1) for samples in (result.input, result.adversarial))
        largest = np.argsort(-np.abs(after - before), kind="stable")[: PAGE.most_changes]
        changes = [(_feature(int(at), shape), float(before[at]), float(after[at])) for at in largest]
        rows.append(ChangedRow(caption(report, result, int(row)), changes))
    return rows


def _feature(at: int, shape: tuple[int, ...]) -> str:
    """A feature's place: its number, or its indices where samples have more than one axis."""
    if len(shape) <= 1:
        return str(at)
    return ", ".join(str(int(index)) for index in np.unravel_index(at, shape))
