"""Robustness assertions in pytest: the fixture and marker ``robustness``, baselines, a summary.

A project that has the plugin and does not use it pays for this module and ``_settings``, the options, alone:
everything else, TensorFlow last, is imported when a test first asks for it. ``_context`` is the test that
asks, ``_fixture`` what it is given, ``_audited`` an audit with its figures, ``_audits`` the audits of a
session, shared by the workers of pytest-xdist, ``_summary`` the table at the end.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from robustcheck.pytest_plugin import _settings
from robustcheck.pytest_plugin._settings import PluginSettings

if TYPE_CHECKING:
    from robustcheck.pytest_plugin._audits import Audits
    from robustcheck.pytest_plugin._fixture import Robustness

_SETTINGS = pytest.StashKey[PluginSettings]()
_AUDITS: pytest.StashKey[Audits] = pytest.StashKey()
_FIXTURE: pytest.StashKey[Robustness] = pytest.StashKey()
# where the workers of pytest-xdist share their audits
_SHARED = pytest.StashKey[Path]()

_MARKER = (
    "robustness(model=..., data=..., policy=..., **settings): what the fixture robustness audits and judges "
    "by; settings are those of robustness.audit"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and ini keys."""
    _settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options; register the marker."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[_SETTINGS] = _settings.read_settings(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Throw away what workers shared."""
    shared = config.stash.get(_SHARED, None)
    if shared is not None:
        shutil.rmtree(shared, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where audits are shared, and whether baselines are to be written."""
    config = node.config
    if _SHARED not in config.stash:
        config.stash[_SHARED] = Path(tempfile.mkdtemp(prefix="robustcheck-"))
    node.workerinput["robustness"] = {
        "shared": str(config.stash[_SHARED]),
        "update": config.stash[_SETTINGS].update,
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse markers that make no sense; skip what is to be skipped."""
    settings = config.stash[_SETTINGS]
    for item in items:
        marked = item.get_closest_marker("robustness") is not None
        # a worker of pytest-xdist must not stop during collection: there the test itself fails
        if marked and settings.shared is None:
            _settings.require_marker(item)
        if settings.skip and (marked or "robustness" in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip(reason="--robustness-skip"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse markers that make no sense where collection could not."""
    if item.config.stash[_SETTINGS].shared is not None:
        _settings.require_marker(item)


@pytest.fixture
def robustness(request: pytest.FixtureRequest) -> Iterator[Robustness]:
    """Audits of this test: ``robustness.audit(model, data)``, ``robustness.check_policy()``."""
    from robustcheck.pytest_plugin._audits import Audits
    from robustcheck.pytest_plugin._context import AskingTest
    from robustcheck.pytest_plugin._fixture import Robustness

    config = request.config
    if _AUDITS not in config.stash:
        config.stash[_AUDITS] = Audits(config.stash[_SETTINGS].shared)
    made = Robustness(AskingTest(request, config.stash[_SETTINGS]), config.stash[_AUDITS])
    request.node.stash[_FIXTURE] = made
    yield made
    unchecked = made.unchecked()
    if unchecked is not None and made.passed:
        pytest.fail(unchecked, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001 - pytest names it
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put on the report of a test what its audits came to; write their pages where it failed."""
    report = yield
    made = item.stash.get(_FIXTURE, None)
    if made is not None and report.when == "call":
        made.passed = report.passed
        for page in made.write_reports() if report.failed else ():
            report.sections.append(("robustness report", page))
        # pytest-xdist sends a report with all its attributes
        report.robustness = made.for_summary()  # type: ignore[attr-defined]
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a comparison with a measure."""
    if "robustcheck.results" not in sys.modules:
        return None
    from robustcheck.pytest_plugin._audited import explain

    return explain(op, left, right)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table of the audits of all tests, those of all workers together."""
    audits = [
        audit
        for reports in terminalreporter.stats.values()
        for report in reports
        # a sub-test reports what its test does
        if type(report) is pytest.TestReport
        for audit in getattr(report, "robustness", ())
    ]
    if audits:
        from robustcheck.pytest_plugin._summary import write_summary

        write_summary(terminalreporter, audits)
