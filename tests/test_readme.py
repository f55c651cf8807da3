"""Every command and snippet of the README and of the manual does what it says."""

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
from robustcheck.cli._help import page, topics
from robustcheck.measures import GRAMMAR
from robustcheck.policy import read_policy

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {"README": README, **{topic: page(topic) for topic in topics()}}


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def of_all(language: str) -> list[str]:
    """The blocks of all pages, each once."""
    return list(dict.fromkeys(block for text in PAGES.values() for block in blocks(language, text)))


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
@pytest.mark.parametrize("block", [block for block in of_all("sh") if block.startswith("robustcheck")])
def test_commands(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in block.splitlines():
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr()
        out = capsys.readouterr().out
        whole = "audit" in command and "--shard" not in command
        assert not whole or "Distance to the nearest misclassified input" in out


def test_the_policy_shown_is_one(tmp_path: Path) -> None:
    (shown,) = of_all("toml")
    (tmp_path / "policy.toml").write_text(shown)
    assert len(read_policy(tmp_path / "policy.toml").rules) == 4
    for metric in re.findall(
        r"`(accuracy|distortion|transfer|attack|search|check)\.([^`]*)`", PAGES["policies"]
    ):
        assert any(known.startswith(f"{metric[0]}.") for known in GRAMMAR)
    for check in skipped(""):
        assert f"| `{check.id}` |" in PAGES["numbers"]
        assert check.id in PAGES["policies"]


ON_PLUGIN = [code for code in of_all("python") if "robustness," in code]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("code", [code for code in of_all("python") if code not in ON_PLUGIN])
def test_snippets(code: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    for name, value in names.items():
        if name.startswith("test_"):
            value()


def test_the_output_shown_is_the_demos() -> None:
    shown = blocks("text")[0]
    assert re.search(r"found           (\d+) of \1 \(100.0 %\)", shown)
    assert "report  robustcheck-demo/report.html" in shown
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
    code, of_forms = ON_PLUGIN
    pytester.makepyfile(test_model=code, test_forms=of_forms)
    result = pytester.runpytest_inprocess("-p", "no:randomly", "--robustness-update-new-only")
    result.assert_outcomes(passed=4)
    pytester.makepyfile(test_model=code.replace(">= 0.4", ">= 0.6"))
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-k", "floor")
    result.assert_outcomes(failed=1)
    shown = blocks("text")[1].splitlines()
    figures = re.compile(r"\d+(\.\d+)?")
    said = [figures.sub("#", line) for line in result.stdout.lines]
    assert all(figures.sub("#", line) in said for line in shown)
    numbers = [
        float(number) for number in re.findall(r"= (0\.\d+) over", "\n".join([*shown, *result.stdout.lines]))
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01)


def test_help_shows_every_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    listed = capsys.readouterr().out
    for topic in topics():
        assert f"robustcheck help {topic}" in listed
        assert f"(robustcheck/manual/{topic}.md)" in README
        assert main(["help", topic]) == 0
        shown = capsys.readouterr().out
        assert PAGES[topic].partition("\n")[0].removeprefix("# ").split(":")[0] in shown
    assert main(["help", "model"]) == 2
    assert "did you mean 'models'?" in capsys.readouterr().err


def test_the_readme_is_short() -> None:
    """Depth is in the manual; what the demo prints and what a failing test says are not counted."""
    shown = sum(block.count("\n") for block in blocks("text"))
    assert README.count("\n") - shown <= 150
