"""The command line: what it prints, where, and how it exits."""

from __future__ import annotations

import io
import json
import os
import re
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
    np.testing.assert_allclose(samples.input, x[samples.index], atol=1e-6)
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
        "(--box): expected lower < upper",
    ),
    "box file": (
        [*ON_DIGITS, "--box", "n.npz"],
        2,
        "n.npz: expected an .npz with",
    ),
    "target": ([*ON_DIGITS, "--target", "x"], 2, "(--target): expected random"),
    "target class": (
        [*ON_DIGITS, "--target", "11"],
        2,
        "or a class 0 to 9, got 11",
    ),
    "budget": (
        [*ON_DIGITS, "--budget", "0"],
        2,
        "(--budget): expected a whole number",
    ),
    "limit": ([*ON_DIGITS, "--limit", "0"], 2, "(--limit): expected a whole number"),
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
    "a path is no module": ([*ON_DIGITS[:2], "--data", "C:\\data\\none.npz"], 3, "got nothing there"),
    "head": (["audit", "one_output:linear", "--data", "digits.npz"], 3, "--head binary_logit"),
    "open size": (["audit", "one_output:open_size", "--data", "one_output:lists"], 2, "--input-shape"),
    "output": (["audit", "one_output:two", "--data", "digits.npz"], 2, "--output"),
    "perturb": (
        ["audit", "one_output:mixed", "--data", "one_output:lists", "--perturb", "y"],
        2,
        "--perturb",
    ),
    "own layer": (["audit", "own.keras", "--data", "digits.npz"], 3, "--import package.module"),
    "import": (
        [*ON_DIGITS, "--import", "no_such_module"],
        2,
        "--import: no_such_module could not be imported",
    ),
    "label": ([*ON_DIGITS[:2], "--data", "one_output:labelled"], 3, "--y-key kind"),
    "my folder": ([*ON_DIGITS, "--out", "."], 2, "files that are not a report's"),
}


ODD_MODELS = """
import keras, numpy as np
from keras import layers

def linear():
    return keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(1)])

def open_size():
    x, code = keras.Input((None,), name="x"), keras.Input((2,), name="code")
    return keras.Model([x, code], layers.Dense(10)(code))

def lists():
    return [np.zeros((4, 3)), np.zeros((4, 2))], np.zeros(4)

def two():
    x = keras.Input((8, 8))
    flat = layers.Flatten()(x)
    return keras.Model(x, [layers.Dense(10, name="kind")(flat), layers.Dense(5, name="size")(flat)])

def mixed():
    x, code = keras.Input((8, 8), name="x"), keras.Input((2,), dtype="int32", name="code")
    return keras.Model([x, code], layers.Dense(10)(layers.Flatten()(x)))

def labelled():
    with np.load("digits.npz") as stored:
        return stored["x"], {"kind": stored["y"], "size": stored["y"]}
"""


def _save_own_layer() -> None:
    import keras

    class Own(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    parts = [keras.Input((8, 8)), keras.layers.Flatten(), Own(), keras.layers.Dense(10)]
    keras.Sequential(parts).save("own.keras")


# what Keras' writer of weights warns of
quiet_writer = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@quiet_writer
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
    Path("one_output.py").write_text(ODD_MODELS)
    if case == "own layer":
        _save_own_layer()
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
        # a job in the background ignores the signal, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stderr is not None
    for line in running.stderr:
        done = re.search(r"search .*\((\d+) of 24\)", line)
        if done is not None and int(done[1]) > 4:  # the first batch is whole
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    report = json.loads(out)
    assert not report["complete"]
    assert report["verdict"] == "INCOMPLETE"
    assert report["rules"][0]["outcome"] == "INCOMPLETE"
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
        "        z = self.dense(tf.reshape(x, (-1, 64)))\n"
        "        return 0.5 * tf.nn.softmax(z) + 0.5 * tf.nn.softmax(-2.0 * z)\n"
        "def hidden():\n"
        "    model = Hidden()\n"
        "    model(tf.zeros((1, 8, 8)))\n"
        "    return model\n"
    )
    assert main(["audit", "opaque:hidden", "--data", data, "--limit", "5", *QUICK]) in (0, 4)
    assert "warning: hidden: the scores before the softmax are out of reach" in capsys.readouterr().err


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


OWN = """
import keras
from keras import layers

@keras.saving.register_keras_serializable("own")
class Own(layers.Layer):
    def call(self, x):
        return x

def build(head):
    x, code = keras.Input((None, None, 3), name="x"), keras.Input((2,), dtype="int32", name="code")
    pooled = layers.GlobalAveragePooling2D()(Own()(layers.Conv2D(4, 3, activation="relu")(x)))
    outs = [layers.Dense(5, name="size")(pooled), layers.Dense(1, name="kind")(pooled)]
    return keras.Model([x, code] if head else x, outs)
"""


