"""Every command and snippet of the README does what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustcheck import assets
from robustcheck.checks import skipped
from robustcheck.cli import main
from robustcheck.measures import GRAMMAR
from robustcheck.policy import read_policy

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def fill(folder: Path, pixels: np.ndarray, digits: Any) -> None:
    """The model and data files that the README speaks of."""
    shutil.copy(assets.path(assets.MODELS[0]), folder / "model.keras")
    shutil.copy(assets.path(assets.MODELS[1]), folder / "older.keras")
    np.savez(folder / "digits.npz", x=pixels, y=digits[1])


@pytest.fixture
def project(tmp_path: Path, pixels: np.ndarray, digits: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the README speaks of, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, pixels, digits)
    Path("project.py").write_text(
        "import keras\ndef build_model():\n    return keras.saving.load_model('model.keras')\n"
    )
    return tmp_path


def test_ci_runs_the_two_commands() -> None:
    commands = [block.strip() for block in blocks("sh") if block.startswith("pip")]
    assert len(commands) == 2
    ci = [line.strip() for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()]
    assert all(command in ci for command in commands)
    assert "PYTEST_ADDOPTS" not in "".join(ci)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("block", [block for block in blocks("sh") if block.startswith("robustcheck")])
def test_commands(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in block.splitlines():
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr()
        out = capsys.readouterr().out
        assert "audit" not in command or "Distance to the nearest misclassified input" in out


def test_the_policy_shown_is_one(tmp_path: Path) -> None:
    (shown,) = blocks("toml")
    (tmp_path / "policy.toml").write_text(shown)
    assert len(read_policy(tmp_path / "policy.toml").rules) == 3
    for metric in re.findall(r"`(accuracy|distortion|transfer|attack|search|check)\.([^`]*)`", README):
        assert any(one.startswith(f"{metric[0]}.") for one in GRAMMAR)
    for check in skipped(""):
        assert check.id in README


ON_PLUGIN = [code for code in blocks("python") if "robustness," in code]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("code", [code for code in blocks("python") if code not in ON_PLUGIN])
def test_snippets(code: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    for name, value in names.items():
        if name.startswith("test_"):
            value()


def test_the_output_shown_is_the_demos() -> None:
    shown = blocks("text")[0]
    for line in ("found           196 of 196 (100.0 %)", "report  robustcheck-demo/report.html"):
        assert line in shown
    assert all(name.removesuffix(".keras") in shown for name in assets.MODELS)


def test_the_tests_shown(
    modules_stay: None,  # noqa: ARG001 - before pytester, which it changes
    pytester: pytest.Pytester,
    pixels: np.ndarray,
    digits: Any,
) -> None:
    """The snippet for the plugin, run by pytest; and what a failure says, but for the figures."""
    fill(pytester.path, pixels, digits)
    (pytester.path / "policy.toml").write_text("schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 0.9\n")
    (code,) = ON_PLUGIN
    pytester.makepyfile(test_model=code)
    result = pytester.runpytest_inprocess("-p", "no:randomly", "--robustness-update-new-only")
    result.assert_outcomes(passed=3)
    pytester.makepyfile(test_model=code.replace(">= 0.4", ">= 0.6"))
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-k", "floor")
    result.assert_outcomes(failed=1)
    shown = blocks("text")[1].splitlines()
    figures = re.compile(r"\d+(\.\d+)?")
    said = [figures.sub("#", line) for line in result.stdout.lines]
    assert all(figures.sub("#", line) in said for line in shown)
    numbers = [
        float(one) for one in re.findall(r"= (0\.\d+) over", "\n".join([*shown, *result.stdout.lines]))
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01)
