"""An audit that is stopped and goes on, and one that is done in parts or elsewhere: the same report."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import robustcheck as rc
from robustcheck import arrays, assets
from robustcheck.auditing import audit_config, audit_part
from robustcheck.cli import main
from robustcheck.config import AuditConfig
from robustcheck.distortion import ShardWork, _attack, run_shard, set_facts, start_facts
from robustcheck.errors import ConfigError, Incomplete, Interrupted, ModelRefused, ReportRefused
from robustcheck.policy import Policy, Rule
from robustcheck.report import read_report
from robustcheck.results import AuditReport, SearchResult
from robustcheck.samples import as_samples
from robustcheck.shards import gather

OPTIONS = rc.SearchOptions(budget=30)


class KilledError(Exception):
    """Stands for a process that ends at once: nothing of robustcheck runs after it."""


@cache
def classifier(name: str) -> Any:
    """Wrapped once, so that the tests trace their searches once."""
    return rc.wrap(keras.models.load_model(assets.path(name), compile=False), name=Path(name).stem)


def audited(out: Path | None, **more: Any) -> AuditConfig:
    """24 digits in batches of 5: five shards for each of two models."""
    asked: dict[str, Any] = {
        "model": classifier(assets.MODELS[0]),
        "data": str(assets.path(assets.DIGITS)),
        "references": {Path(assets.MODELS[1]).stem: classifier(assets.MODELS[1])},
        "data_range": assets.DIGITS_RANGE,
        "limit": 24,
        "batch_size": 5,
        "options": OPTIONS,
        "noise_draws": 1,
        "out": out,
    }
    return AuditConfig(**asked | more)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an audit in one piece."""
    out = tmp_path_factory.mktemp("whole") / "report"
    audit_config(audited(out), lambda *_: None)
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("report.html", "report.json", "plan.json")
    }


def figures_of(folder: Path) -> dict[str, Any]:
    """A report without what differs from run to run."""
    document = json.loads((folder / "report.json").read_text())
    for searched in (document, *document["further"].values()):
        searched["cost"]["seconds"] = 0
    document["provenance"] |= {"started": "", "command": None}
    for model in (document["model"], *document["references"]):
        model |= {"path": None, "sha256": None}  # a file has them, a live model has not
    return dict(document)


def assert_same_report(folder: Path, whole: Path) -> None:
    assert figures_of(folder) == figures_of(whole)
    assert files_of(folder) == files_of(whole)


def stop(at: int, by: type[BaseException]) -> Callable[[str, int, int], None]:
    """Ends an audit when so many shards are done."""
    shards: set[tuple[str, int]] = set()

    def on_progress(stage: str, done: int, total: int) -> None:
        if stage.startswith("search") and (done % 5 == 0 or done == total) and done:
            shards.add((stage, done))
            if len(shards) >= at:
                raise by

    return on_progress


def nothing_is_searched(*_: Any, **__: Any) -> Any:
    raise AssertionError("there was nothing left to search")


