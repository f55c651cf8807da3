"""Whole pytest runs of small projects that use the plugin, or have it and do not.

In this process, so that they share TensorFlow; those that are about the start, workers or ``python -O`` have
a process of their own.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustcheck import assets
from robustcheck.testing import baseline_file

POLICY = """\
schema = 1
[[rule]]
metric = "accuracy.clean"
min = 0.8
[[rule]]
metric = "distortion.l2.median"
min = 0.9
[[rule]]
metric = "distortion.l2.p25"
min = 0.9
severity = "warning"
"""


@pytest.fixture
def project(
    modules_stay: None,  # noqa: ARG001 - before pytester, which it changes
    pytester: pytest.Pytester,
    pixels: np.ndarray,
    digits: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> pytest.Pytester:
    """A folder with two models, 40 digits and a policy; searches there have a budget of 30 by default."""
    for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copy(assets.path(assets.MODELS[0]), pytester.path / "model.keras")
    shutil.copy(assets.path(assets.MODELS[1]), pytester.path / "reference.keras")
    np.savez(pytester.path / "digits.npz", x=pixels[:40], y=digits[1][:40])
    (pytester.path / "policy.toml").write_text(POLICY)
    return pytester


def run(project: pytest.Pytester, *words: str, own_process: bool = False) -> pytest.RunResult:
    """A run; no warning may come of it."""
    start = project.runpytest_subprocess if own_process else project.runpytest_inprocess
    return start("-W", "error", "-p", "no:randomly", *words)


def test_pass_fail_and_what_is_said_of_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_all="""
        import pytest

        SMALL = {"budget": 30}
        BY_MARKER = pytest.mark.robustness(model="model.keras", data="digits.npz", budget=30)

        def test_holds(robustness):
            report = robustness.audit("model.keras", "digits.npz", **SMALL)
            assert report.median_distortion >= 0.3
            assert 0.9 <= report.clean_accuracy
            assert report.robust_accuracy(l2=0.05) > 0.8
            assert report.transfer_to("reference.keras") <= 0.9
            assert report.distortion("p05", norm="rms") < report.distortion("p95", norm="l2")

        def test_does_not_hold(robustness):
            assert robustness.audit("model.keras", "digits.npz", **SMALL).median_distortion >= 5

        def test_nothing_measured(robustness):
            robustness.audit("model.keras", "digits.npz", **SMALL).measure("transfer.max")

        def test_typo(robustness):
            robustness.audit("model.keras", "digits.npz", budgte=30)

        @pytest.mark.parametrize("radius", [0.05, 3.0])
        def test_radius(robustness, radius):
            report = robustness.audit("model.keras", "digits.npz", **SMALL)
            assert report.robust_accuracy(l2=radius) > 0.5

        @BY_MARKER
        class TestRelease:
            @pytest.mark.robustness(policy="policy.toml")
            def test_gate(self, robustness):
                robustness.check_policy()

            @pytest.mark.robustness(policy="policy.toml")
            def test_forgot(self, robustness):
                robustness.audit()

            def test_no_policy(self, robustness):
                robustness.check_policy()
        """
    )
    result = run(project, "--robustness-report=failed", "--junitxml=junit.xml", "--strict-markers")
    # the policy of test_forgot was never judged; subtests count as failures of their own
    result.assert_outcomes(passed=3, failed=7, errors=1)
    result.stdout.fnmatch_lines(
        [
            "E       assert distortion.l2.median: 0.* >= 5",
            "E           distortion.l2.median = 0.* over 39 samples, 95 % interval 0.* to *",
            "E           model, 39 of 40 samples right, boundary, budget 30, seed 0",
            "E           nearest:",
            "E             sample *: * -> *, L2 0.*",
            "E           once more: robustcheck replay failed/test_all/test_does_not_hold --index *",
            "failed/test_all/test_does_not_hold/report.html",
            "*Incomplete: transfer.max: expected a measure of the report, got none*",
            "*ConfigError: robustness.audit: unknown argument 'budgte'; did you mean 'budget'?",
            "*assert accuracy.robust.l2@3.0: 0 > 0.5",
            "*TestRelease.test_gate *distortion.l2.median min = 0.9*",
            "FAIL distortion.l2.median min = 0.9: 0.*, below 0.9 (n = 39, *",
            "*ConfigError: check_policy: expected a policy*",
            "*= robustness =*",
            "model *samples *accuracy *found *median L2 *search *tests",
            "model *40 *97.5 % *100.0 % *0.* (0.* to 0.*) * s *8",
            "*test_gate: warning: FAIL distortion.l2.p25 min = 0.9:*",
        ],
    )
    result.stdout.fnmatch_lines(["the policy of the marker was not judged: call robustness.check_policy()"])
    assert not re.search(r"pytest_plugin/_fixture\.py:\d+: AssertionError", result.stdout.str())
    suite = ET.parse(project.path / "junit.xml").getroot()
    printed = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert float(printed["robustness.model.distortion.l2.median"] or "nan") > 0.3
    assert {"robustness.model.accuracy.robust.l2@0.05", "robustness.model.transfer.model->reference"} <= set(
        printed
    )
    reports = {path.parent.name for path in (project.path / "failed").rglob("report.html")}
    assert {"test_does_not_hold", "test_nothing_measured"} <= reports
    assert "test_holds" not in reports
    index = re.search(r"test_does_not_hold --index (\d+)", result.stdout.str())
    assert index is not None
    again = project.run(sys.executable, "-m", "robustcheck", "replay", "failed/test_all/test_does_not_hold",
                        "--index", index[1])  # fmt: skip
    assert again.ret == 0


def test_models_and_data_of_every_kind(project: pytest.Pytester) -> None:
    project.makepyfile(
        things="""
        import keras, numpy as np
        def model():
            with open("made.txt", "a") as file: file.write("model\\n")
            return keras.saving.load_model("model.keras")
        def data():
            with np.load("digits.npz") as stored: return stored["x"], stored["y"]
        """,
        test_kinds="""
        import keras, numpy as np, pytest, tensorflow as tf, things
        import robustcheck as rc

        def dataset(): return tf.data.Dataset.from_tensor_slices(things.data()).batch(16)

        MODELS = {"file": lambda: "model.keras", "factory": lambda: "things:model", "live": things.model,
                  "classifier": lambda: rc.wrap(things.model()), "callable": lambda: things.model().call}
        DATA = {"file": lambda: "digits.npz", "function": lambda: "things:data", "arrays": things.data,
                "dataset": dataset}
        KINDS = [(model, "file") for model in MODELS] + [("file", data) for data in DATA]

        @pytest.mark.parametrize("kind", KINDS, ids="-".join)
        def test_kind(robustness, kind):
            report = robustness.audit(MODELS[kind[0]](), DATA[kind[1]](), budget=30, limit=20).report
            again = robustness.audit("model.keras", "digits.npz", budget=30, limit=20).report
            np.testing.assert_allclose(report.samples.l2, again.samples.l2, rtol=1e-3)

        def test_training_goes_on(robustness):
            model, (x, y) = things.model(), things.data()
            before = robustness.audit(model, (x, y), budget=30, limit=20).report.samples.l2
            assert robustness.audit(model, (x, y), budget=30, limit=20).report.samples.l2 is before
            model.set_weights([1.1 * one for one in model.get_weights()])
            assert robustness.audit(model, (x, y), budget=30, limit=20).report.samples.l2 is not before

        def test_settings(robustness):
            x, y = things.data()
            options = rc.SearchOptions(budget=30)
            report = robustness.audit("model.keras", (255 * x.astype(float), y), options=options, limit=10,
                                      data_range=(0, 255), references={"other": "reference.keras"}, target=3,
                                      class_names=list("abcdefghij")).report
            assert report.data.target == "3" and report.data.class_names[0] == "a"
            few = robustness.audit("model.keras", (x, y), references="reference.keras", budget=30,
                                   limit=10, min_samples=5)
            assert few.transfer_to("reference") <= 1.0
        """,
    )
    result = run(project, "-q")
    result.assert_outcomes(passed=11)


def make_worse(file: str = "model.keras") -> None:
    """Noise on all weights of a model."""
    import keras

    model, draw = keras.saving.load_model(file), np.random.default_rng(0)
    model.set_weights([w + 0.15 * draw.standard_normal(w.shape).astype("f4") for w in model.get_weights()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Keras about NumPy
        model.save(file)


def test_baselines(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    project.makepyfile(
        test_b="""
        import pytest

        class TestRegression:
            @pytest.mark.parametrize("name", ["a/b", "a b"])
            def test_kept(self, robustness, name):
                robustness.audit("model.keras", "digits.npz", budget=30).check_baseline(rel=0.05)

        def test_two(robustness):
            report = robustness.audit("model.keras", "digits.npz", budget=30)
            report.check_baseline()
            robustness.audit("reference.keras", "digits.npz", budget=30).check_baseline(name="reference")

        @pytest.mark.parametrize("case", ["data", "conditions", "broken", "schema", "lies"])
        def test_strange(robustness, case):
            robustness.audit("model.keras", "digits.npz", budget=30).check_baseline()
        """
    )
    folder = project.path / "__robustness__" / "test_b"
    missing = run(project, "-k", "not strange")
    missing.assert_outcomes(failed=3)
    asked = re.findall(r"to keep this audit as the baseline: (pytest .*)", missing.stdout.str())
    assert len(set(asked)) == 3
    assert not folder.exists()

    # what the message says, and then the rest at once
    first = next(line for line in asked if "test_two" in line).split()
    assert first[0] == "pytest"
    run(project, *first[1:]).assert_outcomes(passed=1)
    assert [path.name for path in folder.iterdir()] == ["test_two.json"]
    assert set(json.loads((folder / "test_two.json").read_text())["audits"]) == {"audit", "reference"}
    before = (folder / "test_two.json").read_bytes()
    written = run(project, "--robustness-update", "-k", "not broken and not schema")
    written.assert_outcomes(passed=6)
    assert (folder / "test_two.json").read_bytes() == before, "nothing changed, so nothing is written"
    assert len(list(folder.iterdir())) == 6
    written.stdout.fnmatch_lines(["*baseline written: __robustness__/test_b/*.json"])

    strange = {case: next(folder.glob(f"test_strange_{case}*")) for case in ("data", "conditions", "lies")}
    good = strange["data"].read_text()
    stored = json.loads(good)
    sha256 = stored["audits"]["audit"]["data"]["sha256"]
    assert stored["audits"]["audit"]["model"]["path"] == "model.keras"
    strange["data"].write_text(good.replace(sha256, "0" * 64))
    strange["conditions"].write_text(good.replace('"budget": 30', '"budget": 60'))
    strange["lies"].write_text(good.replace('"FOUND", 0.', '"FOUND", -0.'))
    for case, text in (("broken", good[:-50]), ("schema", good.replace("baseline/2", "baseline/9"))):
        name = _kept_as(strange["data"], case)
        name.write_text(text)
    result = run(project, "--robustness-max-samples=35")
    result.assert_outcomes(passed=3, failed=5)
    result.stdout.fnmatch_lines_random(
        [
            "E * AssertionError: cannot be held against the baseline",
            "E * the baseline is for other data",
            "E * the baseline is for other conditions: budget was 60, is 30",
            "E *ReportRefused: *expected a baseline in JSON*",
            "E *ReportRefused: *expected a baseline of schema robustcheck.baseline/2",
            "E *ReportRefused: *expected samples with distances that fit their status and number",
            "*test_two: distances 1 (1 to 1) of the baseline's, clean accuracy +0.0 points, 35 samples",
        ]
    )

    # another model, that is worse
    make_worse()
    worse = run(project, "-k", "two")
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines(
        [
            "E       AssertionError: worse than the baseline: model, audited 20*",
            "E         model, * of 40 samples right, boundary, budget 30, seed 0",
            "E         L2 distances are 0.* (0.* to 0.*) of the old ones, below 0.95 *",
            "E         40 samples in both: L2 distances *, * became wrong, * right",
            "E         what fell most, by L2 distance:",
            "E           sample *, label *: * -> *",
            "E         once more, *: robustcheck replay DIR/test_b/test_two --index *",
        ]
    )
    monkeypatch.setenv("CI", "true")
    project.makeini("[pytest]\naddopts = --robustness-update\n")
    held = run(project, "-k", "two")
    held.assert_outcomes(failed=1)
    assert (folder / "test_two.json").read_bytes() == before
    run(project, "-k", "two", "--robustness-update").assert_outcomes(passed=1)
    assert (folder / "test_two.json").read_bytes() != before


def _kept_as(beside: Path, case: str) -> Path:
    """Where the baseline of another case of test_strange is kept."""
    return baseline_file(beside.parent.parent, beside.parent.name, f"test_strange[{case}]")


def test_xdist_audits_once(project: pytest.Pytester) -> None:
    project.makepyfile(
        things="""
        import keras
        def model():
            with open("made.txt", "a") as file: file.write("made\\n")
            return keras.saving.load_model("model.keras")
        """,
        test_x="""
        import pytest
        @pytest.mark.parametrize("n", range(6))
        def test_n(robustness, n, worker_id):
            references = {"r": "reference.keras"}
            report = robustness.audit("things:model", "digits.npz", budget=30, references=references)
            assert report.median_distortion >= (0.1 if n else 5)
            assert report.transfer_to("r") < 1
            assert set(report.report.made_for) == {"r"}
            report.check_baseline()
            with open(f"{worker_id}.txt", "w"): pass
        """,
    )
    result = run(project, "-n", "2", "--robustness-update", "--robustness-report=failed", own_process=True)
    result.assert_outcomes(passed=5, failed=1)
    assert (project.path / "made.txt").read_text() == "made\n"
    assert len(list(project.path.glob("gw*.txt"))) == 2, "both workers had tests"
    result.stdout.fnmatch_lines(["*= robustness =*", "model *40 *97.5 % *100.0 % * s *6"])
    assert len(list((project.path / "__robustness__").rglob("*.json"))) == 5
    assert len(list((project.path / "failed").rglob("report.html"))) == 1


def test_options_and_ini_keys(project: pytest.Pytester) -> None:
    project.makepyfile(
        **{
            "tests/test_o": """
            import pytest
            def test_seed(robustness):
                assert robustness.audit("model.keras", "digits.npz", budget=30).report.provenance.seed == 7
                own = robustness.audit("model.keras", "digits.npz", budget=30, seed=3).report
                assert own.provenance.seed == 3
            def test_samples(robustness):
                assert robustness.audit("model.keras", "digits.npz", budget=30).report.counts.total == 31
                fewer = robustness.audit("model.keras", "digits.npz", budget=30, limit=9).report
                assert fewer.counts.total == 9
            def test_baseline(robustness):
                robustness.audit("reference.keras", "digits.npz", budget=30).check_baseline()
            @pytest.mark.robustness(model="model.keras", data="digits.npz", budget=30)
            def test_policy(robustness):
                robustness.check_policy()
            @pytest.mark.robustness
            def test_marked(): pass
            def test_other(): pass
            """
        }
    )
    project.makeini(
        "[pytest]\nrobustness_baseline_dir = kept/here\nrobustness_tolerance = 0.9\n"
        "robustness_policy = policy.toml\n"
    )
    run(project, "--robustness-update-new-only", "-k", "baseline").assert_outcomes(passed=1)
    assert (project.path / "kept/here/tests/test_o/test_baseline.json").is_file()
    # the tolerance of the ini file lets a quite different model pass
    shutil.copy(project.path / "model.keras", project.path / "reference.keras")
    result = run(project, "--robustness-seed=7", "--robustness-max-samples=31", "-p", "no:subtests")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["E *AssertionError: FAIL distortion.l2.median min = 0.9: *"])
    skipped = run(project, "--robustness-skip", "-ra")
    skipped.assert_outcomes(passed=1, skipped=5)
    skipped.stdout.fnmatch_lines(["SKIPPED * --robustness-skip"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--robustness-seed=-1"], "*--robustness-seed: expected 0 or more, got -1"),
        (["--robustness-seed=x"], "*argument --robustness-seed: invalid int value: 'x'"),
        (["--robustness-max-samples=0"], "*--robustness-max-samples: expected 1 or more, got 0"),
        (["--robustness-update", "--robustness-max-samples=5"], "*a baseline is written of all samples*"),
        (
            ["-o", "robustness_tolerance=5"],
            "*robustness_tolerance: expected a share *, got '5'",
        ),
    ],
)
def test_usage_errors(project: pytest.Pytester, words: list[str], said: str) -> None:
    project.makepyfile("def test_x(): pass")
    result = run(project, *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("@pytest.mark.robustness(polcy='p.toml')", "unknown argument 'polcy'; did you mean 'policy'?"),
        ("@pytest.mark.robustness('p.toml')", "expected named arguments, got ('p.toml',)"),
        ("@pytest.mark.robustness(policy='p')", "expected a test that takes the fixture robustness*"),
    ],
)
@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_markers_refused(project: pytest.Pytester, marker: str, said: str, workers: list[str]) -> None:
    takes = "" if "policy='p'" in marker else "robustness"
    project.makepyfile(test_m=f"import pytest\n{marker}\ndef test_x({takes}): pass\n")
    result = run(project, *workers, own_process=bool(workers))
    assert result.ret != 0
    said = said.replace("[", "[[]")
    lines = result.stderr if not workers else result.stdout
    lines.fnmatch_lines([f"*test_m.py::test_x: robustness marker: {said}"])


def test_optimised_python_checks_or_says_that_it_cannot(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_o="""
        from robustcheck.testing import assert_min_distortion
        def test_by_assert(robustness):
            assert robustness.audit("model.keras", "digits.npz", budget=30).median_distortion >= 5
        def test_only_assert(robustness):
            report = robustness.audit("model.keras", "digits.npz", budget=30)
            assert report.median_distortion >= 5
        def test_by_function(robustness):
            assert_min_distortion(robustness.audit("model.keras", "digits.npz", budget=30).report, 5)
        """
    )
    command = (sys.executable, "-O", "-m", "pytest")
    # pytest's rewriting keeps the assert statements of test files
    project.run(*command, "-k", "by_assert").assert_outcomes(failed=1, deselected=2)
    plain = project.run(*command, "--assert=plain", "-k", "only or function")
    plain.assert_outcomes(passed=1, failed=1, errors=1)
    plain.stdout.fnmatch_lines(["python -O takes assert statements out, and nothing else was checked*"])


def test_a_project_that_does_not_use_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_n="""
        import sys
        def test_light():
            ours = {name for name in sys.modules if name.partition(".")[0] == "robustcheck"}
            assert ours <= {"robustcheck", "robustcheck.pytest_plugin", "robustcheck.pytest_plugin._settings"}
            assert not {"tensorflow", "keras", "numpy", "rich", "pydantic"} & set(sys.modules)
            assert {"a": 1} != {"a": 2}
        """
    )
    run(project, own_process=True).assert_outcomes(passed=1)
    run(project, "-p", "no:robustcheck", own_process=True).assert_outcomes(passed=1)
    # processor time, and the least of several runs: whatever else the machine does, it only adds
    least = {"with": 99.0, "without": 99.0}
    for round_ in range(20):
        for name, words in (("with", []), ("without", ["-p", "no:robustcheck"])):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            run(project, *words, own_process=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            least[name] = min(least[name], spent)
        if round_ > 4 and least["with"] - least["without"] < 0.05:
            break
    assert least["with"] - least["without"] < 0.05, least


def test_without_the_plugin(project: pytest.Pytester) -> None:
    project.makepyfile("def test_uses(robustness): pass\ndef test_plain(): pass")
    result = run(project, "-p", "no:robustcheck")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'robustness' not found"])


def test_help_and_markers_are_told(project: pytest.Pytester) -> None:
    run(project, "--markers").stdout.fnmatch_lines(["@pytest.mark.robustness(model=..., *"])
    printed = run(project, "--help").stdout.str()
    for name in ("report", "seed", "max-samples", "skip", "update", "update-new-only"):
        assert f"--robustness-{name}" in printed
    for name in ("robustness_baseline_dir", "robustness_tolerance", "robustness_policy"):
        assert name in printed


MASKED = """
import keras, numpy as np
class Masked(keras.layers.Layer):
    "Rounds: the gradient is zero almost everywhere, and a search along it finds little."
    def call(self, x):
        return keras.ops.round(8 * x) / 8 + 1e-9 * x
