"""How far models that differ in nothing but their training seed lie apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from robustcheck.compare import against_baseline
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.results import AuditReport, Baseline

_LEVEL = 0.99


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """What a tolerance has to leave room for.

    Attributes:
        models: how many were compared.
        ratios: median ratio of the distances, in the first norm, of every model to every other, as
            ``assert_baseline`` has it.
        drops: fall of the clean accuracy from every model to every other.
        rel: tolerance for distances that one retraining in a hundred would exceed, and not below the largest
            fall seen.
        accuracy: the same for the clean accuracy.
    """

    models: int
    ratios: tuple[float, ...]
    drops: tuple[float, ...]
    rel: float
    accuracy: float


def seed_spread(reports: Sequence[AuditReport]) -> SeedSpread:
    """Measure the tolerance of a baseline from models that differ only in their training seed.

    The logarithms of the models' distances are taken as normal, with the spread estimated from all pairs:
    two models differ by sqrt(2) of it. A few seeds tell the spread only roughly (five to a third or so), so
    take as many as can be trained.

    Args:
        reports: audits of three models or more on the same samples, under the same conditions.

    Raises:
        ConfigError: fewer than three reports.
        Incomplete: audits that cannot be compared.
    """
    if len(reports) < 3:
        raise ConfigError(f"reports: expected three models or more, got {len(reports)}")
    ratios, drops = [], []
    for old, new in itertools.permutations(reports, 2):
        found = against_baseline(Baseline.of(old), new, rel=0.0, accuracy=0.0)
        if found.median_ratio.value is None or found.accuracy.value is None:
            raise Incomplete(f"reports: expected audits that can be compared, got {found.reasons[0]}")
        ratios.append(found.median_ratio.value)
        drops.append(-found.accuracy.value)
    z = NormalDist().inv_cdf(_LEVEL)
    # the mean square over all ordered pairs is that of the difference of two models
    logs = math.sqrt(sum(math.log(ratio) ** 2 for ratio in ratios) / len(ratios))
    falls = math.sqrt(sum(drop**2 for drop in drops) / len(drops))
    return SeedSpread(
        models=len(reports),
        ratios=tuple(ratios),
        drops=tuple(drops),
        rel=max(1 - math.exp(-z * logs), 1 - min(ratios)),
        accuracy=max(z * falls, *drops),
    )
