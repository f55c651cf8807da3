"""One row a sample: how it ended, and how far it is from being misclassified."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, F64, I64, Mask, room
from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.stored import open_arrays
from robustcheck.text import brief

# how a column is stored: its kind of values; beside it stand its name where that is another, and what takes
# its place in files that were written before it was
WHOLE: dict[str, Any] = {"kind": "i"}
REAL: dict[str, Any] = {"kind": "f"}
TEXT: dict[str, Any] = {"kind": "U"}
Rows = TypeVar("Rows", bound="SampleEndings")
# columns that are lengths, or infinite; of float32 inputs none is longer
_LENGTHS, _LONGEST = {"distance", "l2", "rms", "linf", "l1", "l0"}, 1e60
# beside the columns of a file
_NORM = "norm"


class Status(StrEnum):
    """How a sample ended."""

    FOUND = "FOUND"
    ALREADY_WRONG = "ALREADY_WRONG"
    NOT_FOUND = "NOT_FOUND"
    NON_FINITE = "NON_FINITE"


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleEndings:
    """One row a sample, in input order: how it ended.

    Attributes:
        index: row in the source, ``[N]``.
        sample_id: hexadecimal digest of the input, the same in every report on the same sample, ``[N]``.
        label: true class, ``[N]``.
        status: a :class:`Status`, ``[N]``.
        norm: that was searched: in which the distance is the shortest that was found.
    """

    index: I64 = field(metadata=WHOLE)
    sample_id: NDArray[np.str_] = field(metadata=TEXT)
    label: I64 = field(metadata=WHOLE)
    status: NDArray[np.str_] = field(metadata=TEXT)
    norm: SearchedNorm = "l2"

    def __len__(self) -> int:
        return len(self.index)

    def is_(self, *status: Status) -> Mask:
        """Mask of the samples that ended in one of these ways, ``[N]``."""
        return np.isin(self.status, [str(ending) for ending in status])

    @property
    def found(self) -> Mask:
        """Mask of the samples with an example, ``[N]``."""
        return self.is_(Status.FOUND)

    @property
    def correct(self) -> Mask:
        """Mask of the samples that the model classifies right, ``[N]``."""
        return self.is_(Status.FOUND, Status.NOT_FOUND)

    def take(self, chosen: NDArray[Any]) -> Self:
        """The chosen samples, by a mask ``[N]`` or positions."""
        if not isinstance(chosen, slice) and np.ndim(chosen) != 1:
            raise ConfigError(f"chosen: expected a mask or positions in one row, got {brief(chosen)}")
        return replace(self, **{name: values[chosen] for name, values in self.columns().items()})

    def only(self, kind: type[Rows]) -> Rows:
        """The same rows with the columns of another kind of table, which are among these."""
        return kind(
            **{column.name: getattr(self, column.name) for column in _columns_of(kind)}, norm=self.norm
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name."""
        return {column.name: getattr(self, column.name) for column in _columns_of(type(self))}

    def save(self, path: Path) -> None:
        """Write an ``.npz`` without pickles."""
        np.savez_compressed(path, **self.arrays())

    def arrays(self) -> dict[str, Any]:
        """What a file holds: the columns as they are called there, and the norm."""
        arrays: dict[str, Any] = {
            _stored_name(column): getattr(self, column.name) for column in _columns_of(type(self))
        }
        if self.norm != "l2":  # once the only one, so a file that names none is of it
            arrays[_NORM] = np.array(self.norm)
        return arrays

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; only the arrays of this class are unpacked.

        Raises:
            ReportRefused: the file is missing, or not one that robustcheck wrote.
        """
        stored, norm = _read(path, _columns_of(cls))
        lengths = {name: array.shape[:1] for name, array in stored.items()}
        if len(set(lengths.values())) != 1 or not all(lengths.values()):
            raise ReportRefused(f"{path}: expected as many rows in every array, got {lengths}")
        for column in _columns_of(cls):
            array, flat = stored[column.name], not column.metadata.get("of_samples")
            if array.dtype.kind != column.metadata["kind"] or (flat and array.ndim != 1):
                raise ReportRefused(
                    f"{path}: expected samples that robustcheck wrote, got {column.name!r} as {array.dtype} "
                    f"of shape {array.shape}"
                )
        known = [str(status) for status in Status]
        strange = set(stored["status"].tolist()) - set(known)
        if strange:
            raise ReportRefused(f"{path}: expected a status of {known}, got {strange}")
        if not all(re.fullmatch("[0-9a-f]{16}", digest) for digest in stored["sample_id"].tolist()):
            raise ReportRefused(f"{path}: expected 16 hexadecimal digits as the digest of each sample")
        for name in _LENGTHS & stored.keys():
            if not ((stored[name] >= 0) & ((stored[name] < _LONGEST) | np.isinf(stored[name]))).all():
                raise ReportRefused(f"{path}: expected lengths of 0 or more as {name}, got others")
        return cls(**stored, norm=norm)


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleDistances(SampleEndings):
    """One row a sample with its distance ``[N]`` in the norm that was searched, and no other."""

    distance: F64


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleOutcomes(SampleEndings):
    """One row a sample, in input order, without the samples themselves.

    A distance is an upper bound of the true minimum, in box units, measured in float64 from the arrays of a
    :class:`SearchResult`; ``inf`` where nothing was found.

    Attributes:
        predicted: class of the example by the plain model, of the sample where none was found, -1 where it is
            not finite, ``[N]``.
        target: class that was to be reached, -1 = any other, ``[N]``.
        confidence_before, confidence_after: softmax probability of the prediction for the sample and for its
            example, NaN where there is none, ``[N]``.
        l2, rms, linf, l1, l0: lengths of the perturbation, ``[N]``; rms = l2 / sqrt(features), l0 counts the
            features changed. That of the norm that was searched is the distance.
        gradient_evaluations, forward_evaluations: passes spent on the sample, ``[N]``.
        halfway: the distance that half the budget would have given, ``[N]``; infinite where it would have
            found nothing, NaN where the method cannot tell.
        starts_agreed: starts of the search that ended within 1 % of the nearest, ``[N]``.
        distance8: length of the nearest example found on 256 levels of the box, ``[N]``; infinite where none,
            NaN where none was looked for.
        scale8, threshold8: how that one is had of ``input`` and ``adversarial``
            (:func:`robustcheck.levels.levels_between`), ``[N]``; NaN where there is none.
    """

    predicted: I64 = field(metadata=WHOLE)
    target: I64 = field(metadata=WHOLE)
    confidence_before: F64 = field(metadata=REAL)
    confidence_after: F64 = field(metadata=REAL)
    l2: F64 = field(metadata=REAL)
    rms: F64 = field(metadata=REAL)
    linf: F64 = field(metadata=REAL)
    l1: F64 = field(metadata=REAL)
    l0: F64 = field(metadata=REAL)
    gradient_evaluations: I64 = field(metadata=WHOLE)
    forward_evaluations: I64 = field(metadata=WHOLE)
    halfway: F64 = field(metadata=REAL | {"name": "l2_halfway", "missing": np.nan})
    starts_agreed: I64 = field(metadata=WHOLE | {"missing": 0})
    distance8: F64 = field(metadata=REAL | {"missing": np.nan})
    scale8: F64 = field(metadata=REAL | {"missing": np.nan})
    threshold8: F64 = field(metadata=REAL | {"missing": np.nan})

    @property
    def distance(self) -> F64:
        """Distance in the norm that was searched, ``[N]``."""
        searched: F64 = getattr(self, self.norm)
        return searched

    def reached(self, label: I64, at: I64 | slice = slice(None)) -> Mask:
        """Where these classes are the mistake that was wanted: the target, or any but the label.

        Of all samples ``[N]``, or of those at some positions ``[M]``.
        """
        return is_wanted(label, label=self.label[at], target=self.target[at])


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleExamples(SampleOutcomes):
    """One row a sample, in input order, with their examples, but without the samples.

    Attributes:
        adversarial: the nearest misclassified input found, ``[N, *shape]`` float32 (several inputs: flat rows
            ``[N, D]``); the sample itself where that is already wrong, NaN where none was found.
    """

    adversarial: F32 = field(metadata=REAL | {"of_samples": True})

    @property
    def points(self) -> F32:
        """The examples as flat rows, ``[N, D]``."""
        return self.adversarial.reshape(len(self), -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult(SampleExamples):
    """One row a sample, in input order, with the samples and their examples.

    Attributes:
        input: the sample, ``[N, *shape]`` float32 (several inputs: flat rows ``[N, D]``).
    """

    input: F32 = field(metadata=REAL | {"of_samples": True})

    @property
    def rows(self) -> F32:
        """The samples as flat rows, ``[N, D]``."""
        return self.input.reshape(len(self), -1)


# what can be measured sample by sample
SampleTable: TypeAlias = SampleDistances | SampleOutcomes


class Joined:
    """A result in the making: parts are put where they belong as they come, so nothing is held twice.

    Args:
        total: samples there will be.
        inputs: the samples, where they are there already, ``[total, *shape]``.
    """

    def __init__(self, total: int, inputs: F32 | None = None) -> None:
        self.total, self.done = total, 0
        self._columns: dict[str, NDArray[Any]] = {} if inputs is None else {"input": inputs}
        self._given = inputs is not None
        self._norm: SearchedNorm = "l2"

    def add(self, part: SampleExamples) -> None:
        """The next samples, in order; with those themselves where they are not there already."""
        place = slice(self.done, self.done + len(part))
        self._norm = part.norm
        for name, values in part.columns().items():
            if name not in self._columns:
                self._columns[name] = room((self.total, *values.shape[1:]), values.dtype)
            if not (name == "input" and self._given):
                self._columns[name][place] = values
        self.done += len(part)

    def result(self) -> SearchResult:
        """Of the samples that are there."""
        return SearchResult(
            **{name: values[: self.done] for name, values in self._columns.items()}, norm=self._norm
        )


def join(parts: Sequence[SearchResult]) -> SearchResult:
    """Results on different samples as one, in this order.

    Raises:
        ValueError: there are none.
    """
    if not parts:
        raise ValueError("parts: expected at least one result to join, got none")
    joined = Joined(sum(map(len, parts)))
    for part in parts:
        joined.add(part)
    return joined.result()


def is_wanted(decided: NDArray[Any], *, label: NDArray[Any], target: NDArray[Any]) -> Mask:
    """Where decisions are the mistake that is wanted: the target, or any class but the label where it is -1.

    The same of logits is the sign of :func:`robustcheck.numerics.adversarial_margin`.
    """
    wanted: Mask = np.where(target >= 0, decided == target, decided != label)
    return wanted


def _stored_name(column: Field[Any]) -> str:
    return str(column.metadata.get("name", column.name))


def _columns_of(cls: type[SampleEndings]) -> list[Field[Any]]:
    return [column for column in fields(cls) if "kind" in column.metadata]


def _read(path: Path, wanted: Sequence[Field[Any]]) -> tuple[dict[str, NDArray[Any]], SearchedNorm]:
    """The columns of a file, those that it is too old to have filled; and the norm that was searched."""
    with open_arrays(path, "arrays that robustcheck wrote", ReportRefused) as stored:
        missing = [
            column for column in wanted if "missing" in column.metadata and _stored_name(column) not in stored
        ]
        found = {column.name: stored[_stored_name(column)] for column in wanted if column not in missing}
        norm = str(stored[_NORM]) if _NORM in stored else "l2"
    if norm not in get_args(SearchedNorm):
        raise ReportRefused(f"{path}: expected a norm of {list(get_args(SearchedNorm))}, got {norm[:20]!r}")
    length = len(next(iter(found.values())))
    kinds = {"i": np.int64, "f": np.float64}
    fill = {
        column.name: np.full(length, column.metadata["missing"], kinds[column.metadata["kind"]])
        for column in missing
    }
    return found | fill, cast(SearchedNorm, norm)


def sample_ids(rows: F32) -> NDArray[np.str_]:
    """A digest for each sample ``[N, D]``: 16 hexadecimal digits, ``[N]``."""
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in rows]
    return np.array(digests, dtype="<U16")
