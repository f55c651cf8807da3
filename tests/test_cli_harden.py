"""``robustcheck harden`` and ``robustcheck compare --html``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import robustcheck as rc
from robustcheck import assets, auditing
from robustcheck.cli import main
from robustcheck.config import HardenConfig
from robustcheck.errors import ConfigError

WORDS = ["--data", "train.npz", "--test-data", "test.npz", "--limit", "40", "--warmup", "5", "--fresh", "64"]


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after one run of the command, with what it was run on."""
    folder = tmp_path_factory.mktemp("harden")
    with np.load(assets.path(assets.DIGITS)) as stored:
        x, y = stored["x_train"], stored["y_train"]
        np.savez(folder / "train.npz", x=(x[:600] / 16).astype(np.float32), y=y[:600])
        np.savez(folder / "test.npz", x=(stored["x_test"] / 16).astype(np.float32), y=stored["y_test"])
    shutil.copy(assets.path(assets.MODELS[0]), folder / "model.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["harden", "model.keras", *WORDS, "--epochs", "6", "--cap", "1", "--quiet"]) == 0
    return folder


def test_what_it_leaves(hardened: Path) -> None:
    out = hardened / "hardened"
    before, after = (json.loads((out / name / "report.json").read_text()) for name in ("before", "after"))
    assert before["counts"]["total"] == after["counts"]["total"] == 40
    assert before["model"]["sha256"] != after["model"]["sha256"]
    medians = [report["measures"]["distortion.l2.median"]["value"] for report in (before, after)]
    assert medians[1] > 1.02 * medians[0], "pools of what fools the model make it harder to fool"
    model = keras.saving.load_model(out / "hardened.keras")
    assert not getattr(model, "compiled", False), "the optimiser's state would triple the file"
    page = (out / "compare.html").read_text()
    assert "<script" not in page
    assert "No regression" in page
    assert page.count("<path") == 2


def test_it_replaces_only_when_asked(
    hardened: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(hardened)
    again = ["harden", "model.keras", *WORDS, "--epochs", "6", "--cap", "1"]
    assert main(again) == 2
    assert "holds a hardened model" in capsys.readouterr().err
    assert main([*again, "--force", "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["schema"] == "robustcheck.hardening/1"
    assert printed["training"]["epochs"] == 6
    assert {pool["layer"] for pool in printed["training"]["pools"]} == {"input", "dense"}
    assert not (hardened / "hardened" / "run").exists(), "what a run that is over needs no more"


def test_the_comparison_page_escapes(hardened: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(hardened)
    shutil.copytree(hardened / "hardened" / "after", tmp_path / "evil")
    file = tmp_path / "evil" / "report.json"
    file.write_text(file.read_text().replace('"name": "hardened"', '"name": "<script>alert(1)</script>"'))
    assert (
        main(["compare", "hardened/before", str(tmp_path / "evil"), "--html", str(tmp_path / "c.html")]) == 0
    )
    page = (tmp_path / "c.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--epochs", "0"], 2, "(--epochs): expected 1 or more, got 0"),
        (["--cap", "0"], 2, "cap: expected a number above 0"),
        (["--layers", "nowhere"], 2, "expected layers that cut the graph"),
        (["--layers", "all", "--layers", "input"], 2, "(--layers): expected all, or names"),
        (["--box", "0", "x"], 2, "--box: expected two numbers"),
        (["--data", "nothing.npz"], 3, "nothing.npz"),
    ],
)
def test_refused(
    hardened: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(hardened)
    assert main(["harden", "model.keras", *WORDS, "--out", str(tmp_path / "out"), *words]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_files_hold_for_training_and_its_audits(
    hardened: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[HardenConfig] = []

    def look(config: HardenConfig, _: Any) -> None:
        seen.append(config)
        raise ConfigError("seen")

    monkeypatch.setattr(auditing, "harden_and_audit", look)
    shutil.copy(hardened / "model.keras", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("robustcheck.toml").write_text(
        "data = 'test.npz'\nbox = [0, 2]\nmethod = 'szegedy'\nbatch_size = 7\nx_key = 'mine'\n"
        "candidates = 2\npolicy = 'p.toml'\nout = 'reports'\nbudget = 77\n"
        "[harden]\ndata = 'train.npz'\nepochs = 4\nbudget = 30\nlayers = ['input']\nx_key = 'x_train'\n"
    )
    assert main(["harden", "model.keras", "--epochs", "5"]) == 2
    audit = seen[-1].audit
    assert (audit.data, audit.x_key, audit.limit, audit.batch_size) == ("test.npz", "mine", 200, 7)
    assert audit.options == rc.SearchOptions(method="szegedy", budget=77, candidates=2)
    assert (audit.policy, audit.out) == (None, None)
    assert (seen[-1].data, seen[-1].x_key, seen[-1].layers) == ("train.npz", "x_train", ("input",))
    assert (seen[-1].epochs, seen[-1].pool.budget, seen[-1].batch_size) == (5, 30, 128)
    # without data of their own the audits are on what the model is trained on
    Path("robustcheck.toml").write_text("limit = 9\n[harden]\ndata = 'train.npz'\ny_key = 'label'\n")
    assert main(["harden", "model.keras"]) == 2
    assert (seen[-1].audit.data, seen[-1].audit.y_key, seen[-1].audit.limit) == ("train.npz", "label", 9)
    Path("robustcheck.toml").write_text("[harden]\nepoch = 3\n")
    assert main(["harden", "model.keras"]) == 2
    assert len(seen) == 2
