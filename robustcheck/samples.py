"""A user's arrays as checked rows for one predictor.

Arrays come in many shapes and types. What can be adapted without changing its meaning is adapted and said so;
anything else is refused with what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, I64, Mask, blocks, room, slices
from robustcheck.config import DataRange
from robustcheck.errors import ConfigError, DataRefused
from robustcheck.models import Predictor, own_labels
from robustcheck.text import option

# values this close outside the box, in shares of its width, are rounding and are clipped
_OUTSIDE = 1e-6
# uint8 data whose largest value is below this probably does not use the range 0 to 255
_DARK = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """``N`` samples in the units of the box.

    Attributes:
        index: row in the source, ``[N]``.
        rows: ``[N, D]`` float32; a row with a NaN or an infinity is kept as it is.
        label: ``[N]``.
        finite: whether the row can be searched, ``[N]``.
        notes: what was adapted, one sentence each.
        stored: the range of stored values that was mapped to the box; None where they were taken as they are,
            or ranges differ by input.
    """

    index: I64
    rows: F32
    label: I64
    finite: Mask
    notes: tuple[str, ...]
    stored: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def take(self, chosen: NDArray[Any]) -> Samples:
        """The chosen samples, by mask or positions."""
        return replace(
            self,
            index=self.index[chosen],
            rows=self.rows[chosen],
            label=self.label[chosen],
            finite=self.finite[chosen],
        )

    def noted(self, note: str) -> Samples:
        """The same samples with one more note."""
        return replace(self, notes=(*self.notes, note))


def as_samples(
    predictor: Predictor,
    x: Any,
    y: Any,
    *,
    data_range: DataRange = None,
    index: I64 | None = None,
) -> Samples:
    """Check samples and labels and lay them out as rows.

    Args:
        predictor: whose inputs they are to be.
        x: ``[N, *input_shape]``, or a dict or list of arrays for a model with several inputs. One axis of
            size 1 more or less is adapted.
        y: labels ``[N]``, ``[N, 1]`` or one-hot ``[N, K]``; None = what the model predicts.
        data_range: stored values that are mapped to the box, or a mapping of them by input; (0, 255) for
            uint8 and else the box itself when None.
        index: row of each sample in its source; counted from 0 when None.

    Raises:
        DataRefused: an array that does not fit, naming expected and got.
    """
    if not isinstance(predictor, Predictor):
        raise ConfigError(
            f"expected a classifier, got {type(predictor).__name__}: pass robustcheck.wrap(model)"
        )
    notes: list[str] = []
    rows, stored = _rows(predictor, x, data_range, notes)
    finite: Mask = np.concatenate([np.isfinite(rows[block]).all(axis=1) for block in slices(len(rows))])
    if not finite.any():
        raise DataRefused(f"samples: expected finite values, got a NaN or an infinity in all {len(rows)}")
    if not finite.all():
        notes.append(f"{int((~finite).sum())} samples hold a NaN or an infinity and are not attacked")
    _clip_to_box(predictor, rows, finite)
    if y is None:
        label = np.full(len(rows), -1, np.int64)
        for there in blocks(finite):
            label[there] = own_labels(predictor, rows[there])
    else:
        label = _labels(y, len(rows), predictor.classes, notes)
    return Samples(
        index=np.arange(len(rows)) if index is None else np.asarray(index, np.int64),
        rows=rows,
        label=label,
        finite=finite,
        notes=tuple(notes),
        stored=stored,
    )


def _rows(
    predictor: Predictor, x: Any, data_range: DataRange, notes: list[str]
) -> tuple[F32, tuple[float, float] | None]:
    """Rows ``[N, D]``, and the one range of stored values that was mapped to the box."""
    layout = predictor.layout
    parts = [
        _fit_shape(part, shape, name, notes)
        for part, name, shape in zip(layout.split(x), layout.names, layout.shapes, strict=True)
    ]
    lengths = [len(part) for part in parts]
    if len(set(lengths)) != 1:
        raise DataRefused(
            f"samples: expected as many rows in every input, got {lengths} for {list(layout.names)}"
        )
    rows, start = room((lengths[0], layout.width), np.float32), 0
    spans: set[tuple[float, float] | None] = set()
    for part, name, size, moves in zip(parts, layout.names, layout.sizes, layout.perturbed, strict=True):
        side = slice(start, start + size)
        start += size
        own = data_range.get(name) if isinstance(data_range, Mapping) else data_range
        span = _stored_range(part, own, notes) if moves else None
        if moves:
            spans.add(span)
        for block in slices(len(part)):  # values may be mapped from a file, and larger than memory
            values = np.asarray(part[block]).reshape(-1, size)
            if span is not None:
                values = _to_box(values, predictor.lower[side], predictor.upper[side], span)
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite: a status, not an error
                rows[block, side] = values
    return rows, spans.pop() if len(spans) == 1 else None


def _fit_shape(array: NDArray[Any], shape: tuple[int, ...], name: str, notes: list[str]) -> NDArray[Any]:
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise DataRefused(f"samples: expected numbers, got dtype {array.dtype} for input {name!r}")
    if array.ndim == 0 or len(array) == 0:
        raise DataRefused(f"samples: expected at least one, got shape {array.shape}")
    got = array.shape[1:]
    if got == shape:
        return array
    if abs(len(got) - len(shape)) == 1 and [n for n in got if n != 1] == [n for n in shape if n != 1]:
        notes.append(f"samples of shape {got} were taken as {shape}: an axis of size 1 differs")
        return array.reshape(len(array), *shape)
    raise DataRefused(
        f"samples: expected shape {('N', *shape)}, got {array.shape}; shapes are not changed, images not "
        "resized"
    )


def _stored_range(
    values: NDArray[Any], data_range: tuple[float, float] | None, notes: list[str]
) -> tuple[float, float] | None:
    """The range of stored values that is mapped to the box; None where they are taken as they are."""
    if data_range is not None:
        low, high = data_range
        if not (np.isfinite([low, high]).all() and low < high):
            raise ConfigError(f"{option('data_range')}: expected finite low < high, got {low} and {high}")
        return float(low), float(high)
    if values.dtype != np.uint8:
        return None
    if values.max() < _DARK:
        notes.append(
            f"values of type uint8 were taken to range from 0 to 255, but the largest is {values.max()}: "
            f"if that is as far as they go, give the range of the stored values, {option('data_range')}"
        )
    return 0.0, 255.0


def _to_box(values: NDArray[Any], lower: F32, upper: F32, data_range: tuple[float, float]) -> NDArray[Any]:
    """Map stored values affinely from the data range to the box."""
    low, high = data_range
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise ConfigError(
            f"{option('data_range')}: values of {low:g} to {high:g} cannot be mapped to a box with infinite "
            "sides: give floating point data in the model's own units, or a finite box"
        )
    share = (values.astype(np.float64) - low) / (high - low)
    return lower + share * (upper.astype(np.float64) - lower)


def _clip_to_box(predictor: Predictor, rows: F32, finite: Mask) -> None:
    """Take off the little that rounding may have left outside; in place, by blocks to save memory."""
    for at in slices(len(rows)):
        block, there, start = rows[at], finite[at], at.start
        lower, upper = predictor.bounds(block)
        with np.errstate(invalid="ignore"):
            slack = _OUTSIDE * np.where(np.isfinite(upper - lower), upper - lower, 1.0)
            outside = ((block < lower - slack) | (block > upper + slack)) & there[:, None]
        if outside.any():
            values = rows[finite][:, predictor.free]
            row, feature = np.argwhere(outside)[0]
            raise DataRefused(
                f"samples: expected values in the box {predictor.box}, got {values.min():g} to "
                f"{values.max():g} (sample {start + row}, feature {feature}: {block[row, feature]:g} is not "
                f"in [{lower[row, feature]:g}, {upper[row, feature]:g}]); give the range of the stored "
                f"values, {option('data_range')}, or the model's own box, {option('box')}"
            )
        block[there] = np.clip(block[there], lower[there], upper[there])


def _labels(y: Any, count: int, classes: int, notes: list[str]) -> I64:
    label = np.asarray(y)
    if label.dtype.kind not in "fiub":
        raise DataRefused(f"labels: expected whole numbers, got dtype {label.dtype}")
    if label.ndim == 2 and label.shape[1] == 1:
        label = label[:, 0]
    if label.ndim == 2 and label.shape[1] == classes and _is_one_hot(label):
        notes.append(f"one-hot labels of {classes} classes were taken as class numbers")
        label = label.argmax(axis=1)
    if label.shape == (count, classes):
        raise DataRefused(f"labels: expected class numbers or one-hot rows, got soft labels {label.shape}")
    if label.ndim != 1 or len(label) != count:
        raise DataRefused(
            f"labels: expected shape ({count},) or one-hot ({count}, {classes}), got {label.shape}"
        )
    if not (np.isfinite(label).all() and (label == np.floor(label)).all()):
        raise DataRefused("labels: expected whole numbers, got fractions or NaN")
    if classes == 2 and -1 in label and np.isin(label, (-1, 1)).all():
        notes.append("labels -1 and 1, as the hinge loss has them, were taken as classes 0 and 1")
        label = (label > 0).astype(np.int64)
    if label.min() < 0 or label.max() >= classes:
        raise DataRefused(
            f"labels: expected classes 0 to {classes - 1} (the model has {classes}), got {label.min():g} to "
            f"{label.max():g}"
        )
    return label.astype(np.int64)


def _is_one_hot(label: NDArray[Any]) -> bool:
    return bool(np.isin(label, (0, 1)).all() and (label.sum(axis=1) == 1).all())
