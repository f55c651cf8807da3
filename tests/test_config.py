from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from robustcheck.config import AuditConfig, Box, SearchOptions
from robustcheck.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "fgsm"}, r"--method.: expected one of \['boundary', 'szegedy', 'decision'\], got 'fgsm'"),
        ({"budget": 0}, "--budget.: expected a whole number from 20 to 1000000, got 0"),
        (
            {"budget": 50, "method": "szegedy"},
            "--budget.: expected a whole number from 60 to 1000000, got 50",
        ),
        ({"budget": 10**30}, "--budget.: expected a whole number from 20 to 1000000"),
        ({"candidates": 1.5}, "--candidates.: expected a whole number from 1 to 100000, got 1.5"),
        ({"history": -1}, "--history.: expected a whole number"),
        ({"tolerance": 0.0}, "--tolerance.: expected a number above 0"),
        ({"seed": -1}, "--seed.: expected a whole number, 0 or more"),
        ({"loss_scale": "big"}, "--loss-scale.: expected 'auto' or a positive number, got 'big'"),
        ({"loss_scale": float("inf")}, "--loss-scale.: expected 'auto' or a positive number"),
        ({"norm": "l3"}, "--norm.: expected one of"),
        ({"norm": "l1", "method": "szegedy"}, "--norm.: expected 'l2' or 'linf' with the method szegedy"),
    ],
)
def test_search_options_refuse(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as refused:
        SearchOptions(**options)
    assert refused.value.exit_code == 2


def test_options_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        SearchOptions().budget = 3  # type: ignore[misc]


def test_box_broadcasts_and_describes() -> None:
    lower, upper = Box.of((0, [1.0, 2.0, 3.0])).rows((2, 3))
    np.testing.assert_array_equal(lower, np.zeros(6))
    np.testing.assert_array_equal(upper, [1, 2, 3, 1, 2, 3])
    assert Box.of((0, [1.0, 2.0])).describe() == "[0, 1..2]"
    assert Box.of((-np.inf, np.inf)).describe() == "[-inf, inf]"


@pytest.mark.parametrize("box", [(1, 0), (0, 0), 3, ("a", "b"), (0, [1, -1])])
def test_box_refuses(box: Any) -> None:
    with pytest.raises(ConfigError, match=r"box= \(--box\): expected"):
        Box.of(box)


def test_box_that_does_not_fit_a_sample() -> None:
    with pytest.raises(
        ConfigError, match=r"broadcast to a sample of shape \(2, 3\), got shapes \(\) and \(2,\)"
    ):
        Box.of((0, [1.0, 2.0])).rows((2, 3))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"limit": 0}, "--limit.: expected"),
        ({"data_range": (0.0, float("inf"))}, "finite low < high"),
        ({"transfer_rms": (0.1,)}, "a reference to compare with"),
        ({"baseline": "b"}, "a policy beside it"),
        ({"data_range": (1.0, 1.0)}, "--data-range.: expected finite low < high"),
        ({"norms": ("l2", "l3")}, "--norm.: expected some of .*, each once"),
        ({"norms": ("l2", "l2")}, "--norm.: expected some of .*, each once"),
        ({"norms": ()}, "--norm.: expected some of .*, each once"),
        ({"norms": ["l2"]}, "--norm.: expected some of .*, each once"),
        (
            {"norms": ("l2",), "options": SearchOptions(norm="l1")},
            "--norm.: expected 'l1' first, as the options say",
        ),
        ({"norms": ("l2", "l1"), "options": SearchOptions(method="szegedy")}, "with the method szegedy"),
    ],
)
def test_audit_config_refuses(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        AuditConfig(model="m", data="d", **settings)
