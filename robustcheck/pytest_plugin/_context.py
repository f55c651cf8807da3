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
        kept: names of the baselines that the test checked.
    """

    def __init__(self, request: pytest.FixtureRequest, settings: PluginSettings) -> None:
        self._request = request
        self.settings = settings
        self.marked = marker_arguments(request.node)
        self.judged = False
        self.kept: set[str] = set()

    def place(self, given: Any) -> Any:
        """A file's name as a path, beside the test or in the root folder; anything else as it is."""
        if not isinstance(given, str | Path):
            return given
        for folder in (self._request.path.parent, self.settings.root):
            if (folder / given).exists():
                return self.shown(folder / given)
        return str(given)

    def shown(self, path: Path) -> str:
        """A path relative to where pytest was started, unless the test went elsewhere."""
        here = Path.cwd() == self.settings.start
        return os.path.relpath(path, self.settings.start) if here else str(path.absolute())

    @property
    def again(self) -> str:
        """The test as a command line names it from where pytest was started."""
        return f"{os.path.relpath(self._request.path, self.settings.start)}::{self._test}"

    @property
    def nodeid(self) -> str:
        """The test, as pytest names it."""
        return str(self._request.node.nodeid)

    def baseline(self) -> Path:
        """Where this test's baseline is kept."""
        beside = self._request.path.parent
        folder = beside / "__robustness__"
        if self.settings.baseline_dir is not None:
            folder = self.settings.root / self.settings.baseline_dir / self._below_root
        return testing.baseline_file(folder, self._request.path.stem, self._test)

    @property
    def _below_root(self) -> Path:
        """The folder of the test in the root folder."""
        beside = self._request.path.parent
        return beside.relative_to(self.settings.root) if beside.is_relative_to(self.settings.root) else Path()

    @property
    def _test(self) -> str:
        return self.nodeid.partition("::")[2]

    def report_folder(self, below: Path, number: int) -> Path:
        """Where the report of the test's audit of that number goes if the test fails."""
        whole = testing.baseline_file(below / self._below_root, self._request.path.stem, self._test)
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