@pytest.mark.parametrize("at", [1, 7])
def test_what_was_killed_goes_on_to_the_same_report(at: int, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    with pytest.raises(KilledError):
        audit_config(audited(out, resume=True), stop(at, KilledError))
    assert not (out / "report.json").exists()
    kept = len(list((out / "shards").iterdir()))
    assert kept == at
    (out / "shards" / ".writing-00012-0123456789abcdef0123456789abcdef.npz").write_bytes(b"half")
    (out / ".writing-abcd1234").mkdir()
    with pytest.raises(ConfigError, match=r"was stopped; resume= \(--resume\) goes on"):
        audit_config(audited(out), lambda *_: None)
    told: list[tuple[str, int, int]] = []
    audit_config(audited(out, resume=True), lambda *what: told.append(what))
    assert_same_report(out, whole)
    first = next(what for what in told if what[0].startswith("search"))
    assert first[1] == (5 * at) % 25 % 24  # a search begins with what is there


def test_ctrl_c_leaves_a_report_and_the_work(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    with pytest.raises(Interrupted) as stopped:
        audit_config(audited(out), stop(3, KeyboardInterrupt))
    assert stopped.value.done.counts.total == 15
    assert not json.loads((out / "report.json").read_text())["complete"]
    audit_config(audited(out, resume=True), lambda *_: None)
    assert_same_report(out, whole)


def test_a_report_that_is_done_is_read_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(whole, tmp_path / "report")
    monkeypatch.setattr(_attack, "search_range", nothing_is_searched)
    policy = Policy.of(Rule(metric="distortion.l2.median", min=100.0, min_samples=1))
    report = audit_config(audited(out, resume=True, policy=policy), lambda *_: None)
    assert report.verdict == "FAIL"
    assert files_of(out).keys() - {"attestation.json"} == files_of(whole).keys()


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"references": {}}, "models"),
        ({"limit": 20}, "data samples"),
        ({"data_range": (0, 17)}, "data data_range"),
        ({"options": rc.SearchOptions(budget=40)}, "option budget"),
        ({"norms": ("l2", "linf")}, "norms"),
        ({"batch_size": 6}, "batch size"),
        ({"transfer": "one-way"}, "transfer attacked"),
    ],
)
def test_another_audit_does_not_go_on(
    more: Mapping[str, Any], what: str, whole: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(whole, tmp_path / "report")
    with pytest.raises(ConfigError, match=f"expected the audit that was begun there.*({what})"):
        audit_config(audited(out, resume=True, **more), lambda *_: None)


def test_another_version_does_not_go_on(whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "report")
    plan = json.loads((out / "plan.json").read_text())
    plan["versions"]["tensorflow"] = "2.0.0"
    (out / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ConfigError, match=r"version of tensorflow: 2\.0\.0 there"):
        audit_config(audited(out, resume=True), lambda *_: None)


def test_a_model_whose_content_cannot_be_told_does_not_go_on(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((4, 3), np.float32), np.zeros(4, int)
    model = rc.wrap(lambda z: z @ tf.ones((3, 2)), input_shape=(3,))
    with pytest.raises(ConfigError, match="expected a model file, or a model whose content can be told"):
        rc.audit(model, x, y, out=tmp_path / "report", resume=True)


def test_a_shard_that_was_cut_short_or_altered_is_made_again(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    with pytest.raises(KilledError):
        audit_config(audited(out), stop(4, KilledError))
    cut, altered, *_ = sorted((out / "shards").iterdir())
    cut.write_bytes(cut.read_bytes()[:-100])
    altered.write_bytes(altered.read_bytes()[:-1] + b"\0")
    (out / "shards" / "00099-0123456789abcdef0123456789abcdef.npz").write_bytes(b"")
    (out / "shards" / ".DS_Store").write_bytes(b"left by a desktop")
    audit_config(audited(out, resume=True), lambda *_: None)
    assert_same_report(out, whole)


def test_parts_make_the_same_report(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "audit", str(assets.path(assets.MODELS[0])), "--data", str(assets.path(assets.DIGITS)),
        "--reference", str(assets.path(assets.MODELS[1])), "--data-range", "0", "16", "--limit", "24",
        "--batch-size", "5", "--budget", "30", "--noise-draws", "1",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for part in (1, 2, 3):
        assert main([*words, "--shard", f"{part}/3", "--out", f"part-{part}"]) == 0
    assert "3 of 10 shards are in part-3" in capsys.readouterr().out
    assert main(["merge", "part-1", "part-2", "part-3", "--quiet"]) == 0
    assert_same_report(Path("robustcheck-report"), whole)
    # as in one piece, the report is judged by a policy
    Path("policy.toml").write_text(
        "schema = 1\n[[rule]]\nmetric = 'distortion.l2.median'\nmin = 99\nmin_samples = 1\n"
    )
    assert main(["merge", "part-1", "part-2", "part-3", "--out", "judged", "--policy", "nowhere.toml"]) == 2
    assert not Path("judged").exists()
    gather([Path(f"part-{part}") for part in (1, 2, 3)], Path("judged"), force=False)  # and was stopped there
    assert main(["merge", "part-1", "part-2", "part-3", "--out", "judged", "--policy", "policy.toml"]) == 1
    assert main(["merge", "part-1", "part-2", "part-3", "--out", "judged"]) == 2
    capsys.readouterr()
    for folders, expected in {
        ("part-1", "part-3"): "in the 2 folders, got none of 1, 4, 7: that is part 2/3",
        ("part-1",): "got none of 1, 2, 4, 5, 7 and more: that is part 2/3, 3/3",
        ("part-1", "part-2", "part-2", "part-3"): "part-2: expected each shard once, got shard 1 in part-2",
        ("part-1", "nowhere"): "nowhere: expected the folder of a part, got no folder",
        ("robustcheck-report",): "robustcheck-report: expected shards of an audit, got the report of a whole",
    }.items():
        assert main(["merge", *folders, "--out", "other"]) == 3
        assert expected in capsys.readouterr().err.replace("\n", " ")
    assert main(["merge", "part-1", "part-2", "--out", "part-2"]) == 2
    shard = next(Path("part-2/shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    assert main(["merge", "part-1", "part-2", "part-3", "--out", "other"]) == 3
    assert "cut short or altered" in capsys.readouterr().err
    assert main([*words, "--shard", "2/3", "--out", "part-2", "--resume", "--quiet"]) == 0
    assert main(["merge", "part-1", "part-2", "part-3", "--out", "other", "--quiet"]) == 0
    assert_same_report(Path("other"), whole)


def test_parts_of_different_audits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shard=.*an audit in one piece, got part 1/2"):
        audit_config(audited(tmp_path / "1", shard=(1, 2)), lambda *_: None)
    for part, budget in ((1, 30), (2, 31)):
        config = audited(tmp_path / str(part), shard=(part, 2), options=rc.SearchOptions(budget=budget))
        assert audit_part(config, lambda *_: None).shards == 5
    with pytest.raises(ReportRefused, match="option budget: 30 there, 31 here"):
        gather([tmp_path / "1", tmp_path / "2"], tmp_path / "out", force=False)
    plan = json.loads((tmp_path / "2" / "plan.json").read_text())
    first = json.loads((tmp_path / "1" / "plan.json").read_text())
    plan |= {"options": first["options"]}
    plan["facts"][0]["rounding"] *= 2
    (tmp_path / "2" / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ReportRefused, match="what the machines measured"):
        gather([tmp_path / "1", tmp_path / "2"], tmp_path / "out", force=False)


def test_a_plan_does_not_choose_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("factory_of_a_plan.py").write_text(
        "import keras\nfrom robustcheck import assets\n"
        "def model():\n    return keras.models.load_model(assets.path(assets.MODELS[0]))\n"
    )
    words = ["audit", "factory_of_a_plan:model", "--data", str(assets.path(assets.DIGITS)), "--data-range"]
    words += ["0", "16", "--limit", "4", "--budget", "20", "--quiet"]
    assert main([*words, "--shard", "1/1", "--out", "part"]) == 0
    assert main(["merge", "part"]) == 3
    assert "--resume --out robustcheck-report" in capsys.readouterr().err.replace("\n", " ")
    assert main([*words, "--resume"]) == 0


def test_a_function_that_gives_another_model_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its workers would search another model than the one that is reported on."""
    monkeypatch.chdir(tmp_path)
    Path("drawn_anew.py").write_text(
        "import keras\n"
        "def model():\n"
        "    layers = [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)]\n"
        "    return keras.Sequential(layers)\n"
        "def opaque():\n"
        "    import robustcheck, tensorflow as tf\n"
        "    weights = tf.random.normal((64, 10))\n"
        "    return robustcheck.wrap(lambda z: tf.reshape(z, (-1, 64)) @ weights, input_shape=(8, 8))\n"
    )
    with ThreadPoolExecutor(1) as executor:
        for name, expected in (("model", "the same model each time"), ("opaque", "another class in another")):
            config = audited(
                None, model=f"drawn_anew:{name}", references={}, labels="model", executor=executor
            )
            with pytest.raises(ModelRefused, match=expected):
                audit_config(config, lambda *_: None)
    print("stdout is where it was")
    assert capsys.readouterr().out == "stdout is where it was\n"


class Unreliable(Executor):
    """Does work at once, and loses that of one shard, as if its worker had died, so many times."""

    def __init__(self, first_sample: int, times: int) -> None:
        self.first, self.left = first_sample, times

    def submit(self, function: Any, *arguments: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        work = arguments[-1]
        if work.model == "digits_dense_64" and work.options.norm == "l2" and self.left:
            begins = int(np.flatnonzero(self.positions == work.samples.index[0])[0])
            if begins == self.first:
                self.left -= 1
                future.set_exception(BrokenExecutor("gone"))
                return future
        future.set_result(function(*arguments))
        return future

    positions: np.ndarray


def test_a_shard_whose_workers_die(whole: Path, tmp_path: Path) -> None:
    """Twice: the same report. Each time: what else was done is kept, and tried again by --resume."""
    index = read_report(whole).samples.index
    out = tmp_path / "report"
    executor = Unreliable(10, 2)
    executor.positions = index
    audit_config(audited(out, executor=executor), lambda *_: None)
    assert_same_report(out, whole)
    executor = Unreliable(10, 3)
    executor.positions = index
    report = audit_config(audited(out, executor=executor, force=True), lambda *_: None)
    assert (report.complete, report.verdict, report.counts.total) == (False, "INCOMPLETE", 19)
    (note, *_) = report.data.notes
    assert "shard 2 (samples 10 to 14, L2, digits_dense_64) could not be searched: its worker died" in note
    assert "19 of 24 samples" in note
    assert len(list((out / "shards").iterdir())) == 9
    audit_config(audited(out, resume=True), lambda *_: None)
    assert_same_report(out, whole)


def test_an_executor_that_fails_keeps_what_was_done(tmp_path: Path) -> None:
    class Failing(ThreadPoolExecutor):
        def submit(self, function: Any, *arguments: Any, **more: Any) -> Future[Any]:
            if len(self._threads) and arguments[-1].samples.index[0] > 300:
                return super().submit(lambda: 1 / 0)
            return super().submit(function, *arguments, **more)

    with (
        Failing(1) as executor,
        pytest.raises(Incomplete, match=r"the executor failed: ZeroDivisionError.*resume"),
    ):
        audit_config(audited(tmp_path / "report", executor=executor), lambda *_: None)
    assert list((tmp_path / "report" / "shards").iterdir())


def test_processes_give_the_same_report(whole: Path, tmp_path: Path) -> None:
    audit_config(audited(tmp_path / "report", jobs=2), lambda *_: None)
    assert_same_report(tmp_path / "report", whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ray_gives_the_same_report(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    audit_config(audited(tmp_path / "report", executor="ray", jobs=1), lambda *_: None)
    assert_same_report(tmp_path / "report", whole)


def test_a_live_model_goes_to_other_workers(
    digit_models: list[Any], pixels: np.ndarray, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    how = {"options": OPTIONS, "batch_size": 4}
    here = rc.audit(digit_models[0], pixels[:8], digits[1][:8], **how)
    with ThreadPoolExecutor(2) as executor:
        there = rc.audit(digit_models[0], pixels[:8], digits[1][:8], executor=executor, **how)
        np.testing.assert_array_equal(there.samples.adversarial, here.samples.adversarial)
        found = rc.minimal_distortion(
            classifier(assets.MODELS[0]), pixels[:8], digits[1][:8], **how, executor=executor
        )
        np.testing.assert_array_equal(found.adversarial, here.samples.adversarial)
        opaque = rc.wrap(lambda z: z @ tf.ones((3, 2)), input_shape=(3,))
        with pytest.raises(ConfigError, match=r"expected a model file or package\.module:factory"):
            rc.audit(opaque, np.ones((2, 3), np.float32), np.zeros(2, int), executor=executor)


def test_a_batch_that_does_not_fit_is_halved(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to what fits; the answers stay the same up to rounding, and the report says it."""
    search = _attack.search_range

    def small(classifier: Any, samples: Any, *rest: Any) -> Any:
        if len(samples) > 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return search(classifier, samples, *rest)

    monkeypatch.setattr(_attack, "search_range", small)
    report = audit_config(audited(None, references={}), lambda *_: None)
    assert report.data.notes[-1] == (
        "batches of 5 samples did not all fit into memory: some were searched in batches of 1"
    )
    np.testing.assert_allclose(report.samples.l2, read_report(whole).samples.l2, rtol=1e-2)

    def none(*_: Any) -> Any:
        raise MemoryError("not one")

    monkeypatch.setattr(_attack, "search_range", none)
    with pytest.raises(Incomplete, match="a single sample does not fit into memory"):
        audit_config(audited(None), lambda *_: None)


def test_a_disk_that_is_full(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robustcheck.shards import _store

    sync, left = _store.os.fsync, 8  # two of the plan and of each of three shards

    def full(stream: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        sync(stream)

    out = tmp_path / "report"
    monkeypatch.setattr(_store.os, "fsync", full)
    with pytest.raises(Incomplete, match=r"No space left on device; what was done is kept, and resume="):
        audit_config(audited(out), lambda *_: None)
    monkeypatch.setattr(_store.os, "fsync", sync)
    assert len(list((out / "shards").iterdir())) == 3  # no half of a file is left
    with monkeypatch.context() as patch:
        patch.setattr(SearchResult, "save", lambda *_: full(0))
        with pytest.raises(Incomplete, match=r"expected room for the report: No space left.*resume="):
            audit_config(audited(out, resume=True), lambda *_: None)
    assert len(list((out / "shards").iterdir())) == 10
    audit_config(audited(out, resume=True), lambda *_: None)
    assert_same_report(out, whole)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"jobs": 0}, "jobs= .*whole number of at least 1"),
        ({"ray_address": "auto"}, 'ray_address= .*executor="ray"'),
        ({"executor": "ray", "gpus_per_worker": -1.0}, "gpus_per_worker= .*0 or more"),
        ({"executor": "dask"}, "executor= .*'local', 'ray' or a concurrent.futures.Executor"),
        ({"executor": Unreliable(0, 0), "jobs": 2}, "jobs= .*its own workers"),
        ({"shard": (3, 2), "out": Path("x")}, "shard= .*K from 1 to N"),
        ({"resume": True}, "resume= .*a folder"),
        ({"shard": (1, 2)}, "shard= .*a folder"),
    ],
)
def test_work_that_makes_no_sense(more: Mapping[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        audited(**({"out": None} | more))


@st.composite
def cuts(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """24 samples cut anyhow, in any order: (start, stop, batch size) of each part."""
    ends = sorted(draw(st.sets(st.integers(1, 23), max_size=6)))
    ranges = list(itertools.pairwise([0, *ends, 24]))
    return [(start, stop, draw(st.integers(1, 24))) for start, stop in draw(st.permutations(ranges))]


@settings(max_examples=15, deadline=None)
@given(cuts())
def test_however_the_work_is_cut_the_answers_are_the_same(parts: list[tuple[int, int, int]]) -> None:
    """Batch mates change sums in the last bit, which a search carries on: 1 %, as in any other company."""
    model, x, y, whole = searched_whole()
    samples = as_samples(model, x, y)
    facts = set_facts(samples, start_facts(model, samples))
    for start, stop, batch_size in parts:
        work = ShardWork(
            model=model.name,
            samples=samples.take(np.arange(start, stop)),
            targets=np.full(stop - start, -1),
            options=OPTIONS,
            batch_size=batch_size,
        )
        done = run_shard(model, facts, work, lambda *_: None).examples
        np.testing.assert_array_equal(done.index, np.arange(start, stop))
        np.testing.assert_array_equal(done.sample_id, whole.sample_id[start:stop])
        np.testing.assert_array_equal(done.status, whole.status[start:stop])
        np.testing.assert_allclose(done.l2, whole.l2[start:stop], rtol=0.01)


@cache
def searched_whole() -> tuple[Any, np.ndarray, np.ndarray, SearchResult]:
    model = classifier(assets.MODELS[0])
    with np.load(assets.path(assets.DIGITS)) as stored:
        x, y = (stored["x_test"][:24] / 16).astype(np.float32), stored["y_test"][:24]
    return model, x, y, rc.minimal_distortion(model, x, y, options=OPTIONS)


def test_reports_have_no_trace_of_how_they_were_made(whole: Path) -> None:
    report: AuditReport = read_report(whole)
    assert report.complete
    assert not (whole / "shards").exists()
    assert json.loads((whole / "plan.json").read_text())["schema"] == "robustcheck.plan/1"


def test_large_arrays_lie_in_files(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same report, and its arrays are not in memory."""
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 1000)
    report = audit_config(audited(tmp_path / "report"), lambda *_: None)
    assert_same_report(tmp_path / "report", whole)
    for array in (report.samples.input, report.samples.adversarial):
        while isinstance(array.base, np.ndarray):
            array = array.base
        assert isinstance(array, np.memmap)


def test_without_examples(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures are all there, and are judged and compared; what needs the examples says so."""
    out = tmp_path / "report"
    audit_config(audited(out, no_examples=True), lambda *_: None)
    assert figures_of(out) == figures_of(whole) | {"examples": False}
    with np.load(out / "samples.npz") as bare, np.load(whole / "samples.npz") as full:
        assert set(full) - set(bare) == {"input", "adversarial"}
        assert set(bare) < set(full)
        np.testing.assert_array_equal(bare["l2"], full["l2"])
    (made_for,) = (out / "transfer").iterdir()
    assert made_for.stat().st_size < (whole / "transfer" / made_for.name).stat().st_size
    (tmp_path / "p.toml").write_text("schema = 1\n[[rule]]\nmetric = 'accuracy.robust.l2@0.1'\nmin = 0.01\n")
    assert main(["gate", str(out), "--policy", str(tmp_path / "p.toml")]) in (0, 4)
    assert main(["compare", str(whole), str(out)]) == 0
    assert main(["replay", str(out), "--index", str(read_report(whole).samples.index[0])]) == 3
    assert main(["report", str(out)]) == 3
    assert capsys.readouterr().err.count("no_examples= (--no-examples)") == 2
    with pytest.raises(ReportRefused, match="--no-examples"):
        audit_config(audited(out, resume=True, no_examples=True), lambda *_: None)


def test_parts_of_one_audit_may_lie_anywhere(whole: Path, tmp_path: Path) -> None:
    """The same data under another path, as on another machine, are the same plan."""
    for part in (1, 2):
        there = tmp_path / f"machine-{part}"
        there.mkdir()
        shutil.copy(assets.path(assets.DIGITS), there)
        config = audited(there / "out", data=str(there / assets.path(assets.DIGITS).name), shard=(part, 2))
        audit_part(config, lambda *_: None)
    gather([tmp_path / f"machine-{part}" / "out" for part in (1, 2)], tmp_path / "out", force=False)
    audit_config(audited(tmp_path / "out", resume=True), lambda *_: None)
    assert_same_report(tmp_path / "out", whole)
