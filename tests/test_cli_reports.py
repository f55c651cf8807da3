"""The commands that work on stored reports, and the manners all commands share."""

from __future__ import annotations

import io
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from robustcheck import assets
from robustcheck.cli import main
from robustcheck.report import picture, read_report
from robustcheck.report._picture import _in_colour, _in_letters

MODEL, OLDER, CONV = (str(assets.path(name)) for name in assets.MODELS)
KEPT = "schema = 1\n[[rule]]\nmetric = 'distortion.l2.median'\nmin = 0.1\n"
BROKEN = "schema = 1\n[[rule]]\nmetric = 'distortion.l2.median'\nmin = 9.0\n"
UNKNOWN = "schema = 1\n[[rule]]\nmetric = 'transfer.max'\nmax = 0.9\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray, digits: Any) -> Path:
    """Reports on a model and on a weakened one, policies, and the data."""
    folder = tmp_path_factory.mktemp("reports")
    np.savez(folder / "digits.npz", x=pixels[:40], y=digits[1][:40])
    _weaken(folder / "weak.keras")
    # replay finds the model by the path in the report
    audit = ["--data", str(folder / "digits.npz"), "--quiet", "--budget", "60", "--verbose-provenance"]
    assert main(["audit", MODEL, *audit, "--out", str(folder / "good")]) == 0
    assert main(["audit", str(folder / "weak.keras"), *audit, "--out", str(folder / "weak")]) == 0
    for name, text in (("kept", KEPT), ("broken", BROKEN), ("unknown", UNKNOWN)):
        (folder / f"{name}.toml").write_text(text)
    return folder


def _weaken(path: Path) -> None:
    """The shipped model with noise on its weights."""
    import keras

    model = keras.saving.load_model(MODEL, compile=False)
    draw = np.random.default_rng(0)
    model.set_weights(
        [weight + 0.5 * weight.std() * draw.standard_normal(weight.shape) for weight in model.get_weights()]
    )
    save(model, path)


def save(model: Any, path: Any) -> None:
    """Keras 3.15 itself calls NumPy in a way that NumPy 2 warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model.save(path)


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder, as the current one."""
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "robustcheck", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["gate", "good", "--policy", "kept.toml"], 0),
        (["gate", "good/report.json", "--policy", "kept.toml", "--baseline", "good"], 0),
        (["gate", "good", "--policy", "broken.toml"], 1),
        (["gate", "good", "--policy", "none.toml"], 2),
        (["gate", "good"], 2),
        (["gate", "good", "--policy", "kept.toml", "--model", MODEL], 0),
        (["gate", "good", "--policy", "kept.toml", "--model", "weak.keras"], 3),
        (["gate", "none", "--policy", "kept.toml"], 3),
        (["gate", "good", "--policy", "unknown.toml"], 4),
        (["compare", "good", "weak"], 0),
        (["compare", "good", "weak", "--fail-on-regression"], 1),
        (["compare", "good", "good", "--fail-on-regression"], 0),
        (["compare", "good", "none"], 3),
        (["report", "good"], 0),
        (["report", "good", "--policy", "broken.toml"], 1),
        (["report", "good", "--baseline", "good"], 2),
        (["report"], 2),
        (["report", "none"], 3),
        (["replay", "good", "--index", "3"], 0),
        (["replay", "good", "--index", "99"], 2),
        (["replay", "good", "--index", "3", "--model", "weak.keras"], 1),
        (["policy", "check", "kept.toml"], 0),
        (["policy", "check", "digits.npz"], 2),
        (["policy", "init", "kept.toml"], 2),
        (["policy", "init", "new.toml"], 0),
        (["completion", "bash"], 0),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert bool(out) == (code in (0, 1, 4)), out
    assert ("error: " in err) == (code in (2, 3))


