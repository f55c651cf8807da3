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
    """Where the search may go and what it costs: sides of the box, features that may not change, costs.

    Each ``[D]``. Stored as ``box.npz`` beside a report, with the names that ``--box``, ``--freeze`` and
    ``--cost`` read.
    """

    lower: F32
    upper: F32
    freeze: Mask
    cost: F32

    @property
    def sha256(self) -> str:
        """Digest: the same where the search may go to the same points at the same cost."""
        moves = ~self.freeze
        digest = hashlib.sha256(np.ascontiguousarray(self.freeze).tobytes())
        # costs of 1, once the only ones, leave the digest as it was
        costs = () if np.all(self.cost == 1.0) else (self.cost,)
        for side in (self.lower, self.upper, *costs):
            digest.update(np.ascontiguousarray(side[moves], np.float32).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write an ``.npz`` without pickles."""
        np.savez_compressed(path, lower=self.lower, upper=self.upper, freeze=self.freeze, cost=self.cost)

    @staticmethod
    def load(path: Path) -> Conditions:
        """Read what :meth:`save` wrote.

        Raises:
            ReportRefused: the file is missing, or not one that robustcheck wrote.
        """
        with open_arrays(path, "arrays that robustcheck wrote", ReportRefused) as archive:
            stored = {name: archive[name] for name in ("lower", "upper", "freeze")}
            # of files that were written before there were costs
            known = "cost" in archive
            stored["cost"] = archive["cost"] if known else np.ones(stored["freeze"].shape, np.float32)
        kinds = "".join(side.dtype.kind for side in stored.values())
        shapes = {side.shape for side in stored.values()}
        if kinds != "ffbf" or len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ReportRefused(f"{path}: expected two sides, a mask and costs, each with a value a feature")
        return Conditions(**stored)
