"""Deployed forms, held against the model that they were made of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from forms import damaged, linear, litert, onnx

import robustcheck as rc
from robustcheck import assets, intake
from robustcheck.cli import main
from robustcheck.compare import compare
from robustcheck.config import FileOptions
from robustcheck.errors import ConfigError, Incomplete, ModelRefused, ReportRefused
from robustcheck.measures import measure, parse_metric
from robustcheck.report import read_evidence, read_report
from robustcheck.results import AuditReport

QUICK = rc.SearchOptions(budget=60)
# a plane at x0 = 0.5; samples at 0.3 are 0.2 away
PLANE, BIAS = [[1.0, -1.0], [0.0, 0.0]], [-0.5, 0.5]


def samples(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    x = np.stack([np.full(count, 0.3), np.linspace(0.2, 0.8, count)], axis=1).astype(np.float32)
    return x, np.ones(count, int)


def shifted(to: float) -> rc.Predictor:
    """The plane at another place, as a function."""
    scores = linear(PLANE, [-to, to])
    return rc.predictor(lambda rows: np.asarray(scores(rows)), classes=2, name="shifted", input_shape=(2,))


def held(*forms: rc.Predictor, **changes: Any) -> AuditReport:
    named = {f"f{number}": form for number, form in enumerate(forms)}
    return rc.audit(linear(PLANE, BIAS), *samples(), deployed=named, options=QUICK, **changes)


@pytest.mark.parametrize(("to", "ratio"), [(0.5, 1.0), (0.4, 0.5), (0.46, 0.8), (0.6, 1.5), (0.31, 0.05)])
def test_the_ratio_of_a_plane_that_was_moved(to: float, ratio: float) -> None:
    """From 0.2 away to ``to - 0.3``, on the same line."""
    report = held(shifted(to))
    figure = report.measures["deployed.f0.ratio.median"]
    assert figure.value == pytest.approx(ratio, rel=0.004)
    assert report.measures["deployed.f0.holds"].value == float(ratio < 1.0005)
    assert report.measures["deployed.f0.weaker"].value == float(ratio < 0.95)
    assert report.measures["deployed.f0.agreement"].value == 1.0
    assert report.measures["accuracy.deployed.f0"].value == 1.0
    outcome = next(check.outcome for check in report.checks if check.id == "deployed")
    assert outcome == ("FAIL" if ratio < 0.75 else "WARN" if abs(ratio - 1) > 0.1 else "PASS")
    # its own nearest examples are on the same line, found by decisions alone
    (facts,) = report.deployed
    assert facts.searched == 5
    assert facts.own == pytest.approx(ratio, rel=0.03)


def test_what_never_errs_and_what_errs_already() -> None:
    report = held(shifted(9.0), shifted(0.1))
    never, always = report.deployed_rows["f0"], report.deployed_rows["f1"]
    assert np.isinf(never.ratio[never.found]).all()
    assert report.measures["deployed.f0.ratio.median"].value is None
    assert (always.ratio[always.found] == 0).all()
    assert report.measures["accuracy.deployed.f1"].value == 0.0
    assert report.measures["deployed.f1.agreement"].value == 0.0
    assert "gives only 0.0 % of the samples" in " ".join(report.deployed[1].notes)
    (check,) = [check for check in report.checks if check.id == "deployed"]
    assert (check.outcome, "f1 agrees with the model on 0.0 %" in check.detail) == ("FAIL", True)


def test_the_first_mistake_on_the_way_counts() -> None:
    """A strip of mistakes between 0.38 and 0.4, far before the plane."""

    def scores(rows: np.ndarray) -> np.ndarray:
        wrong = ((rows[:, 0] > 0.38) & (rows[:, 0] < 0.4)) | (rows[:, 0] > 0.5)
        return np.stack([wrong, ~wrong], axis=1).astype(np.float32)

    strip = rc.predictor(scores, classes=2, name="strip", input_shape=(2,))
    rows = held(strip).deployed_rows["f0"]
    np.testing.assert_allclose(rows.ratio[rows.found], 0.4, rtol=0.004)
    assert (rows.fooled[rows.found] == 1).all()


def test_figures_of_rows() -> None:
    report = held(shifted(0.4), shifted(0.6))
    for name in ("deployed.f0.robust@0.05", "deployed.f0.robust@0.15", "deployed.f0.ratio.mean"):
        figure = measure(parse_metric(name), report.evidence)
        assert figure is not None
        assert figure.value == pytest.approx(
            {"5": 1.0, "15": 0.0, "mean": 0.5}[name.split(".")[-1].lstrip("0")], rel=1e-2
        )
    with pytest.raises(ConfigError, match=r"expected a metric, got 'deployed\.f0\.rate'"):
        parse_metric("deployed.f0.rate")
    # names may have dots
    assert parse_metric("deployed.model.v2.ratio.p05").form == "model.v2"
    assert parse_metric("accuracy.deployed.model.v2").form == "model.v2"


def test_stored_read_and_judged(tmp_path: Path) -> None:
    report = held(shifted(0.45), out=tmp_path / "out")
    read, evidence = read_report(tmp_path / "out"), read_evidence(tmp_path / "out")
    np.testing.assert_array_equal(read.deployed_rows["f0"].ratio, report.deployed_rows["f0"].ratio)
    rules = [
        rc.policy.Rule(metric="deployed.f0.ratio.p05", min=0.7),
        rc.policy.Rule(metric="deployed.f0.ratio.p05", min=0.8),
        rc.policy.Rule(metric="deployed.other.holds", max=0.5),
    ]
    judged = rc.policy.judge(rc.policy.Policy.of(*rules), evidence)
    assert [rule.outcome for rule in judged] == ["PASS", "FAIL", "INCOMPLETE"]
    assert "Deployed forms" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "f0" in (tmp_path / "out" / "summary.md").read_text("utf-8")
    # rows of another form
    held(shifted(0.4), out=tmp_path / "other")
    (tmp_path / "other" / "deployed" / "f0.npz").replace(tmp_path / "out" / "deployed" / "f0.npz")
    with pytest.raises(ReportRefused, match=r"deployed/ gives deployed\.f0\.ratio"):
        read_evidence(tmp_path / "out")
    # the folder is robustcheck's own, and is replaced when asked
    held(shifted(0.4), out=tmp_path / "out", force=True)


def test_a_failed_form_is_no_doubt_about_distances() -> None:
    report = held(shifted(0.4))
    assert "deployed" in report.failed
    rule = rc.policy.Rule(metric="distortion.l2.median", min=0.1)
    assert rc.policy.judge(rc.policy.Policy.of(rule), report.evidence)[0].outcome == "PASS"


def test_calls_are_limited() -> None:
    few = rc.predictor(
        lambda rows: np.stack([rows[:, 0] - 0.5, 0.5 - rows[:, 0]], 1), classes=2, name="few",
        input_shape=(2,), max_calls=100,
    )  # fmt: skip
    with pytest.raises(Incomplete, match=r"exceed the limit of 100"):
        held(few)
    with pytest.raises(Incomplete, match=r"f0: .* exceed the limit of 90"):
        held(shifted(0.5), max_calls=90)
    enough = replace(few, label=shifted(0.5).label, label_singly=shifted(0.5).label_singly)
    assert held(enough).deployed[0].searched == 5


@pytest.fixture(scope="module")
def net(digit_models: list[Any]) -> keras.Model:
    return next(model for model in digit_models if model.name == "digits_conv")


@pytest.fixture(scope="module")
def data(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return (digits[0][:60] / 16.0).astype(np.float32)[..., None], digits[1][:60]


@pytest.fixture(scope="module")
def files(net: keras.Model, data: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The net as it is deployed."""
    folder, found = tmp_path_factory.mktemp("forms"), {}
    for kind in ("float32", "int8"):
        found[kind] = folder / f"{kind}.tflite"
        found[kind].write_bytes(litert(net, kind, data[0]))
    found["four_rows"] = folder / "four_rows.tflite"
    found["four_rows"].write_bytes(litert(net, "float32", data[0], rows=4))
    found["damaged"] = folder / "damaged.tflite"
    found["damaged"].write_bytes(litert(damaged(net, 1), "float32", data[0]))
    found["onnx"] = onnx(net, folder / "net.onnx")
    return found | {"keras": assets.path("digits_conv.keras")}


