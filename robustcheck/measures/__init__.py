"""Figures, each with its number of samples and an interval, from what a search found.

Nothing here sees a model, so a stored report can be measured again. ``_statistics`` has the figures of plain
arrays, ``_metric`` the names that policies use, ``_bootstrap`` intervals by resampling, ``_paired`` models
over the same samples or seeds, ``_audit`` all figures of an audit, ``_belief`` why a figure may not be
believed.
"""

from robustcheck.measures._audit import (
    audit_measures,
    count,
    distortion_measures,
    last_doubling,
    robust_accuracy_curve,
)
from robustcheck.measures._belief import MIN_FOUND, MIN_SAMPLES, Doubt, Grounds, Whose, believed, doubt
from robustcheck.measures._bootstrap import bootstrapped, resamples
from robustcheck.measures._column import (
    APART,
    WEAKER,
    Column,
    column,
    deployed_measures,
    doubling_name,
    measure,
    table_of,
    transfer_measures,
)
from robustcheck.measures._metric import GRAMMAR, MEASURED, SEARCHED, Metric, parse_metric
from robustcheck.measures._paired import McNemar, PairedMean, mcnemar, paired_mean
from robustcheck.measures._statistics import QUANTILES, binomial_tail, known, mean, quantile, share

__all__ = [
    "APART",
    "GRAMMAR",
    "MEASURED",
    "MIN_FOUND",
    "MIN_SAMPLES",
    "QUANTILES",
    "SEARCHED",
    "WEAKER",
    "Column",
    "Doubt",
    "Grounds",
    "McNemar",
    "Metric",
    "PairedMean",
    "Whose",
    "audit_measures",
    "believed",
    "binomial_tail",
    "bootstrapped",
    "column",
    "count",
    "deployed_measures",
    "distortion_measures",
    "doubling_name",
    "doubt",
    "known",
    "last_doubling",
    "mcnemar",
    "mean",
    "measure",
    "paired_mean",
    "parse_metric",
    "quantile",
    "resamples",
    "robust_accuracy_curve",
    "share",
    "table_of",
    "transfer_measures",
]
