"""The nearest examples, as the page shows them: pictures, or the features that changed most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import F32, F64, I64
from robustcheck.report import _drawings
from robustcheck.report._wording import class_name
from robustcheck.results import AuditReport, SearchResult
from robustcheck.text import percent


@dataclass(frozen=True, kw_only=True)
class PageLimits:
    """How much a page shows.

    Attributes:
        small_side: pictures whose sides are no longer than this are small.
        most_small, most_large: samples shown as small and as large pictures.
        most_bytes: of all pictures together, as the page holds them.
        most_rows, most_features, most_changes: of what is no image: samples, features over all of them, and
            features of a sample.
    """

    small_side: int = 64
    most_small: int = 200
    most_large: int = 24
    most_bytes: int = 9_500_000
    most_rows: int = 24
    most_features: int = 20
    most_changes: int = 3


PAGE = PageLimits()


@dataclass(frozen=True)
class Triple:
    """One sample as pictures: original, perturbation around mid-grey times ``factor``, example."""

    index: int
    pictures: tuple[bytes, bytes, bytes]
    factor: float
    caption: Caption


@dataclass(frozen=True)
class Caption:
    """What is said of one example."""

    index: int
    before: str
    after: str
    l2: float
    rms: float
    linf: float


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


def caption(report: AuditReport, row: int) -> Caption:
    """Labels, confidence and distances of a row."""
    result = report.samples

    def named(label: int, confidence: float) -> str:
        return f"{class_name(report, label)}, {percent(confidence)}"

    return Caption(
        index=int(result.index[row]),
        before=named(int(result.label[row]), float(result.confidence_before[row])),
        after=named(int(result.predicted[row]), float(result.confidence_after[row])),
        l2=float(result.l2[row]),
        rms=float(result.rms[row]),
        linf=float(result.linf[row]),
    )


def triples(report: AuditReport, limits: PageLimits = PAGE) -> list[Triple]:
    """The nearest samples as pictures, as many as fit; none if samples are no images."""
    shape = report.samples.input.shape[1:]
    if not _drawings.is_image(shape):
        return []
    most = limits.most_small if max(shape) <= limits.small_side else limits.most_large
    kept, size = [], 0
    for triple in _pictures(report, nearest(report.samples)[:most]):
        size += sum(len(picture) * 4 // 3 for picture in triple.pictures)
        if size > limits.most_bytes:
            break
        kept.append(triple)
    return kept


def _pictures(report: AuditReport, rows: I64) -> Iterator[Triple]:
    low, high = shown_range(report, rows) if len(rows) else (0.0, 1.0)
    for row in rows:
        pictures, factor = triple_values(report, int(row), low, high)
        yield Triple(
            index=int(report.samples.index[row]),
            pictures=tuple(_drawings.image_png(*picture) for picture in pictures),  # type: ignore[arg-type]
            factor=factor,
            caption=caption(report, int(row)),
        )


def shown_range(report: AuditReport, rows: I64) -> tuple[float, float]:
    """What is drawn black and white: the box where it is finite, else what the samples reach."""
    lower, upper = report.conditions.lower, report.conditions.upper
    low, high = float(lower.min()), float(upper.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    shown = report.samples.input[rows], report.samples.adversarial[rows]
    return min(float(values.min()) for values in shown), max(float(values.max()) for values in shown)


def triple_values(
    report: AuditReport, row: int, low: float, high: float
) -> tuple[list[tuple[F32, float, float]], float]:
    """Values with their range for original, perturbation and example; and the perturbation's factor."""
    before, after = report.samples.input[row], report.samples.adversarial[row]
    perturbation = after - before
    largest = float(np.abs(perturbation).max()) or 1.0
    factor = 0.5 * (high - low) / largest
    return [(before, low, high), (perturbation, -largest, largest), (after, low, high)], factor


def triple_png(report: AuditReport, row: int) -> bytes | None:
    """Original, perturbation and example of a row side by side; None where there is nothing to draw."""
    if not _drawings.is_image(report.samples.input.shape[1:]) or not report.samples.found[row]:
        return None
    parts, _ = triple_values(report, row, *shown_range(report, np.array([row])))
    return _drawings.side_by_side([_drawings.image_pixels(*part) for part in parts])


def _perturbations(result: SearchResult) -> F64:
    """Of the samples with an example, ``[n, D]``."""
    rows = result.found
    moved = result.adversarial[rows].astype(np.float64) - result.input[rows]
    return moved.reshape(len(moved), math.prod(moved.shape[1:]))


def most_changed(report: AuditReport) -> list[FeatureChange]:
    """The features that the examples change most, over all of them."""
    moved = np.abs(_perturbations(report.samples))
    if not moved.size:
        return []
    mean, square = moved.mean(axis=0), (moved**2).sum(axis=0)
    share = square / max(square.sum(), np.finfo(float).tiny)
    led = np.bincount(moved.argmax(axis=1), minlength=moved.shape[1]) / len(moved)
    order = np.argsort(-share, kind="stable")[: PAGE.most_features]
    shape = report.samples.input.shape[1:]
    return [
        FeatureChange(_feature(int(at), shape), float(mean[at]), float(share[at]), float(led[at]))
        for at in order
        if share[at] > 0
    ]


def changed_rows(report: AuditReport) -> list[ChangedRow]:
    """The nearest samples with the features that changed most in each."""
    result = report.samples
    shape = result.input.shape[1:]
    rows = []
    for row in nearest(result)[: PAGE.most_rows]:
        before, after = (samples[row].reshape(-1) for samples in (result.input, result.adversarial))
        largest = np.argsort(-np.abs(after - before), kind="stable")[: PAGE.most_changes]
        changes = [(_feature(int(at), shape), float(before[at]), float(after[at])) for at in largest]
        rows.append(ChangedRow(caption(report, int(row)), changes))
    return rows


def _feature(at: int, shape: tuple[int, ...]) -> str:
    """A feature's place: its number, or its indices where samples have more than one axis."""
    if len(shape) <= 1:
        return str(at)
    return ", ".join(str(int(index)) for index in np.unravel_index(at, shape))
