"""Whatever reads a file from outside refuses what was damaged, or takes it: nothing else comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzz import Target, run, targets
from hypothesis import given
from hypothesis import strategies as st

from robustcheck.errors import ConfigError, RobustcheckError
from robustcheck.stored import read_toml

ALL = list(targets())
CASES = 200


@pytest.mark.parametrize("target", ALL, ids=[f"{number}-{target.name}" for number, target in enumerate(ALL)])
def test_damaged_files(target: Target, tmp_path: Path) -> None:
    came = run(target, tmp_path, np.random.default_rng(18), CASES)
    assert came["refused"] + came["taken"] == CASES


@pytest.mark.parametrize("target", ALL, ids=[f"{number}-{target.name}" for number, target in enumerate(ALL)])
def test_what_is_damaged_is_taken_as_it_was(target: Target, tmp_path: Path) -> None:
    """Else the file would be refused for something else, and what is damaged would not be seen."""
    if target.name in ("plan.json", "spec.txt"):
        pytest.skip("refused for what it lacks, after it was read")
    path = tmp_path / target.name
    path.write_bytes(target.content)
    target.read(path)


@given(st.text())
def test_a_line_of_a_message_is_one(text: str) -> None:
    """Whatever is in a name from a file, it begins no line of its own."""
    assert len(str(RobustcheckError(text)).splitlines()) <= 1
    assert str(ConfigError(text, text)).count("\n") == 1


@given(
    st.recursive(
        st.integers(), lambda inner: st.dictionaries(st.text("ab.", min_size=1), inner), max_leaves=50
    )
)
def test_settings_of_any_shape(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(f"a = {str(value).replace(': ', ' = ')}")
    try:
        stored, _ = read_toml(path, "settings")
    except ConfigError:
        return
    assert stored == {"a": value}
