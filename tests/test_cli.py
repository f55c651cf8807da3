"""The command line: what it prints, where, and how it exits."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from robustcheck import assets
from robustcheck.cli import main
from robustcheck.cli._progress import ProgressDisplay
from robustcheck.results import SearchResult

MODEL = str(assets.path(assets.MODELS[0]))
QUICK = ["--budget", "60"]


@pytest.fixture
def data(tmp_path: Path, pixels: np.ndarray, digits: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """24 digits as an npz in the current folder."""
    monkeypatch.chdir(tmp_path)
    np.savez("digits.npz", x=pixels[:24], y=digits[1][:24])
    return "digits.npz"


def test_demo_in_a_fresh_process(tmp_path: Path) -> None:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    ended = subprocess.run(
        [sys.executable, "-m", "robustcheck", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
    assert "report  robustcheck-demo/report.html" in ended.stdout
    assert "next    robustcheck audit" in ended.stdout
    assert "search digits_conv: 100 %" in ended.stderr
    assert "cuda" not in ended.stderr.lower()
    report = json.loads((tmp_path / "robustcheck-demo" / "report.json").read_text())
    assert report["counts"]["found"] == report["counts"]["correct"] > 190
    assert [row["error"][i] for i, row in enumerate(report["transfer"]["rows"])] == [1.0] * 3
    assert len(report["transfer"]["rows"]) == 3


def test_json_is_one_document_on_stdout(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", MODEL, "--data", data, "--json", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["model"]["name"] == "digits_dense_64"
    assert "search digits_dense_64: 100 % (24 of 24)" in err
    assert json.loads(Path("robustcheck-report/report.json").read_text()) == json.loads(out)


def test_quiet(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", MODEL, "--data", data, "--out", "r", "--quiet", *QUICK]) == 0
    assert capsys.readouterr() == ("", "")


def test_flags_reach_the_audit(data: str) -> None:
    with np.load(data) as stored:
        x, y = stored["x"], stored["y"]
    np.savez("other.npz", pictures=(x * 40 - 20), names=y)
    np.save("freeze.npy", np.arange(64).reshape(8, 8) < 8)
    np.savez("box.npz", lower=np.zeros(()), upper=np.ones(8))
    Path("names.txt").write_text("\n".join(f"digit {i}" for i in range(10)))
    flags = ["--x-key", "pictures", "--y-key", "names", "--data-range", "-20", "20", "--limit", "12"]
    flags += [
        "--freeze",
        "freeze.npy",
        "--class-names",
        "names.txt",
        "--box",
        "box.npz",
        "--target",
        "random",
    ]
    flags += ["--reference", f"other={assets.path(assets.MODELS[2])}", "--transfer", "one-way"]
    flags += ["--seed", "3", "--batch-size", "5", "--out", "deep/er/r", *QUICK]
    assert main(["audit", f"mine={MODEL}", "--data", "other.npz", *flags]) == 0
    report = json.loads(Path("deep/er/r/report.json").read_text())
    assert (report["model"]["name"], report["transfer"]["models"]) == ("mine", ["mine", "other"])
    assert report["data"]["limit"] == report["counts"]["total"] == 12
    assert report["data"]["class_names"][3] == "digit 3"
    assert report["provenance"]["batch_size"] == 5
    assert report["provenance"]["options"]["seed"] == 3
    samples = SearchResult.load(Path("deep/er/r/samples.npz"))
    np.testing.assert_allclose(samples.input, x[:12], atol=1e-6)
    assert (samples.target != samples.label).all()
    np.testing.assert_array_equal(
        samples.adversarial[samples.found][:, 0], samples.input[samples.found][:, 0]
    )


def test_labels_model(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(data) as stored:
        np.savez("unlabelled.npz", x=stored["x"])
    assert main(["audit", MODEL, "--data", "unlabelled.npz", "--labels", "model", "--json", *QUICK]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["data"]["labels"] == "model"
    assert report["counts"]["already_wrong"] == 0


ON_DIGITS = ["audit", MODEL, "--data", "digits.npz"]
REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no model": (["audit", "none.keras", "--data", "digits.npz"], 3, "none.keras: expected a model file"),
    "no data": (["audit", MODEL, "--data", "none.npz"], 3, "none.npz: expected an .npz file"),
    "model as data": (["audit", MODEL, "--data", MODEL], 3, "expected an array 'x' or 'x_test'"),
    "data as model": (["audit", "digits.npz", "--data", "digits.npz"], 3, "a file ending in .keras or .h5"),
    "box words": (
        [*ON_DIGITS, "--box", "a", "b"],
        2,
        "--box: expected two numbers",
    ),
    "box order": (
        [*ON_DIGITS, "--box", "1", "0"],
        2,
        "box: expected lower < upper",
    ),
    "box file": (
        [*ON_DIGITS, "--box", "n.npz"],
        2,
        "n.npz: expected an .npz with",
    ),
    "target": ([*ON_DIGITS, "--target", "x"], 2, "--target: expected random"),
    "target class": (
        [*ON_DIGITS, "--target", "11"],
        2,
        "or a class 0 to 9, got 11",
    ),
    "budget": (
        [*ON_DIGITS, "--budget", "0"],
        2,
        "budget: expected a whole number",
    ),
    "limit": ([*ON_DIGITS, "--limit", "0"], 2, "limit: expected a whole number"),
    "outside": (["audit", MODEL, "--data", "wide.npz"], 3, "expected values in the box [0, 1], got 0 to 255"),
    "one pixel": (
        ["audit", MODEL, "--data", "thin.npz"],
        3,
        "samples: expected shape ('N', 8, 8), got (24, 8, 7)",
    ),
    "all wrong": (["audit", MODEL, "--data", "wrong.npz"], 4, "none of the 24 samples is classified right"),
    "reference": (
        [*ON_DIGITS, "--reference", "nine_classes:nine"],
        3,
        "reference 'nine': expected classes 10 as 'digits_dense_64' has, got 9",
    ),
    "my folder": ([*ON_DIGITS, "--out", "."], 2, "files that are not a report's"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_line_with_an_exit_code(
    data: str, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    with np.load(data) as stored:
        x, y = stored["x"], stored["y"]
    np.savez("wide.npz", x=255 * x, y=y)
    np.savez("thin.npz", x=x[:, :, :7], y=y)
    np.savez("wrong.npz", x=x, y=(y + 5) % 10)
    Path("nine_classes.py").write_text(
        "import keras\n"
        "def nine():\n"
        "    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(9)])\n"
    )
    arguments, code, text = REFUSED[case]
    assert main([*arguments, *([] if "--budget" in arguments else QUICK)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert text in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


def test_usage_errors_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["audit", "m", "--data", "d", "--method", "magic"], ["audti"], ["gate"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert main(["audit"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "did you mean audit?" in err
    with pytest.raises(SystemExit) as ended:
        main(["audit", MODEL, "--data", "d", "--budgte", "3", "--quite"])
    assert ended.value.code == 2
    assert "did you mean --budget --quiet?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["audit", MODEL, "--data", "d", "--batch", "3"])  # no abbreviations
    assert "error: expected MODEL, on the command line or in robustcheck.toml" in err


def test_interrupt_before_anything_exits_130(
    data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robustcheck.cli._audit.run_audit", interrupted)
    assert main(["audit", MODEL, "--data", data]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_ctrl_c_writes_what_is_done(data: str) -> None:
    Path("policy.toml").write_text(
        "schema = 1\n[[rule]]\nmetric = 'accuracy.clean'\nmin = 0.1\nmin_samples = 2\n"
    )
    # a budget that leaves seconds of work after the line below, however late the signal comes
    audit = ["audit", MODEL, "--data", data, "--batch-size", "4", "--budget", "4000"]
    audit += ["--policy", "policy.toml", "--json"]
    running = subprocess.Popen(
        [sys.executable, "-m", "robustcheck", *audit],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("search") and "(4 of 24)" not in line and "0 of 24" not in line:
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    report = json.loads(out)
    assert not report["complete"]
    assert report["verdict"] == "INCOMPLETE"
    assert report["rules"][0]["outcome"] == "PASS"
    assert 4 <= report["counts"]["total"] < 24
    assert {check["outcome"] for check in report["checks"]} == {"SKIP"}
    assert "Interrupted" in Path("robustcheck-report/report.html").read_text()
    assert main(["gate", "robustcheck-report", "--policy", "policy.toml"]) == 4


def test_warnings_are_told_in_one_line(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("opaque.py").write_text(
        "import keras, tensorflow as tf\n"
        f"inner = keras.models.load_model({MODEL!r})\n"
        "class Hidden(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.dense = keras.layers.Dense(10)\n"
        "    def call(self, x, training=False):\n"
        "        return tf.nn.softmax(self.dense(tf.reshape(x, (-1, 64))))\n"
        "def hidden():\n"
        "    model = Hidden()\n"
        "    model(tf.zeros((1, 8, 8)))\n"
        "    return model\n"
    )
    assert main(["audit", "opaque:hidden", "--data", data, "--limit", "5", *QUICK]) in (0, 4)
    assert "warning: hidden: the layer before the softmax could not be told" in capsys.readouterr().err


def test_a_path_may_hold_an_equals_sign(data: str) -> None:
    Path("lr=0.1").mkdir()
    Path("lr=0.1/model.keras").write_bytes(Path(MODEL).read_bytes())
    assert main(["audit", "lr=0.1/model.keras", "--data", data, "--quiet", *QUICK]) == 0


def test_box_sides_may_be_infinite_and_come_before_the_model(data: str) -> None:
    assert main(["audit", "--data", data, "--quiet", *QUICK, "--box", "-inf", "inf", MODEL]) == 0
    assert json.loads(Path("robustcheck-report/report.json").read_text())["data"]["box"] == "[-inf, inf]"


def test_what_a_factory_prints_stays_out_of_the_result(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("noisy.py").write_text(
        "import keras\n"
        "def model():\n"
        f"    print('loading'); return keras.models.load_model({MODEL!r})\n"
        "def wrapped():\n"
        "    import robustcheck as rc\n"
        "    return rc.wrap(model(), box=(0, 2))\n"
    )
    assert main(["audit", "noisy:model", "--data", data, "--json", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["model"]["name"] == "model"
    assert "loading" in err
    assert main(["audit", "noisy:wrapped", "--data", data, "--json", "--force", *QUICK]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["box"] == "[0, 2]"


def test_a_reader_that_goes_away_ends_it_quietly(data: str) -> None:
    audit = f"{sys.executable} -m robustcheck audit {MODEL} --data {data} --budget 60"
    command = ["bash", "-c", f"{audit} | true; echo ${{PIPESTATUS[0]}}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.strip() == "0", ended.stderr


def test_out_through_a_link(data: str) -> None:
    Path("disk").mkdir()
    Path("link").symlink_to("disk")
    assert main(["audit", MODEL, "--data", data, "--quiet", "--out", "link", *QUICK]) == 0
    assert Path("disk/report.json").is_file()


def test_a_long_stage_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 20.0, 30.0])
    monkeypatch.setattr("robustcheck.cli._progress.time", SimpleNamespace(monotonic=lambda: next(clock)))
    log = Console(record=True, file=io.StringIO(), width=80)
    display = ProgressDisplay(log)
    for done in (0, 5, 20, 40):
        display("search a", done, 400)
    assert log.export_text().splitlines() == [
        "search a: about 6 min left for 380 of 400",
        "search a: 10 % (40 of 400)",
    ]