@quiet_writer
def test_what_a_model_does_not_tell_can_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Open sizes, several inputs and outputs, one output without a sigmoid, own layers: all by flags."""
    import keras
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("own_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_parts

    keras.utils.set_random_seed(0)
    own_parts.build(False).save("open.keras")
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        Path("photos", name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(draw.integers(0, 255, (7, 7, 3), np.uint8)).save(f"photos/{name}/{i}.png")
    flags = ["--output", "kind", "--head", "binary_logit", "--import", "own_parts"]
    audit = ["audit", "open.keras", "--data", "photos", *flags, "--json", "--budget", "30", "--quiet"]
    assert main([*audit, "--limit", "8"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"]["options"] == {"output": "kind", "head": "binary_logit"}
    assert report["model"]["input_shape"] == [7, 7, 3]
    assert report["model"]["head"] == "one logit"
    assert report["data"]["sample"] == "stratified"
    index = report["counts"]["total"]
    assert index == 8
    import shutil

    with np.load("robustcheck-report/samples.npz") as stored:
        first = int(stored["index"][0])
    assert main(["replay", "robustcheck-report", "--index", str(first), "--import", "own_parts"]) == 0
    capsys.readouterr()
    shutil.rmtree("robustcheck-report")
    # the same by robustcheck.toml
    Path("robustcheck.toml").write_text(
        'output = "kind"\nhead = "binary_logit"\nimports = ["own_parts"]\nsample = "first"\nlimit = 8\n'
    )
    assert main(["audit", "open.keras", "--data", "photos", "--json", "--budget", "30", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["data"]["sample"] == "first"
    assert report["counts"]["total"] == 8


def test_several_inputs_by_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two_inputs.py").write_text(
        "import keras, numpy as np\n"
        "from keras import layers\n"
        "def build():\n"
        "    keras.utils.set_random_seed(0)\n"
        "    a, b = keras.Input((2,), name='a'), keras.Input((3,), name='b')\n"
        "    return keras.Model([a, b], layers.Dense(3, 'softmax')(layers.Concatenate()([a, b])))\n"
        "def data():\n"
        "    draw = np.random.default_rng(0)\n"
        "    return [draw.random((30, 2)), 6 * draw.random((30, 3)) - 3], np.arange(30) % 3\n"
    )
    sides = {"a.lower": 0.0, "a.upper": 1.0, "b.lower": -3.0, "b.upper": 3.0}
    np.savez("box.npz", **{name: np.array([value]) for name, value in sides.items()})
    np.savez("mask.npz", **{"b.freeze": np.array([True, False, False])})
    audit = ["audit", "two_inputs:build", "--data", "two_inputs:data", "--json", "--budget", "30", "--quiet"]
    code = main([*audit, "--box", "box.npz", "--freeze", "mask.npz", "--labels", "model"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["data"]["box"] == "a [0, 1], b [-3, 3]"
    assert report["data"]["frozen"] == 1
    assert main(["replay", "robustcheck-report", "--index", "2", "--model", "two_inputs:build"]) == 0


@pytest.mark.parametrize("where", ["environment", "file"])
def test_another_backend_of_keras_is_set_aside(data: str, where: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    if where == "environment":
        environment["KERAS_BACKEND"] = "torch"
    else:
        Path("keras_home").mkdir()
        Path("keras_home/keras.json").write_text('{"backend": "jax"}')
        environment["KERAS_HOME"] = str(Path("keras_home").resolve())
    words = ["audit", MODEL, "--data", data, "--limit", "4", "--budget", "30"]
    ended = subprocess.run(
        [sys.executable, "-m", "robustcheck", *words],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "robustcheck needs Keras on TensorFlow, and runs it so here" in ended.stderr
    code = "import robustcheck as rc; rc.wrap"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "RobustcheckWarning" in ended.stderr


def test_doctor_of_a_model(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", MODEL, "--data", data, "--json"]) == 0
    lines = {line["what"]: line for line in json.loads(capsys.readouterr().out)["lines"]}
    assert list(lines) == [
        "model", "inputs", "box", "head", "precision", "gradient", "data", "labels", "accuracy",
        "range of the values", "stability", "effort",
    ]  # fmt: skip
    assert {line["outcome"] for line in lines.values()} == {"PASS"}
    assert "softmax, logits recovered, 10 classes" in lines["head"]["detail"]
    assert "ms" in lines["effort"]["detail"]
    Path("doctored.py").write_text(
        "import keras, tensorflow as tf\n"
        "from keras import layers\n"
        "class Leaky(layers.Layer):\n"
        "    def call(self, x):\n"
        "        return tf.nn.dropout(tf.round(255 * x) / 255 + x, 0.5)\n"
        "def build():\n"
        "    keras.utils.set_random_seed(0)\n"
        "    parts = [layers.Flatten(), Leaky(name='leaky'), layers.Dense(10, dtype='mixed_bfloat16')]\n"
        "    return keras.Sequential([keras.Input((8, 8)), layers.Rescaling(1 / 255), *parts])\n"
    )
    assert main(["doctor", "doctored:build", "--data", data, "--json"]) == 1
    lines = {line["what"]: line for line in json.loads(capsys.readouterr().out)["lines"]}
    assert "Round in" in lines["gradient"]["detail"]
    assert "leaky" in lines["gradient"]["detail"]
    assert lines["precision"]["outcome"] == "WARN"
    assert "other answers for the same input" in lines["stability"]["detail"]
    assert "fill 0.4 % of what the model's Rescaling(1/255)" in lines["range of the values"]["detail"]
    assert main(["doctor", "one_output:none"]) == 1
    assert "refused" in capsys.readouterr().out
    assert main(["doctor", "--data", data]) == 2
