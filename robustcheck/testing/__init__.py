"""Robustness as assertions, for any test runner.

``_assertions`` are functions that raise an ``AssertionError`` which explains itself; ``_figure`` is a measure
that knows its report, for ``assert`` on a plain comparison; ``_baseline`` keeps an audit beside a test and
holds another model against it; ``_spread`` measures how far models trained alike lie apart; ``_explain`` is
the wording of them all. The pytest plugin stands on these.
"""

from robustcheck.testing._assertions import (
    assert_min_distortion,
    assert_no_regression,
    assert_policy,
    assert_robust_accuracy,
    assert_transfer_below,
    radius_metric,
    require_rules,
)
from robustcheck.testing._baseline import (
    ACCURACY,
    REL,
    assert_baseline,
    baseline_file,
    missing_norms,
    read_baselines,
    standing_line,
    write_baseline,
)
from robustcheck.testing._explain import ReportPlace, figure_line, rule_line, rules_text
from robustcheck.testing._figure import Figure, figure, figure_of
from robustcheck.testing._spread import SeedSpread, seed_spread

__all__ = [
    "ACCURACY",
    "REL",
    "Figure",
    "ReportPlace",
    "SeedSpread",
    "assert_baseline",
    "assert_min_distortion",
    "assert_no_regression",
    "assert_policy",
    "assert_robust_accuracy",
    "assert_transfer_below",
    "baseline_file",
    "figure",
    "figure_line",
    "figure_of",
    "missing_norms",
    "radius_metric",
    "read_baselines",
    "require_rules",
    "rule_line",
    "rules_text",
    "seed_spread",
    "standing_line",
    "write_baseline",
]
