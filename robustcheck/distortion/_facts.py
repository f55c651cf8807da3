"""What the search of a part of some samples needs of all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustcheck.arrays import F32, I64
from robustcheck.models import Classifier, Slope, logits_of, own_labels
from robustcheck.results import StartFacts
from robustcheck.samples import Samples
from robustcheck.search import Others, choose_slope

# float32 rounding between batch sizes, as a share of the largest logit
_ROUNDING = 4e-6
# samples that the spread between a batch and batches of one is measured on, and the factor of safety
_SPREAD_SAMPLES, _SPREAD_SAFETY = 32, 4.0
# samples that searches may start from on the misclassified side
_OTHERS = 256
# samples at which gradients are held against differences of the scores
_SLOPES = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class SetFacts:
    """What the search of a part of some samples needs of all of them, so that it ends as the whole would.

    Attributes:
        rounding: how far a logit moves with the batch size, as a share of the largest.
        others: samples that searches may start from on the misclassified side.
        slope: the gradient to follow.
    """

    rounding: float
    others: Others
    slope: Slope = "declared"


def facts_of(classifier: Classifier, samples: Samples) -> SetFacts:
    """The facts of a set of samples, asked of the model once."""
    return set_facts(samples, start_facts(classifier, samples))


def start_facts(classifier: Classifier, samples: Samples) -> StartFacts:
    """The same without the samples: with up to 256 of them, evenly spread, by their position."""
    finite = np.flatnonzero(samples.finite)
    starts = spread(finite, _OTHERS)
    return StartFacts(
        rounding=measured_rounding(classifier, samples),
        starts=starts.tolist(),
        labels=own_labels(classifier, samples.rows[starts]).tolist(),
        slope=_slope(classifier, sloped_rows(samples.rows, finite)),
    )


def _slope(classifier: Classifier, rows: F32) -> Slope:
    """Which gradient to follow; there is no choice where there is none."""
    return choose_slope(classifier, rows).slope if classifier.differentiable else "declared"


def sloped_rows(rows: F32, finite: I64) -> F32:
    """The rows at which gradients are held against differences of the scores."""
    return rows[spread(finite, _SLOPES)]


def spread(positions: I64, most: int) -> I64:
    """So many of positions at most, evenly spread."""
    if not len(positions):
        return positions
    chosen: I64 = positions[np.unique(np.linspace(0, len(positions) - 1, most).astype(int))]
    return chosen


def set_facts(samples: Samples, facts: StartFacts) -> SetFacts:
    """The facts of a set of samples, which were asked before."""
    others = Others(rows=samples.rows[facts.starts], label=np.array(facts.labels, np.int64))
    return SetFacts(rounding=facts.rounding, others=others, slope=facts.slope)


def measured_rounding(classifier: Classifier, samples: Samples) -> float:
    """How far a logit moves with the batch size, as a share of the largest; at least float32's rounding.

    Measured on up to 32 finite samples: models in half precision need a larger lead than others.
    """
    rows = samples.rows[np.flatnonzero(samples.finite)[:_SPREAD_SAMPLES]]
    together = logits_of(classifier, rows)
    alone = logits_of(classifier, rows, batch_size=1)
    largest = np.maximum(np.abs(together).max(axis=1), np.finfo(np.float32).tiny)
    spread = float(np.max(np.abs(together - alone).max(axis=1) / largest))
    return max(_ROUNDING, _SPREAD_SAFETY * spread)
