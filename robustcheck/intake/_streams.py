"""Samples that come one after the other: ``tf.data``, ``PyDataset``, generators, lists of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import DataRefused
from robustcheck.intake._loaded import Wanted
from robustcheck.intake._structures import as_inputs, choose_label, each_part, fits, parts_of
from robustcheck.text import option

# samples that are gathered in memory take no more than this
_MOST_BYTES = 16 * 2**30
_UNKNOWN = -2  # tf.data.UNKNOWN_CARDINALITY


@dataclass(frozen=True, eq=False)
class Streamed:
    """What was read of a stream: samples, labels or None, and whether that is all there is."""

    x: Any
    y: NDArray[Any] | None
    whole: bool


def is_stream(given: Any) -> bool:
    """Whether samples must be read one after the other; arrays and structures of them are no stream."""
    if isinstance(given, (list, tuple)):
        return bool(given) and all(_is_pair(item) for item in given)
    if isinstance(given, (Mapping, str, bytes)) or hasattr(given, "__array__"):
        return False
    return hasattr(given, "__iter__") or _is_sequence(given)


def is_labelled(stream: Any) -> bool:
    """Whether a stream gives labels, as far as it tells; a generator is taken to."""
    spec = getattr(stream, "element_spec", None)
    if spec is not None:
        return _is_pair(spec)
    return not _is_sequence(stream) or not len(stream) or _is_pair(stream[0])


def _is_pair(element: Any) -> bool:
    """Samples and labels, perhaps with weights."""
    return isinstance(element, tuple) and len(element) in (2, 3)


def _is_sequence(stream: Any) -> bool:
    return hasattr(stream, "__getitem__") and hasattr(stream, "__len__")


def collect(stream: Any, wanted: Wanted) -> Streamed:
    """Read the samples of a stream: all, for a draw among them; the first where it does not say that it ends.

    Raises:
        DataRefused: it does not end, is empty, too large, or its elements are of no kind known.
    """
    finite = _is_finite(stream)
    if finite is False and wanted.limit is None:
        raise DataRefused(
            f"data: expected a finite tf.data.Dataset, got one that repeats for ever; set {option('limit')}"
        )
    most = None if finite and wanted.sample != "first" else wanted.limit
    elements = _elements(stream)
    read: list[tuple[Any, Any]] = []
    count = size = 0
    for x, y in _batches(elements, stream, wanted):
        read.append((x, y))
        count += len(parts_of(x)[0])
        size += sum(part.nbytes for part in parts_of(x))
        if most is not None and count >= most:
            break
        if size > _MOST_BYTES:
            raise DataRefused(
                f"data: expected at most {_MOST_BYTES >> 30} GiB of samples in memory, got more; set "
                f"{option('limit')} and {option('sample', 'first')}"
            )
    if not count:
        raise DataRefused("data: expected at least one sample, got none; a generator gives its samples once")
    whole = (most is None or count <= most) and next(elements, None) is None
    return Streamed(*_joined(read, most), whole)


def _is_finite(stream: Any) -> bool | None:
    """Whether a stream says that it ends; None where it says nothing."""
    if hasattr(stream, "cardinality"):
        count = int(stream.cardinality())
        return None if count == _UNKNOWN else count >= 0
    return True if hasattr(stream, "__len__") else None


def _elements(stream: Any) -> Iterator[Any]:
    if hasattr(stream, "as_numpy_iterator"):
        return iter(stream.as_numpy_iterator())
    return (stream[i] for i in range(len(stream))) if _is_sequence(stream) else iter(stream)


def _batches(elements: Iterator[Any], stream: Any, wanted: Wanted) -> Iterator[tuple[Any, Any]]:
    """Batches of samples and labels, whether the stream gives batches or samples."""
    first = next(elements, None)
    if first is None:
        return
    batched = _is_batch(*_split(first, wanted), stream, wanted)
    for element in itertools.chain([first], elements):
        x, y = _split(element, wanted)
        yield (x, y) if batched else (each_part(x, lambda part: part[None]), None if y is None else y[None])


def _split(element: Any, wanted: Wanted) -> tuple[Any, NDArray[Any] | None]:
    """Samples and labels of an element; weights of samples are not needed."""
    if _is_pair(element):
        x, y = element[:2]
    elif isinstance(element, Mapping) and wanted.y_key in element:
        x, y = {name: part for name, part in element.items() if name != wanted.y_key}, element[wanted.y_key]
    else:
        x, y = element, None
    label = choose_label(y, wanted.y_key) if isinstance(y, Mapping) else y
    # several inputs of one sample or batch, never a list of samples
    x = [np.asarray(part) for part in x] if isinstance(x, (list, tuple)) else as_inputs(x, wanted)
    return x, None if label is None else np.asarray(label)


def _is_batch(x: Any, y: NDArray[Any] | None, stream: Any, wanted: Wanted) -> bool:
    """Whether an element is a batch: by the model's shape, else by the label, else it is taken for one."""
    part = parts_of(x)[0]
    if y is not None and y.ndim == 0:
        return False
    if wanted.shapes:
        sample, batch = (fits(shape, wanted.shapes[0]) for shape in (part.shape, part.shape[1:]))
        if sample != batch:
            return batch
    spec: Any = getattr(stream, "element_spec", None)
    while isinstance(spec, (tuple, list, Mapping)) and spec:
        spec = next(iter(spec.values())) if isinstance(spec, Mapping) else spec[0]
    if spec is not None and spec.shape.rank and spec.shape[0] is None:
        return True
    return part.ndim > 0 and (y is None or len(y) == len(part))


def _joined(read: list[tuple[Any, Any]], most: int | None) -> tuple[Any, NDArray[Any] | None]:
    xs, ys = [x for x, _ in read], [y for _, y in read]
    try:
        whole = xs[0]
        if isinstance(whole, dict):
            joined: Any = {name: np.concatenate([x[name] for x in xs]) for name in whole}
        elif isinstance(whole, list):
            joined = [np.concatenate(parts) for parts in zip(*xs, strict=True)]
        else:
            joined = np.concatenate(xs)
        label = None if ys[0] is None else np.concatenate(ys)[:most]
    except (ValueError, TypeError) as error:
        raise DataRefused(f"data: expected samples and labels of one shape: {error}") from error
    return each_part(joined, lambda part: part[:most]), label