def test_files_of_every_runtime(net: keras.Model, data: Any, files: dict[str, Path]) -> None:
    """What computes in float32 is the model; integers are nearly; 2 bits are not."""
    forms = {name: str(path) for name, path in files.items()}
    report = rc.audit(net, *data, deployed=forms, precision=["float16"], options=QUICK, preflight="never")
    for name in ("float32", "four_rows", "onnx", "keras"):
        rows = report.deployed_rows[name]
        assert np.mean(np.abs(rows.ratio[rows.found] - 1) <= 0.01) >= 0.99, name
        assert report.measures[f"deployed.{name}.agreement"].value == 1.0
    assert 0.9 < report.measures["deployed.int8.ratio.median"].value < 1.1  # type: ignore[operator]
    assert 0.98 < report.measures["deployed.float16.ratio.median"].value < 1.05  # type: ignore[operator]
    (check,) = [check for check in report.checks if check.id == "deployed"]
    assert check.outcome == "FAIL"
    assert check.detail.startswith("damaged agrees")
    told = {form.name: (form.runtime, form.types) for form in report.deployed}
    assert told["int8"][1] == "int8 to int8"
    assert told["float16"] == (None, "Keras float16")
    assert told["onnx"][0].startswith("ONNX Runtime ")  # type: ignore[union-attr]
    assert all(form.sha256 for form in report.deployed[:-1])