def masked():
    inner = keras.saving.load_model("model.keras")
    inputs = keras.Input((8, 8))
    return keras.Model(inputs, inner(Masked()(inputs)))
class Scale(keras.layers.Layer):
    k = 1.0
    def call(self, x):
        return x * self.k
def scaled():
    layer, inputs = Scale(), keras.Input((8, 8))
    return layer, keras.Model(inputs, keras.saving.load_model("model.keras")(layer(inputs)))
def data():
    with np.load("digits.npz") as stored: return stored["x"], stored["y"]
"""


def test_a_test_on_nothing_does_not_pass(project: pytest.Pytester) -> None:
    """What a pair of fresh eyes got past the plugin."""
    project.makepyfile(
        things=MASKED,
        test_f="""
        import numpy as np, pytest, things
        SMALL = {"budget": 30}

        class TestRefused:
            def test_few(self, robustness):
                x, y = things.data()
                y = np.where(np.arange(40) < 3, y, (y + 1) % 10)
                assert robustness.audit("model.keras", (x, y), **SMALL).median_distortion >= 0
            def test_no_labels(self, robustness):
                report = robustness.audit("model.keras", "digits.npz", labels="model", **SMALL)
                assert report.measures["accuracy.clean"] >= 0.5
            def test_unchecked(self, robustness):
                robustness.audit("model.keras", "digits.npz", **SMALL)
            def test_truth(self, robustness):
                assert robustness.audit("model.keras", "digits.npz", **SMALL)
            def test_equal(self, robustness):
                assert robustness.audit("model.keras", "digits.npz", **SMALL).median_distortion != 0
            def test_approx(self, robustness):
                report = robustness.audit("model.keras", "digits.npz", **SMALL)
                assert report.median_distortion == pytest.approx(0.5, abs=100)
            @pytest.mark.robustness(model="model.keras", data="digits.npz")
            def test_empty(self, robustness): pass
            def test_same_name(self, robustness):
                report = robustness.audit("model.keras", "digits.npz", **SMALL)
                report.check_baseline()
                report.check_baseline()

        class TestHolds:
            def test_state_of_a_layer(self, robustness):
                layer, model = things.scaled()
                before = robustness.audit(model, things.data(), **SMALL).report
                assert robustness.audit(model, things.data(), **SMALL).report is before
                layer.k = 0.5
                assert robustness.audit(model, things.data(), **SMALL).report is not before
            def test_numpy_numbers(self, robustness):
                median = robustness.audit("model.keras", "digits.npz", **SMALL).median_distortion
                assert median >= np.float32(0.1) and np.int64(0) < median
                assert "over 39 samples" in repr(median)
            def test_a_policy_not_met_is_an_assertion(self, robustness):
                with pytest.raises(AssertionError, match="FAIL distortion"):
                    robustness.audit("model.keras", "digits.npz", **SMALL).check_policy("policy.toml")
        """,
    )
    result = run(project, "--robustness-update", "-p", "no:subtests")
    result.assert_outcomes(passed=3 + 2, failed=6, errors=2)
    result.stdout.fnmatch_lines_random(
        [
            "E *Incomplete: distortion.l2.median: expected at least 30 samples, got *",
            "E *Incomplete: measure: the audit had no labels, so accuracy is that of the model *",
            "E *TypeError: an audit is neither true nor false*",
            "E *TypeError: a measure is compared by <, <=, > or >=*",
            "E *ConfigError: check_baseline: expected another name= than 'audit'*",
            "the audit was not checked: compare one of its figures, or take its report",
            "the marker names a model, and nothing was audited: call robustness.audit()",
        ]
    )


def test_files_of_the_same_name_and_other_folders(project: pytest.Pytester) -> None:
    body = """
        import pytest
        pytestmark = pytest.mark.robustness(model="{model}", data="digits.npz", budget=30)
        def test_floor(robustness, monkeypatch, tmp_path):
            report = robustness.audit()
            monkeypatch.chdir(tmp_path)
            assert report.median_distortion >= 5
        def test_no_fixture(): pass
        def test_baseline(robustness):
            robustness.audit().check_baseline()
    """
    for folder, model in (("a", "model.keras"), ("b", "reference.keras")):
        project.makepyfile(**{f"{folder}/test_m": body.format(model=model)})
    project.makeini("[pytest]\naddopts = --import-mode=importlib\n")
    result = run(project, "--robustness-report=failed")
    result.assert_outcomes(passed=2, failed=4)
    names = []
    for folder in ("a", "b"):
        stored = json.loads(
            (project.path / "failed" / folder / "test_m" / "test_floor" / "report.json").read_text()
        )
        names.append(stored["model"]["name"])
    assert names == ["model", "reference"]
    # a command that is told can be pasted where pytest was started
    command = [sys.executable, "-m", "pytest", "test_m.py", "-k", "baseline"]
    started = subprocess.run(command, cwd=project.path / "a", capture_output=True, text=True, check=False)
    asked = re.search(r"to keep this audit as the baseline: pytest (.*)", started.stdout)
    assert asked is not None
    again = [sys.executable, "-m", "pytest", *asked[1].split()]
    assert subprocess.run(again, cwd=project.path / "a", capture_output=True, check=False).returncode == 0
    (project.path / "file").touch()
    assert run(project, "--robustness-report=file").ret == pytest.ExitCode.USAGE_ERROR


def test_another_backend_of_keras_is_set_aside(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says is no fault of the tests: they run, and the summary of warnings says so."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    project.makepyfile(
        """
        def test_floor(robustness):
            report = robustness.audit("model.keras", "digits.npz", budget=30, limit=35)
            assert report.clean_accuracy >= 0.5
        """
    )
    result = run(project, own_process=True)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*KERAS_BACKEND says 'torch': robustcheck needs Keras on TensorFlow*"])


def test_a_policy_that_is_not_there_is_told_at_once(project: pytest.Pytester) -> None:
    project.makepyfile("def test_x(): pass")
    result = run(project, "-o", "robustness_policy=nope.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*robustness_policy: expected a file, got nothing at nope.toml"])
