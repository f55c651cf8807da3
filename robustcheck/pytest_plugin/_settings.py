"""Options and ini keys, checked; the arguments of the marker."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

Update = Literal["no", "new", "all"]

# settings of an audit that are not a test's to set: what is audited stands before them, and a test keeps and
# judges reports in ways of its own
_NOT_A_TESTS = frozenset(
    {
        "model",
        "data",
        "reference",
        "out",
        "force",
        "policy",
        "baseline",
        "report_assets",
        "resume",
        "shard",
        "no_examples",
    }
)


@cache
def audit_arguments() -> frozenset[str]:
    """What ``robustness.audit`` takes besides model and data."""
    # not before a test uses it: a project that does not pays nothing
    from robustcheck.settings import audit_settings

    return frozenset(audit_settings()) - _NOT_A_TESTS | {"references", "norms", "options", "min_samples"}


@cache
def known_marker_arguments() -> frozenset[str]:
    """What the marker takes."""
    return audit_arguments() | {"model", "data", "policy", "baseline"}


@dataclass(frozen=True, kw_only=True)
class PluginSettings:
    """What is set for a session.

    Attributes:
        root: pytest's root folder.
        start: the folder that pytest was started in; what a message names is relative to it.
        report: where reports of failing tests go.
        seed: of searches that state none.
        max_samples: samples of an audit at most.
        skip: tests that use the fixture.
        update: which baselines are written.
        held_back: whether an update that a file asks for is not done because this is CI.
        baseline_dir: folder of baselines under the root; None = beside each test.
        tolerance: share by which distances may fall.
        policy: file with rules where a test names none.
        shared: folder of audits that the workers of pytest-xdist share.
    """

    root: Path
    start: Path
    report: Path | None
    seed: int
    max_samples: int | None
    skip: bool
    update: Update
    held_back: bool
    baseline_dir: str | None
    tolerance: float | None
    policy: Path | None
    shared: Path | None


def add_options(parser: pytest.Parser) -> None:
    """Declare options and ini keys."""
    group = parser.getgroup("robustness", "robustness of Keras models")
    group.addoption(
        "--robustness-report",
        metavar="DIR",
        help="write the report of each audit of a failing test below DIR",
    )
    group.addoption(
        "--robustness-seed",
        type=int,
        default=0,
        metavar="N",
        help="of all searches that state none; default: 0",
    )
    group.addoption("--robustness-max-samples", type=int, metavar="N", help="samples of an audit at most")
    group.addoption(
        "--robustness-skip", action="store_true", help="skip tests with the fixture or marker robustness"
    )
    group.addoption("--robustness-update", action="store_true", help="write all baselines anew")
    group.addoption(
        "--robustness-update-new-only", action="store_true", help="write the baselines that are missing"
    )
    parser.addini("robustness_baseline_dir", "folder of baselines; default: __robustness__ beside each test")
    parser.addini("robustness_tolerance", "share by which distances may fall under a baseline; default: 0.05")
    parser.addini("robustness_policy", "policy file where a test names none")


def read_settings(config: pytest.Config) -> PluginSettings:
    """What is in force.

    Raises:
        pytest.UsageError: a value that makes no sense.
    """
    option = config.option
    worker = getattr(config, "workerinput", {}).get("robustness", {})
    update, held_back = (worker["update"], False) if worker else _update(config)
    if option.robustness_seed < 0:
        raise pytest.UsageError(f"--robustness-seed: expected 0 or more, got {option.robustness_seed}")
    most = option.robustness_max_samples
    if most is not None and most < 1:
        raise pytest.UsageError(f"--robustness-max-samples: expected 1 or more, got {most}")
    if most is not None and update != "no":
        raise pytest.UsageError("a baseline is written of all samples: leave out --robustness-max-samples")
    policy = str(config.getini("robustness_policy") or "")
    if policy and not (config.rootpath / policy).is_file():
        raise pytest.UsageError(f"robustness_policy: expected a file, got nothing at {policy}")
    start = config.invocation_params.dir
    report = None if option.robustness_report is None else start / option.robustness_report
    if report is not None and report.exists() and not report.is_dir():
        raise pytest.UsageError(f"--robustness-report: expected a folder, got a file: {report}")
    return PluginSettings(
        root=config.rootpath,
        start=start,
        report=report,
        seed=option.robustness_seed,
        max_samples=most,
        skip=option.robustness_skip,
        update=update,
        held_back=held_back,
        baseline_dir=str(config.getini("robustness_baseline_dir") or "") or None,
        tolerance=_tolerance(str(config.getini("robustness_tolerance") or "")),
        policy=config.rootpath / policy if policy else None,
        shared=Path(worker["shared"]) if worker else None,
    )


def _update(config: pytest.Config) -> tuple[Update, bool]:
    """Which baselines are written; in CI only if the command line itself says so."""
    option = config.option
    update: Update = "new" if option.robustness_update_new_only else "no"
    update = "all" if option.robustness_update else update
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    asked = any(str(arg).startswith("--robustness-update") for arg in config.invocation_params.args)
    return ("no", update != "no") if in_ci and not asked else (update, False)


def _tolerance(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise pytest.UsageError(f"robustness_tolerance: expected a share from 0 to below 1, got {text!r}")
    return value


def require_marker(item: pytest.Item) -> None:
    """Refuse a marker whose arguments mean nothing, or that no fixture reads.

    Raises:
        pytest.UsageError: naming the test.
    """
    for mark in item.iter_markers("robustness"):
        if mark.args:
            raise pytest.UsageError(
                f"{item.nodeid}: robustness marker: expected named arguments, got {mark.args}"
            )
        fault = unknown_argument(mark.kwargs, known_marker_arguments())
        if fault is not None:
            raise pytest.UsageError(f"{item.nodeid}: robustness marker: {fault}")
        # one on a module or class may be meant for its other tests
        own = mark in item.own_markers
        if own and mark.kwargs and "robustness" not in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(
                f"{item.nodeid}: robustness marker: expected a test that takes the fixture robustness, since "
                "nothing is audited without it"
            )


def marker_arguments(node: Any) -> dict[str, Any]:
    """The arguments of all markers on a test, its own over those of its class and module."""
    merged: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("robustness"))):
        merged |= mark.kwargs
    return merged


def unknown_argument(given: Mapping[str, Any], known: frozenset[str]) -> str | None:
    """What is wrong with the names of some arguments, and what was perhaps meant."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(sorted(known))}"
            return f"unknown argument {name!r}; {hint}"
    return None
