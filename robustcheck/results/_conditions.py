"""Where a search may go."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustcheck.arrays import F32, Mask
from robustcheck.errors import ReportRefused
from robustcheck.stored import open_arrays


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """Where the search may go: sides of the box and features that may not change, each ``[D]``.

    Stored as ``box.npz`` beside a report, with the names that ``--box`` and ``--freeze`` read.
    """

    lower: F32
    upper: F32
    freeze: Mask

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
        with open_arrays(path, "arrays that robustcheck wrote", ReportRefused) as archive:
            stored = {name: archive[name] for name in ("lower", "upper", "freeze")}
        kinds = "".join(side.dtype.kind for side in stored.values())
        shapes = {side.shape for side in stored.values()}
        if kinds != "ffb" or len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ReportRefused(f"{path}: expected two sides and a mask, each with a value a feature")
        return Conditions(**stored)
