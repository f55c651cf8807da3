"""One row a sample: how it ended, and how far it is from being misclassified."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ReportRefused, one_line

NORMS = ("l2", "rms", "linf", "l1", "l0")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# a stored array larger than this, unpacked, is not one that robustcheck wrote
_MOST_UNPACKED = 32 * 2**30
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class Status(StrEnum):
    """How a sample ended."""

    FOUND = "FOUND"
    ALREADY_WRONG = "ALREADY_WRONG"
    NOT_FOUND = "NOT_FOUND"
    NON_FINITE = "NON_FINITE"


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleDistances:
    """One row a sample, in input order: how it ended, and its L2 distance.

    A distance is an upper bound of the true minimum, in box units, measured in float64 from the arrays of a
    :class:`SearchResult`; ``inf`` where nothing was found.

    Attributes:
        index: row in the source, ``[N]``.
        sample_id: hexadecimal digest of the input, the same in every report on the same sample, ``[N]``.
        label: true class, ``[N]``.
        status: a :class:`Status`, ``[N]``.
        l2: length of the perturbation, ``[N]``.
    """

    index: Ints
    sample_id: NDArray[np.str_]
    label: Ints
    status: NDArray[np.str_]
    l2: Floats

    def __len__(self) -> int:
        return len(self.index)

    def is_(self, *status: Status) -> NDArray[np.bool_]:
        """Mask of the samples that ended in one of these ways, ``[N]``."""
        return np.isin(self.status, [str(one) for one in status])

    @property
    def found(self) -> NDArray[np.bool_]:
        """Mask of the samples with an example, ``[N]``."""
        return self.is_(Status.FOUND)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Mask of the samples that the model classifies right, ``[N]``."""
        return self.is_(Status.FOUND, Status.NOT_FOUND)


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleOutcomes(SampleDistances):
    """One row a sample, in input order, without the samples themselves.

    Attributes:
        predicted: class of the example by the plain model, of the sample where none was found, -1 where it is
            not finite, ``[N]``.
        target: class that was to be reached, -1 = any other, ``[N]``.
        confidence_before, confidence_after: softmax probability of the prediction for the sample and for its
            example, NaN where there is none, ``[N]``.
        rms, linf, l1, l0: other norms of the perturbation, ``[N]``; rms = l2 / sqrt(features), l0 counts the
            features changed.
        gradient_evaluations, forward_evaluations: passes spent on the sample, ``[N]``.
        l2_halfway: the L2 distance that half the budget would have given, ``[N]``; infinite where it would
            have found nothing, NaN where the method cannot tell.
        starts_agreed: starts of the search that ended within 1 % of the nearest, ``[N]``.
    """

    predicted: Ints
    target: Ints
    confidence_before: Floats
    confidence_after: Floats
    rms: Floats
    linf: Floats
    l1: Floats
    l0: Floats
    gradient_evaluations: Ints
    forward_evaluations: Ints
    l2_halfway: Floats
    starts_agreed: Ints

    def reached(self, label: Ints) -> NDArray[np.bool_]:
        """Where these classes ``[N]`` are the mistake that was wanted: the target, or any but the label."""
        wanted: NDArray[np.bool_] = np.where(self.target >= 0, label == self.target, label != self.label)
        return wanted

    def save(self, path: Path) -> None:
        """Write an ``.npz`` without pickles."""
        np.savez_compressed(path, **{one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; only the arrays of this class are unpacked.

        Raises:
            ReportRefused: the file is missing, or not one that robustcheck wrote.
        """
        stored = _read(path, [one.name for one in fields(cls)])
        lengths = {name: array.shape[:1] for name, array in stored.items()}
        if len(set(lengths.values())) != 1 or not all(lengths.values()):
            raise ReportRefused(f"{path}: expected as many rows in every array, got {lengths}")
        whole = {one.name for one in fields(cls) if one.type == "Ints"}
        for name, array in stored.items():
            flat = name not in ("input", "adversarial")
            kind = "U" if name in ("status", "sample_id") else "i" if name in whole else "f"
            if array.dtype.kind != kind or (flat and array.ndim != 1):
                raise ReportRefused(
                    f"{path}: expected samples that robustcheck wrote, got {name!r} as {array.dtype} of "
                    f"shape {array.shape}"
                )
        strange = set(stored["status"].tolist()) - {str(one) for one in Status}
        if strange:
            raise ReportRefused(f"{path}: expected a status of {[str(one) for one in Status]}, got {strange}")
        if not all(re.fullmatch("[0-9a-f]{16}", one) for one in stored["sample_id"].tolist()):
            raise ReportRefused(f"{path}: expected 16 hexadecimal digits as the digest of each sample")
        return cls(**stored)


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult(SampleOutcomes):
    """One row a sample, in input order, with the samples and their examples.

    Attributes:
        input: the sample, ``[N, *shape]`` float32 (several inputs: flat rows ``[N, D]``).
        adversarial: the nearest misclassified input found, the same shape; the sample itself where that is
            already wrong, NaN where none was found.
    """

    input: NDArray[np.float32]
    adversarial: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """Where the search may go: sides of the box and features that may not change, each ``[D]``.

    Stored as ``box.npz`` beside a report, with the names that ``--box`` and ``--freeze`` read.
    """

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    freeze: NDArray[np.bool_]

    @property
    def sha256(self) -> str:
        """Digest: the same where the search may go to the same points."""
        moves = ~self.freeze
        digest = hashlib.sha256(np.ascontiguousarray(self.freeze).tobytes())
        for side in (self.lower, self.upper):
            digest.update(np.ascontiguousarray(side[moves], np.float32).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write an ``.npz`` without pickles."""
        np.savez_compressed(path, lower=self.lower, upper=self.upper, freeze=self.freeze)

    @staticmethod
    def load(path: Path) -> Conditions:
        """Read what :meth:`save` wrote.

        Raises:
            ReportRefused: the file is missing, or not one that robustcheck wrote.
        """
        stored = _read(path, ["lower", "upper", "freeze"])
        kinds = "".join(one.dtype.kind for one in stored.values())
        shapes = {one.shape for one in stored.values()}
        if kinds != "ffb" or len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ReportRefused(f"{path}: expected two sides and a mask, each with a value a feature")
        return Conditions(**stored)


def sample_ids(rows: NDArray[np.float32]) -> NDArray[np.str_]:
    """A digest for each sample ``[N, D]``: 16 hexadecimal digits, ``[N]``."""
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in rows]
    return np.array(digests, dtype="<U16")


def _read(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    """Named arrays of an ``.npz`` from outside."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MOST_UNPACKED:
            raise ReportRefused(f"{path}: expected at most {_MOST_UNPACKED >> 30} GiB unpacked")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except _UNREADABLE as error:
        if isinstance(error, ReportRefused):
            raise
        raise ReportRefused(f"{path}: expected arrays that robustcheck wrote: {one_line(error)}") from error