def test_gate_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(["gate", "good", "--policy", "broken.toml", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["verdict"] == "FAIL"
    assert printed["rules"][0]["bound"] == "min = 9"
    assert len(printed["policy"]["sha256"]) == 64
    assert main(["gate", "good", "--policy", "kept.toml", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    # a gate writes nothing
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("here")
def test_compare_finds_the_weakened_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "good", "weak", "--json", "--fail-on-regression"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["regression"]
    assert printed["shared"] == 40
    assert printed["median_ratio"]["high"] < 0.95
    assert printed["changes"][0]["direction"] == "worse"
    assert main(["compare", "good", "weak"]) == 0
    assert "REGRESSION" in capsys.readouterr().out
    assert main(["compare", "good", "good"]) == 0
    assert "no regression" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_a_report_is_judged_anew_and_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path("good/report.html").read_text()
    assert main(["report", "good", "--policy", "broken.toml", "--report-assets", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(Path("good/report.json").read_text())
    assert report["verdict"] == "FAIL"
    assert Path("good/assets/style.css").is_file()
    assert json.loads(Path("good/attestation.json").read_text())["predicate"]["verdict"] == "FAIL"
    assert ElementTree.parse("good/junit.xml").getroot().find(".//failure") is not None
    Path("broken.toml").write_text(KEPT)
    assert main(["report", "good", "--policy", "broken.toml"]) == 0
    assert not Path("good/assets").exists()
    assert page != Path("good/report.html").read_text()
    assert "PASS" in Path("good/summary.md").read_text()


@pytest.mark.usefixtures("here")
def test_every_report_follows_the_printed_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    main(["report", "weak", "--policy", "broken.toml", "--baseline", "good"])
    for name in ("good", "weak"):
        jsonschema.validate(json.loads(Path(name, "report.json").read_text()), schema)


@pytest.mark.usefixtures("here")
def test_replay_shows_the_sample_and_writes_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "good", "--index", "3", "--png", "three.png"]) == 0
    out = capsys.readouterr().out
    assert "reproduces" in out
    assert "still misclassified" in out
    with Image.open("three.png") as image:
        assert image.size == (3 * 96, 96)
    assert main(["replay", "good", "--index", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["reproduces"]
    assert printed["same_model"]
    assert printed["l2_now"] == pytest.approx(printed["l2"], rel=0.01)


def test_replay_opens_no_other_model_than_the_reports(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads((here / "good" / "report.json").read_text())
    stored = here / "good" / "report.json"
    for path, message in (
        (str(here / "weak.keras"), "expected the model of the report (SHA-256"),
        (str(here / "none.keras"), "got nothing"),
        ("os:getcwd", "got nothing"),
    ):
        report["model"]["path"] = path
        stored.write_text(json.dumps(report))
        assert main(["replay", "good", "--index", "3"]) == 3
        assert message in capsys.readouterr().err
    report["model"]["sha256"] = None
    stored.write_text(json.dumps(report))
    assert main(["replay", "good", "--index", "3"]) == 3
    assert "expected model= (--model)" in capsys.readouterr().err
    assert main(["replay", "good", "--index", "3", "--model", MODEL]) == 0


def test_a_report_that_was_moved_away_from_its_model_asks_for_it(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads((here / "good" / "report.json").read_text())
    report["model"]["path"] = "models/model.keras"
    shutil.move(here / "good", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "report.json").write_text(json.dumps(report))
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "elsewhere", "--index", "3"]) == 3
    printed = capsys.readouterr().err
    assert "models/model.keras: expected the model of the report, got nothing there" in printed
    assert "name it with model= (--model)" in printed
    assert main(["replay", "elsewhere", "--index", "3", "--model", MODEL]) == 0


def test_settings_from_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pyproject.toml").write_text(
        f"[tool.robustcheck]\nmodel = '{MODEL}'\ndata = 'digits.npz'\nbudget = 100\nlimit = 9\n"
    )
    (here / "robustcheck.toml").write_text("budget = 60\nlimit = 8\npolicy = 'kept.toml'\n")
    assert main(["audit", "--limit", "7", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "budget = 60  # robustcheck.toml" in printed
    assert "limit = 7  # flag" in printed
    assert 'data = "digits.npz"  # pyproject.toml [tool.robustcheck]' in printed
    assert "seed = 0  # default" in printed
    # what is printed gives the same again
    (here / "pyproject.toml").unlink()
    (here / "robustcheck.toml").write_text(printed)
    assert main(["audit", "--print-config"]) == 0
    again = [line.partition("  #")[0] for line in capsys.readouterr().out.splitlines()]
    assert again == [line.partition("  #")[0] for line in printed.splitlines()]
    assert main(["audit", "--json", "--limit", "35", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "PASS"
    assert main(["gate", "robustcheck-report"]) == 0


def test_faults_of_settings_are_told_together(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "robustcheck.toml").write_text(
        "limt = 3\nbudget = '60'\nlabels = 'mine'\nreference = 'a.keras'\n"
    )
    assert main(["audit", MODEL, "--data", "digits.npz"]) == 2
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "error: robustcheck.toml: budget: input should be a valid integer, got '60'",
        "error: robustcheck.toml: labels: input should be 'data' or 'model', got 'mine'",
        "error: robustcheck.toml: limt: unknown key; did you mean 'limit'?",
        "error: robustcheck.toml: reference: input should be a valid array, got 'a.keras'",
    ]
    (here / "robustcheck.toml").write_text("limit = \n")
    assert main(["audit", MODEL, "--data", "digits.npz"]) == 2
    assert "expected settings in TOML" in capsys.readouterr().err


def test_printed_settings_are_toml(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "robustcheck.toml").write_text(
        "transfer_rms = [0.1]\nreference = ['a', 'b']\nbox = [-inf, inf]\n"
    )
    assert main(["audit", "caf\u00e9\U0001f600\x7f.keras", "--data", "d", "--print-config"]) == 0
    settings = tomllib.loads(capsys.readouterr().out)
    assert settings["model"] == "caf\u00e9\U0001f600\x7f.keras"
    assert settings["box"] == [-math.inf, math.inf]
    for flags in (["--limit", "-4"], ["--data-range", "0", "inf"], ["--budget", "3"]):
        assert main(["audit", MODEL, "--data", "d", "--print-config", *flags]) == 2
    (here / "robustcheck.toml").write_text("a" + ".a" * 5000 + " = 1")
    assert main(["audit", "--print-config"]) == 2
    (here / "robustcheck.toml").unlink()
    (here / "pyproject.toml").write_text("tool = 3")
    assert main(["audit", "--print-config"]) == 2


@pytest.mark.usefixtures("here")
def test_names_that_a_pair_could_not_tell_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", MODEL, "--data", "digits.npz", "--reference", f"a->b={OLDER}"]) == 2
    assert "expected a name without '->'" in capsys.readouterr().err


def test_notes_of_a_gate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "good", "--policy", "kept.toml", "--baseline", "good"]) == 0
    assert "the baseline is this very report" in capsys.readouterr().err
    (here / "good" / "samples.npz").unlink()
    assert main(["gate", "good", "--policy", "kept.toml"]) == 3
    assert "samples.npz: expected arrays that robustcheck wrote, got nothing there" in capsys.readouterr().err
    assert main(["gate", "good/report.json", "--policy", "kept.toml"]) == 0
    assert "samples.npz is not beside report.json" in capsys.readouterr().err
    warning = KEPT + "severity = 'warning'\n"
    (here / "warning.toml").write_text(warning)
    assert main(["gate", "good/report.json", "--policy", "warning.toml"]) == 0
    assert "this policy passes everything" in capsys.readouterr().out


def test_what_cannot_be_is_refused_before_the_work(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit = ["audit", MODEL, "--data", "digits.npz"]
    for flags, message in (
        (["--transfer-rms", "0.1"], "expected a reference to compare with"),
        (["--transfer-rms", "-1", "--reference", OLDER], "expected a finite number above 0"),
        (["--baseline", "good"], "expected a policy beside it"),
        (["--policy", "digits.npz"], "expected a policy in TOML"),
        (["--policy", "kept.toml", "--baseline", "none"], "expected a report folder"),
    ):
        assert main([*audit, *flags]) in (2, 3)
        err = capsys.readouterr().err
        assert message in err
        assert "search" not in err
    assert not (here / "robustcheck-report").exists()


@pytest.mark.usefixtures("here")
def test_an_audit_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    Path("drop.toml").write_text(f"{KEPT}max_drop = {{ relative = 0.05 }}\n")
    audit = ["--data", "digits.npz", "--budget", "60", "--policy", "drop.toml", "--baseline", "good"]
    assert main(["audit", "weak.keras", *audit]) == 1
    out = capsys.readouterr().out
    assert out.startswith("verdict  FAIL")
    assert "max_drop = { relative = 0.05 }" in out
    report = json.loads(Path("robustcheck-report/report.json").read_text())
    assert report["baseline"]["model"] == "digits_dense_64"
    assert main(["audit", "weak.keras", *audit, "--policy", "unknown.toml", "--force"]) == 4


HOSTILE = ["<script>", "=cmd()", "\x1b[31mred", "[red]", "\u202eltr", "-1+1", "@sum", "a&b", "|pipe|", "x\ny"]


def test_hostile_names_from_files(
    tmp_path: Path, pixels: np.ndarray, digits: Any, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Names of the model file, the data folder and the classes are text everywhere; of layers in errors."""
    import keras

    monkeypatch.chdir(tmp_path)
    name = "<script>alert(1)<\x1b[31m[red]\u202e.keras"
    shutil.copy(MODEL, name)
    data = Path("=cmd()<b>")
    order = sorted(HOSTILE)
    for at, (image, label) in enumerate(zip(pixels, digits[1], strict=True)):
        (data / order[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(data / order[label] / f"{at}.png")
    audit = ["audit", name, "--data", str(data), "--budget", "60", "--limit", "30", "--out", "r"]
    assert main([*audit, "--reference", OLDER]) == 0
    out, err = capsys.readouterr()
    texts = {path.name: path.read_text("utf-8") for path in Path("r").iterdir() if path.suffix in _TEXT}
    assert set(texts) == {"report.html", "summary.md", "junit.xml", "samples.csv", "report.json", "plan.json"}
    for text in (out, err, *texts.values()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script" not in texts["report.html"]
    assert "<script" not in texts["summary.md"]
    assert "<script>alert(1)" in out
    assert "[red]" in out
    ElementTree.fromstring(texts["junit.xml"])
    assert "\n=cmd" not in texts["samples.csv"]
    assert ",=cmd" not in texts["samples.csv"]
    assert ",'=cmd()" in texts["samples.csv"]
    # the same for errors, here TensorFlow's on names of layers that it does not take
    layers = [keras.Input((8, 8)), keras.layers.Flatten(name="[red]<script>\u202e"), keras.layers.Dense(10)]
    save(keras.Sequential(layers), "layers.keras")
    for model in ("\x1b[31m[red]<none>.keras", "layers.keras"):
        assert main(["audit", model, "--data", str(data)]) == 3
        err = capsys.readouterr().err
        assert "\x1b" not in err
        assert "\u202e" not in err
        assert "[red]" in err


_TEXT = {".html", ".md", ".xml", ".csv", ".json"}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["audit", "--help"], ["gate", "good", "--policy", "kept.toml"], ["compare", "good", "good"]],
)
def test_light_commands_are_quick_and_have_no_tensorflow(here: Path, words: list[str]) -> None:
    code = (
        "import sys\nfrom robustcheck.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, cwd=here, timeout=60)
    # against what importing the libraries alone takes, in processor time: on an idle machine that is 0.2 s
    libraries = "import numpy, pydantic, rich.console, rich.table, rich_argparse, jinja2"
    assert _processor_seconds(code) < (5 if words[0] in ("gate", "compare") else 2.5) * _processor_seconds(
        libraries
    )


def _processor_seconds(code: str) -> float:
    """Of a new process, the least of several: whatever else the machine does, it only adds."""
    spent = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


@pytest.mark.usefixtures("here")
def test_a_locale_without_the_characters() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    for words in (
        ["report", "good"],
        ["compare", "good", "weak"],
        ["replay", "good", "--index", "3"],
        ["doctor"],
    ):
        ended = command(*words, **plain)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.isascii()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("width", [60, 80])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    for words in (
        ["report", "good"],
        ["compare", "good", "weak"],
        ["gate", "weak", "--policy", "broken.toml", "--baseline", "good"],
        ["policy", "check", "broken.toml"],
        ["replay", "good", "--index", "3"],
    ):
        ended = command(*words, COLUMNS=str(width))
        assert ended.stdout
        assert max(map(len, ended.stdout.splitlines())) <= width, ended.stdout
        assert "\x1b" not in ended.stdout


@pytest.mark.usefixtures("here")
def test_a_picture_in_colour_and_without() -> None:
    """Half blocks where there is colour, letters where there is none."""
    pixels = np.array([[0, 255], [255, 0], [10, 20]], np.uint8)
    assert [line.plain for line in _in_colour(pixels)] == ["\u2580\u2580"] * 2
    assert [line.plain for line in _in_letters(pixels)] == [" @", "  "]
    stored = read_report(Path("good"))
    drawn = picture(stored, stored.samples, 3)
    shown = {}
    for no_color in (True, False):
        console = Console(
            file=io.StringIO(), force_terminal=True, color_system="truecolor", no_color=no_color, width=80
        )
        console.print(drawn)
        shown[no_color] = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[38;2;0;0;0;48;2;" in shown[False]
    assert "\u2580" not in shown[True]
    assert len(shown[True].splitlines()) == len(shown[False].splitlines()) == 4


def test_completion_knows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "tcsh"):
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert "--transfer-rms" in script or shell == "tcsh"  # which shtab gives commands alone
        assert "compare" in script


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["doctor", "--json"]) == 0
    lines = {line["what"]: line for line in json.loads(capsys.readouterr().out)["lines"]}
    assert lines["self-test"]["outcome"] == "PASS"
    assert lines["tensorflow"]["outcome"] == "PASS"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr("robustcheck.cli._doctor._NEAR", -1.0)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "runs Keras on TensorFlow all the same" in " ".join(out.split())
    assert "FAIL  self-test" in out
