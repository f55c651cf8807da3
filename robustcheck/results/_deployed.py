"""What a deployed form does with the samples and examples of the audited model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robustcheck.arrays import F64, I64, Mask
from robustcheck.results._outcomes import REAL, WHOLE, SampleEndings, Status


@dataclass(frozen=True, kw_only=True)
class DeployedFacts:
    """Which form was held against the audited model.

    Attributes:
        name: that measures call it by.
        path, sha256: of its file, None where it is none.
        runtime: what runs it, with the version; None for a function.
        types: of its inputs and outputs.
        notes: what was adapted, and what is odd, one sentence each.
        searched: samples that its own nearest examples were looked for, by decisions alone.
        own: median of their lengths over those of the audited model's; None where none was found.
        seconds: that all this took.
    """

    name: str
    path: str | None
    sha256: str | None
    runtime: str | None
    types: str
    notes: list[str]
    searched: int
    own: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class DeployedRows(SampleEndings):
    """One row a sample, in input order, with what a deployed form makes of it; the status is the model's.

    Attributes:
        clean: class that the audited model gives the sample, -1 where it is not finite, ``[N]``.
        predicted: class that the form gives it, -1 where it is not finite, ``[N]``.
        fooled: whether the model's example is the wanted mistake of the form: 1 or 0, -1 = there is none.
        distance: of the model's example, infinite where there is none, ``[N]``.
        ratio: length at which the form errs first on the way to the example and beyond it, over the distance,
            ``[N]``; 0 where it errs on the sample, infinite where it does not up to 4 times the perturbation,
            NaN where there is no example.
        mistake: class that the form gives there, -1 where it does not err, ``[N]``.
        own: length of the nearest example found for the form itself, over the distance, ``[N]``; NaN where
            none was looked for.
    """

    clean: I64 = field(metadata=WHOLE)
    predicted: I64 = field(metadata=WHOLE)
    fooled: I64 = field(metadata=WHOLE)
    distance: F64 = field(metadata=REAL)
    ratio: F64 = field(metadata=REAL)
    mistake: I64 = field(metadata=WHOLE)
    own: F64 = field(metadata=REAL)

    @property
    def finite(self) -> Mask:
        """The samples that both were asked about, ``[N]``."""
        return ~self.is_(Status.NON_FINITE)

    @property
    def weakest(self) -> I64:
        """Positions of the samples with an example, those first where the form errs soonest."""
        found = np.flatnonzero(self.found)
        return found[np.argsort(self.ratio[found], kind="stable")]
