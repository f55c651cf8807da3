"""Samples and labels that are in memory, and the rows of them that are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import slices
from robustcheck.errors import DataRefused
from robustcheck.intake._loaded import LoadedData, Wanted
from robustcheck.intake._sampling import choose_rows, strata_of
from robustcheck.intake._streams import collect, is_stream
from robustcheck.intake._structures import as_inputs, as_labels, each_part, parts_of
from robustcheck.text import option


def load_given(given: Any, path: str | None, wanted: Wanted) -> LoadedData:
    """What Python code gave: ``(x, y)``, or a stream of batches or samples.

    Raises:
        DataRefused: what came is neither, or not of one length.
    """
    x, y = _as_pair(given)
    if is_stream(x):
        if y is not None:
            raise DataRefused(
                f"{path or 'data'}: expected the labels in the {type(x).__name__}, got them beside it"
            )
        streamed = collect(x, wanted)
        loaded = pick(streamed.x, streamed.y, wanted, path=path)
        if streamed.whole:
            return loaded
        note = f"the source does not tell how long it is, so its first {len(loaded.index)} rows were taken"
        return replace(loaded, sample="first", strata=None, notes=() if wanted.sample == "first" else (note,))
    inputs = as_inputs(x, wanted)
    if any(part.ndim == 0 for part in parts_of(inputs)):
        raise DataRefused(
            f"{path or 'data'}: expected (x, y), a tf.data.Dataset, a PyDataset or batches, got "
            f"{type(x).__name__}"
        )
    return pick(inputs, None if y is None else as_labels(y, wanted), wanted, path=path)


def _as_pair(given: Any) -> tuple[Any, Any]:
    """``(x, y)`` as it is; anything else is x alone."""
    if isinstance(given, (tuple, list)) and len(given) == 2 and not is_stream(given):
        return given[0], given[1]
    return given, None


def pick(
    x: Any,
    y: NDArray[Any] | None,
    wanted: Wanted,
    *,
    path: str | None,
    sha256: str | None = None,
) -> LoadedData:
    """The rows that are wanted of samples and labels; ``sha256``: of the source, None = of the arrays."""
    source, parts = path or "data", parts_of(x)
    lengths = [len(part) for part in parts]
    if len(set(lengths)) != 1:
        raise DataRefused(f"{source}: expected as many samples in every input, got {lengths}")
    if not lengths[0]:
        raise DataRefused(f"{source}: expected at least one sample, got none")
    if y is not None and (y.ndim == 0 or len(y) != lengths[0]):
        got = len(y) if y.ndim else "one"
        raise DataRefused(f"{source}: expected a label for each of {lengths[0]} samples, got {got}")
    if y is None and wanted.need_labels:
        raise DataRefused(
            f"{source}: expected samples and labels, got no labels; {option('labels', 'model')} audits "
            "without them"
        )
    # of all that is there, so that a limit does not make it another source
    digest = sha256 or _hash_arrays(parts if y is None else [*parts, y])
    strata = strata_of(y)
    chosen, how = choose_rows(strata, lengths[0], wanted.limit, wanted.sample, wanted.seed)
    if how is not None:
        x, y = each_part(x, lambda part: part[chosen]), None if y is None else y[chosen]
    return LoadedData(
        x=x,
        y=y,
        index=chosen,
        path=path,
        sha256=digest,
        class_names=wanted.class_names,
        sample=how,
        strata=strata,
    )


def _hash_arrays(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for block in slices(len(array)):
            digest.update(np.ascontiguousarray(array[block]).tobytes())
    return digest.hexdigest()