def test_a_file_as_a_reference(net: keras.Model, data: Any, files: dict[str, Path]) -> None:
    """A column of the transfer matrix, and no row."""
    report = rc.audit(net, *data, references={"phone": str(files["int8"])}, options=QUICK, preflight="never")
    assert report.transfer is not None
    assert report.transfer.models == ["digits_conv", "phone"]
    assert [row.made_for for row in report.transfer.rows] == ["digits_conv"]
    assert "no examples were made for phone, which has no gradient" in report.data.notes
    assert report.references[0].head.startswith("decisions alone, LiteRT")


@pytest.mark.parametrize(
    ("classes", "side", "message"),
    [
        (7, 8, r"deployed odd: expected 10 classes as digits_conv has, got 7: .*\(--deployed\)"),
        (10, 6, r"deployed odd: expected inputs of shape \(8, 8, 1\) as digits_conv has, got \(6, 6, 1\)"),
    ],
)
def test_forms_of_other_models_are_refused(
    classes: int, side: int, message: str, net: keras.Model, data: Any, tmp_path: Path
) -> None:
    odd = keras.Sequential(
        [keras.layers.Input((side, side, 1)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    file = tmp_path / "odd.tflite"
    file.write_bytes(litert(odd, "float32", data[0]))
    with pytest.raises(ModelRefused, match=message):
        rc.audit(net, *data, deployed={"odd": str(file)}, options=QUICK, preflight="never")


def test_another_range_and_other_axes_are_named_with_their_flag(
    net: keras.Model, data: Any, tmp_path: Path
) -> None:
    """The net behind layers that take pixels, or images with their axes exchanged."""
    x = keras.layers.Input((8, 8, 1))
    pixels = keras.Model(x, net(keras.layers.Rescaling(1 / 255)(x)))
    turned = keras.Model(x, net(keras.layers.Permute((2, 1, 3))(x)))
    forms = {}
    for name, model in (("pixels", pixels), ("turned", turned)):
        forms[name] = tmp_path / f"{name}.tflite"
        forms[name].write_bytes(litert(model, "float32", data[0]))
    named = {name: str(file) for name, file in forms.items()}
    report = rc.audit(net, *data, deployed=named, options=QUICK, preflight="never")
    notes = {form.name: " ".join(form.notes) for form in report.deployed}
    assert notes["pixels"].startswith(
        "with values of 0 to 255 it is right at 0.9 and errs at 1.1 of the model's"
    )
    assert notes["pixels"].endswith("as it is for 0.0 %: deployed_range=(0, 255) (--deployed-range 0 255)")
    assert "--deployed-layout transposed" in notes["turned"]
    again = rc.audit(
        net, *data, deployed={"pixels": named["pixels"]}, deployed_range=(0.0, 255.0), options=QUICK,
        preflight="never",
    )  # fmt: skip
    assert again.measures["deployed.pixels.agreement"].value == 1.0
    assert again.measures["deployed.pixels.ratio.median"].value == pytest.approx(1.0, abs=0.01)


def test_other_values_are_seen_where_clean_decisions_survive(tmp_path: Path) -> None:
    """Scores of pixels and a bias: on values 255 times as large the largest pixel wins all the same."""
    x = (255 * np.random.default_rng(0).random((40, 3))).astype(np.float32)
    pixels, shares = (linear(scale * np.eye(3), [0, 0, 40]) for scale in (1, 255))
    file = tmp_path / "shares.tflite"
    file.write_bytes(litert(shares, "float32", x))
    y = np.asarray(pixels(x)).argmax(axis=1)
    report = rc.audit(pixels, x, y, box=(0.0, 255.0), deployed=str(file), options=QUICK, preflight="never")
    assert report.measures["deployed.shares.agreement"].value > 0.8  # type: ignore[operator]
    assert report.deployed[0].notes[-1].endswith("(--deployed-range 0 1)")


@pytest.mark.parametrize("kind", ["logit", "probability"])
def test_one_output_decides_as_its_values_say(kind: str, tmp_path: Path) -> None:
    """A sigmoid model without its sigmoid, and the other way round."""
    x = keras.layers.Input((2,))
    z = keras.layers.Dense(1)(x)
    models = {"logit": keras.Model(x, z), "probability": keras.Model(x, keras.activations.sigmoid(z))}
    models["logit"].layers[1].set_weights(
        [np.array([[10.0], [0.0]], np.float32), np.array([-5.0], np.float32)]
    )
    rows, y = samples()
    subject = models["probability" if kind == "logit" else "logit"]
    file = tmp_path / "other.tflite"
    file.write_bytes(litert(models[kind], "float32", rows))
    head: Any = "auto" if kind == "logit" else "binary_logit"
    report = rc.audit(
        subject, rows, 1 - y, head=head, deployed={"f": str(file)}, options=QUICK, preflight="never"
    )
    assert report.measures["deployed.f.ratio.median"].value == pytest.approx(1.0, abs=0.01)
    assert f"it is taken for a {kind}" in report.deployed[0].notes[0]


def test_sizes_that_a_file_leaves_open(
    net: keras.Model, data: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    """The model's own are taken; a file that gives classes is told apart."""
    onnx_package = pytest.importorskip("onnx")
    made = onnx_package.load(files["onnx"])
    for size, name in zip(made.graph.input[0].type.tensor_type.shape.dim, "bhwc", strict=True):
        size.dim_param = name
    onnx_package.save(made, tmp_path / "open.onnx")
    report = rc.audit(net, *data, deployed=str(tmp_path / "open.onnx"), options=QUICK, preflight="never")
    assert report.measures["deployed.open.ratio.median"].value == pytest.approx(1.0, abs=0.01)
    largest = onnx_package.helper.make_node("ArgMax", [made.graph.output[0].name], ["class"], axis=1)
    made.graph.node.append(largest)
    del made.graph.output[:]
    made.graph.output.append(onnx_package.helper.make_tensor_value_info("class", 7, ["b", 1]))
    onnx_package.save(made, tmp_path / "classes.onnx")
    with pytest.raises(ModelRefused, match=r"expected 10 scores .*got one number: .*returns='labels'"):
        rc.audit(net, *data, deployed=str(tmp_path / "classes.onnx"), options=QUICK, preflight="never")


def test_an_audit_goes_on_with_the_same_forms_alone(
    net: keras.Model, data: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    words = {"options": QUICK, "preflight": "never", "out": tmp_path / "out"}
    first = rc.audit(net, *data, deployed={"f": str(files["int8"])}, **words)
    again = rc.audit(net, *data, deployed={"f": str(files["int8"])}, resume=True, **words)
    assert again.deployed[0].sha256 == first.deployed[0].sha256
    with pytest.raises(ConfigError, match="expected the audit that was begun there, got another: deployed f"):
        rc.audit(net, *data, deployed={"f": str(files["damaged"])}, resume=True, **words)
    # another release of the form is worse
    rc.audit(net, *data, deployed={"f": str(files["damaged"])}, **(words | {"out": tmp_path / "new"}))
    found = compare(read_evidence(tmp_path / "out"), read_evidence(tmp_path / "new"))
    directions = {change.metric: change.direction for change in found.changes}
    assert directions["deployed.f.ratio.p05"] == "worse"
    assert "the deployed form f is another file than it was" in found.notes
    assert any(reason.startswith("deployed.f.ratio.p05 went from") for reason in found.reasons)


def test_a_form_with_one_of_several_outputs() -> None:
    """Which output is meant of the model says nothing of a form that has that one alone."""
    x = keras.layers.Input((2,))
    plane = linear(PLANE, BIAS)
    (scores,) = keras.tree.flatten(plane(x))
    both = keras.Model(x, [keras.layers.Dense(5, name="other")(x), scores])
    report = rc.audit(both, *samples(), output=1, deployed={"f": plane}, options=QUICK)
    assert report.measures["deployed.f.ratio.median"].value == pytest.approx(1.0, abs=0.01)


def test_few_examples_do_not_pass_a_form() -> None:
    x, y = samples(12)
    report = rc.audit(linear(PLANE, BIAS), x, y, deployed={"f": shifted(0.5)}, options=QUICK)
    (check,) = [check for check in report.checks if check.id == "deployed"]
    assert (check.outcome, check.detail.startswith("of 12 examples, where 30 are needed")) == ("SKIP", True)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"deployed": {"f": lambda rows: np.asarray(rows)}}, ModelRefused, "takes a function of arrays"),
        ({"deployed_range": "0 255"}, ConfigError, "two finite numbers, low < high"),
        ({"deployed_range": (1.0, 0.0)}, ConfigError, "two finite numbers, low < high"),
        ({"precision": "int4"}, ConfigError, "expected some of"),
        ({"deployed_layout": "sideways"}, ConfigError, "expected one of"),
        ({"max_calls": 0}, ConfigError, "a whole number of at least 1"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(words: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rc.audit(linear(PLANE, BIAS), *samples(), options=QUICK, **words)


def test_channels_that_come_first_are_seen(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    first = keras.Sequential(
        [
            keras.layers.Input((3, 4, 5)),
            keras.layers.Permute((2, 3, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    last = keras.Sequential([keras.layers.Input((4, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    last.set_weights(first.get_weights())
    x = draw.random((30, 4, 5, 3), np.float32)
    file = tmp_path / "first.onnx"
    onnx(first, file)
    y = np.asarray(last(x)).argmax(axis=1)
    report = rc.audit(last, x, y, deployed={"first": str(file)}, options=QUICK, preflight="never")
    assert report.deployed[0].notes == ["its channels come first: samples are turned"]
    assert report.measures["deployed.first.agreement"].value == 1.0


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".tflite", b"PK\x03\x04" + b"\0" * 40, "expected the first bytes of LiteRT"),
        (".onnx", b"\x80\x04" + b"\0" * 40, "expected the first bytes of ONNX"),
        (".tflite", b"\x1c\0\0\0TFL3" + b"\xff" * 40, "could not be loaded"),
        (".onnx", b"\x08\x07" + b"\xff" * 40, "could not be loaded"),
        (".tflite", b"", "expected the first bytes"),
    ],
)
def test_files_that_are_none(suffix: str, content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(content)
    with pytest.raises(ModelRefused, match=message):
        intake.load_model(str(file), files=FileOptions(preflight="never"))


def test_scores_that_are_no_numbers_are_mistakes_and_told_of(
    net: keras.Model, data: Any, tmp_path: Path
) -> None:
    """The net where the pixel in the middle is dark; elsewhere NaN."""
    x = keras.layers.Input((8, 8, 1))
    (scores,) = keras.tree.flatten(net(x))
    broken = keras.Model(x, scores + 0.0 * keras.ops.sqrt(0.5 - x[:, 4, 4]))
    file = tmp_path / "broken.onnx"
    onnx(broken, file)
    report = rc.audit(net, *data, deployed={"broken": str(file)}, options=QUICK, preflight="never")
    rows, dark = report.deployed_rows["broken"], data[0][:, 4, 4, 0] <= 0.5
    np.testing.assert_array_equal(rows.predicted >= 0, dark)
    assert (rows.ratio[rows.found & ~dark] == 0).all()
    assert "got scores that are no numbers: it errs there" in report.deployed[0].notes[-1]


def test_weights_in_another_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from beside the file, nor from the current folder."""
    helper = pytest.importorskip("onnx").helper
    weights = helper.make_tensor("w", 1, [4, 3], np.ones(12, np.float32).tobytes(), raw=True)
    scores = helper.make_node("MatMul", ["x", "w"], ["y"])
    given, gives = (helper.make_tensor_value_info(name, 1, [None, n]) for name, n in (("x", 4), ("y", 3)))
    graph = helper.make_graph([scores], "g", [given], [gives], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("onnx").save_model(
        made, "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    assert (tmp_path / "w.bin").stat().st_size == 48
    with pytest.raises(ModelRefused, match=r"m\.onnx: could not be loaded: .*[Ee]xternal data"):
        intake.load_model("m.onnx", files=FileOptions(preflight="never"))


def test_a_file_is_no_subject(files: dict[str, Path], data: Any) -> None:
    with pytest.raises(ModelRefused, match="expected a Keras model to audit, got a file that decides"):
        rc.audit(str(files["int8"]), *data, preflight="never")


def test_a_runtime_that_is_not_there(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with what to install."""
    for module in ("ai_edge_litert.interpreter", "onnxruntime"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    for name, extra in (("int8", "litert"), ("onnx", "onnx")):
        with pytest.raises(ModelRefused, match=rf"not installed: pip install robustcheck-keras\[{extra}\]"):
            intake.load_model(str(files[name]), files=FileOptions(preflight="never"))


@pytest.fixture
def folder(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    np.savez(tmp_path / "digits.npz", x=data[0], y=data[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBUSTCHECK_PREFLIGHT", "never")
    return tmp_path


def test_deploy_check(folder: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    same = [str(files["keras"]), f"lite={files['float32']}", "--data", "digits.npz", "--limit", "40"]
    assert main(["deploy-check", *same]) == 0
    shown = capsys.readouterr().out
    assert "lite gives 100.0 % of the samples the class that the model gives them" in " ".join(shown.split())
    assert not (folder / "robustcheck-report").exists()
    broken = [str(files["keras"]), str(files["damaged"]), "--data", "digits.npz", "--limit", "40", "--json"]
    assert main(["deploy-check", *broken]) == 1
    document = json.loads(capsys.readouterr().out)
    assert next(check["outcome"] for check in document["checks"] if check["id"] == "deployed") == "FAIL"
    assert main(["deploy-check", str(files["keras"]), "--data", "digits.npz"]) == 2
    assert "expected a FORM" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_the_gate_with_the_shipped_policy(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A file damaged on purpose does not ship."""
    assert main(["policy", "init", "policy.toml", "--deployed"]) == 0
    words = [
        str(files["keras"]),
        "--deployed",
        str(files["damaged"]),
        "--data",
        "digits.npz",
        "--budget",
        "60",
    ]
    assert main(["audit", *words, "--out", "out", "--quiet"]) == 0
    assert main(["gate", "out", "--policy", "policy.toml"]) == 1
    assert "FAIL  check.deployed" in capsys.readouterr().out
