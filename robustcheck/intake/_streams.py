"""Samples that come one after the other: ``tf.data``, ``PyDataset``, generators, lists of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import Growing
from robustcheck.errors import DataRefused, one_line
from robustcheck.intake._loaded import Wanted
from robustcheck.intake._structures import as_inputs, choose_label, each_part, fits, parts_of
from robustcheck.text import option

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

    Many are kept in a file as they come, so that they may be larger than memory.

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
    read = _Read()
    for x, y in _batches(elements, stream, wanted):
        read.add(x, y)
        if most is not None and read.count >= most:
            break
        if finite is None and read.size > wanted.max_data_bytes:
            bound = f"{wanted.max_data_bytes} bytes ({option('max_data_bytes')})"
            raise DataRefused(
                f"data: expected at most {bound} from what does not tell how long it is and may not end, got "
                "more; have a tf.data.Dataset tell it (assert_cardinality), or set "
                f"{option('limit')} and {option('sample', 'first')}"
            )
    if not read.count:
        raise DataRefused("data: expected at least one sample, got none; a generator gives its samples once")
    whole = (most is None or read.count <= most) and next(elements, None) is None
    return Streamed(*read.first(most), whole)


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


class _Read:
    """What was read so far: labels, and samples, each of their arrays on its own."""

    def __init__(self) -> None:
        self._x: Any = None
        self._y: list[NDArray[Any]] = []
        self.count = 0

    @property
    def size(self) -> int:
        """Bytes of the samples."""
        return sum(part.size for part in parts_of(self._x))

    def add(self, x: Any, y: NDArray[Any] | None) -> None:
        """The next batch."""
        if self._x is None:
            self._x = each_part(x, lambda _: Growing())
        x = {name: x[name] for name in self._x} if isinstance(self._x, dict) else x
        arrays: list[Any] = parts_of(self._x)
        try:
            for growing, part in zip(arrays, parts_of(x), strict=True):
                growing.add(part)
        except (ValueError, TypeError, KeyError) as error:
            raise DataRefused(f"data: expected samples of one shape and type: {error}") from error
        except OSError as error:
            raise DataRefused(f"data: expected room for the samples: {one_line(error)}") from error
        self.count += len(parts_of(x)[0])
        if y is not None:
            self._y.append(y)

    def first(self, most: int | None) -> tuple[Any, NDArray[Any] | None]:
        """The first samples and labels, or all."""
        try:
            label = np.concatenate(self._y)[:most] if self._y else None
        except (ValueError, TypeError) as error:
            raise DataRefused(f"data: expected labels of one shape: {one_line(error)}") from error
        return each_part(self._x, lambda growing: growing.array()[:most]), label
