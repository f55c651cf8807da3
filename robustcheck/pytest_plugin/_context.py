"""The test that asks: its files, its marker, what is put on its report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from robustcheck import testing
from robustcheck.pytest_plugin._settings import PluginSettings, marker_arguments


class AskingTest:
    """A test with the fixture, as its audits need to know it.

    Attributes:
        settings: what is set for the session.
        marked: arguments of the markers on the test.
        judged: whether a policy was applied.
    """

    def __init__(self, request: pytest.FixtureRequest, settings: PluginSettings) -> None:
        self._request = request
        self.settings = settings
        self.marked = marker_arguments(request.node)
        self.judged = False

    def place(self, given: Any) -> Any:
        """A file's name as a path from here, beside the test or in the root folder; else as it is."""
        if not isinstance(given, str | Path):
            return given
        for folder in (self._request.path.parent, self.settings.root):
            if (folder / given).exists():
                return os.path.relpath(folder / given)
        return str(given)

    @property
    def nodeid(self) -> str:
        """The test, as pytest names it."""
        return str(self._request.node.nodeid)

    def baseline(self) -> Path:
        """Where this test's baseline is kept."""
        beside = self._request.path.parent
        if self.settings.baseline_dir is None:
            folder = beside / "__robustness__"
        else:
            inside = beside.is_relative_to(self.settings.root)
            below = beside.relative_to(self.settings.root) if inside else Path()
            folder = self.settings.root / self.settings.baseline_dir / below
        return testing.baseline_file(folder, self._request.path.stem, self._test)

    @property
    def _test(self) -> str:
        return self.nodeid.partition("::")[2]

    def report_folder(self, below: Path, number: int) -> Path:
        """Where the report of the test's audit of that number goes if the test fails."""
        whole = testing.baseline_file(below, self._request.path.stem, self._test)
        return whole.with_suffix("") if not number else whole.with_name(f"{whole.stem}-{number + 1}")

    def properties(self, name: str, value: float) -> None:
        """Put a figure on the test's report, for ``--junitxml``."""
        entry = (f"robustness.{name}", value)
        if entry not in self._request.node.user_properties:
            self._request.node.user_properties.append(entry)

    def subtests(self) -> Any:
        """pytest's own sub-tests, where this pytest has them."""
        try:
            return self._request.getfixturevalue("subtests")
        except pytest.FixtureLookupError:
            return None
