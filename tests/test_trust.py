"""How far files are believed: copies, trials elsewhere, trust that is asked for, what a report keeps."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from robustcheck import assets, intake, measures
from robustcheck.cli import main
from robustcheck.config import FileOptions
from robustcheck.errors import (
    ConfigError,
    DataRefused,
    Incomplete,
    ModelRefused,
    ReportRefused,
    RobustcheckWarning,
)
from robustcheck.intake import _models, _preflight
from robustcheck.report import _files, read_evidence, read_report, write_report
from robustcheck.results import plain, without_places
from robustcheck.testing import write_baseline

MODEL = assets.path(assets.MODELS[0])
STORED = Path(__file__).parent / "stored_report" / "report"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Model files are tried in a process of their own; here is kept which."""
    monkeypatch.delenv("ROBUSTCHECK_PREFLIGHT")
    monkeypatch.setattr(_preflight, "_tried_here", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "robustcheck" / "models-tried"


def saved(path: Path, *layers: Any) -> Path:
    model = keras.Sequential([keras.layers.Input((8, 8)), keras.layers.Flatten(), *layers])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of Keras about NumPy
        model.save(path)
    return path


def test_what_was_opened_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is exchanged once it was opened is not the one that was looked at."""
    path = Path(shutil.copy(MODEL, tmp_path / "model.keras"))
    other = assets.path(assets.MODELS[1])
    look = _models.look

    def exchanged(*given: Any, **more: Any) -> Any:
        shutil.copy(other, path)
        return look(*given, **more)

    monkeypatch.setattr(_models, "look", exchanged)
    loaded = intake.load_model(str(path))
    assert loaded.sha256 == intake.sha256(MODEL) != intake.sha256(path)
    assert loaded.model.count_params() == keras.models.load_model(MODEL).count_params()


def test_a_file_is_tried_once(tried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []
    run = _preflight._run
    monkeypatch.setattr(_preflight, "_run", lambda *given: runs.append(given) or run(*given))
    path = saved(tmp_path / "model.keras", keras.layers.Dense(3))
    intake.load_model(str(path))
    assert len(runs) == 1
    assert intake.sha256(path) in tried.read_text()
    # by another process, and once more by this one that was told to
    monkeypatch.setattr(_preflight, "_tried_here", set())
    intake.load_model(str(path))
    intake.load_model(str(MODEL))  # comes with the package
    intake.load_model(str(path), files=FileOptions(preflight="never"))
    assert len(runs) == 1
    monkeypatch.setattr(_preflight, "_run", lambda *given: runs.append(given) or ({"memory": False}, 0))
    for _ in range(2):
        intake.load_model(str(path), files=FileOptions(preflight="always"))
    assert len(runs) == 2


def test_what_a_file_may_not_do_in_a_process_of_its_own(
    tried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer of the user's own that crashes, or waits; it sees nothing of the environment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers_that_crash.py").write_text(
        "import os, time, keras\n"
        f"seen = {str(tmp_path / 'seen')!r}\n"
        "class Does(keras.layers.Layer):\n"
        "    def __init__(self, what='nothing', **more):\n"
        "        super().__init__(**more)\n"
        "        self.what = what\n"
        "    def get_config(self):\n"
        "        return super().get_config() | {'what': self.what}\n"
        "    def compute_output_shape(self, shape):\n"
        "        return shape\n"
        "    def call(self, x):\n"
        "        if not os.path.samefile(os.getcwd(), os.path.dirname(seen)):\n"
        "            open(seen, 'w').write('\\n'.join(os.environ))\n"
        "            if self.what == 'crash':\n"
        "                os.abort()\n"
        "            if self.what == 'wait':\n"
        "                time.sleep(60)\n"
        "        return x\n"
    )
    monkeypatch.setenv("A_SECRET", "1")
    does = intake.import_layers(["layers_that_crash"])["Does"]
    for what, said in (
        ("crash", r"crashed the interpreter while it was \w+ \(signal 6"),
        ("wait", "gave no answer"),
    ):
        path = saved(tmp_path / f"{what}.keras", does(what))
        if what == "wait":
            monkeypatch.setattr(_preflight, "_PATIENCE", 0.2)
        with pytest.raises(ModelRefused, match=said):
            intake.load_model(str(path), imports=["layers_that_crash"])
    seen = (tmp_path / "seen").read_text().split()
    assert "A_SECRET" not in seen
    assert "HOME" in seen
    assert not tried.exists()


def test_a_process_that_does_not_come_to_the_file_says_nothing_of_it(
    tried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_preflight.sys, "executable", "/bin/false")
    path = saved(tmp_path / "model.keras", keras.layers.Dense(3))
    with pytest.warns(
        RobustcheckWarning, match=r"could not be tried in a process of its own.*\(exit code 1\)"
    ):
        intake.load_model(str(path))
    assert not tried.exists()


def test_a_model_that_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "code.keras", keras.layers.Lambda(lambda x: 2.0 * x), keras.layers.Dense(10))
    x = np.random.default_rng(0).random((8, 8, 8), np.float32)
    np.savez("data.npz", x=x)
    words = [
        "audit",
        "code.keras",
        "--data",
        "data.npz",
        "--labels",
        "model",
        "--budget",
        "20",
        "--noise-draws",
        "1",
    ]
    assert main(words) == 3
    assert "it holds Python code" in capsys.readouterr().err
    (tmp_path / "robustcheck.toml").write_text("trust_model = true\n")
    assert main(words) == 2
    assert "trust_model: expected as a flag alone" in capsys.readouterr().err
    (tmp_path / "robustcheck.toml").unlink()
    assert main([*words, "--trust-model"]) == 0
    said = "Code in the file of code was allowed to run"
    assert said in " ".join(capsys.readouterr().out.split())
    report = read_report(Path("robustcheck-report"))
    assert report.model.trusted
    for name in ("summary.md", "report.html"):
        assert said in Path("robustcheck-report", name).read_text()


def test_a_folder_that_is_trusted(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.export(tmp_path / "served", verbose=False)
    with pytest.raises(ModelRefused, match="a SavedModel folder, which holds code"):
        intake.load_model(str(tmp_path / "served"))
    loaded = intake.load_model(str(tmp_path / "served"), files=FileOptions(trust_model=True))
    x = np.random.default_rng(0).random((2, 8, 8), np.float32)
    np.testing.assert_allclose(loaded.model(x), model(x), atol=1e-6)
    assert loaded.trusted
    assert loaded.sha256 is not None


def test_the_file_that_is_expected() -> None:
    digest = intake.sha256(MODEL)
    intake.load_model(str(MODEL), files=FileOptions(expect_sha256=digest.upper()))
    with pytest.raises(ModelRefused, match=r"expected a file with the SHA-256 0000.*got"):
        intake.load_model(str(MODEL), files=FileOptions(expect_sha256="0" * 64))
    for wrong in ("0" * 63, "g" * 64):
        with pytest.raises(ConfigError, match="64 hexadecimal digits"):
            FileOptions(expect_sha256=wrong)
    # of references no digest is expected
    subject, reference = intake.model_sources(str(MODEL), [str(MODEL)], FileOptions(expect_sha256=digest))
    assert subject.files.expect_sha256 == digest
    assert reference.files.expect_sha256 is None
    with pytest.raises(ModelRefused, match="expected at most 100 parameters"):
        intake.load_model(str(MODEL), files=FileOptions(max_params=100))


def test_a_report_is_there_until_the_new_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while files are put in place, the old ones are all there again."""
    folder = tmp_path / "report"
    write_report(read_report(STORED), folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rename, left = Path.rename, [0]

    def fails_once(path: Path, target: Path) -> Any:
        left[0] -= 1
        if not left[0]:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_once)
    for at in (1, 4, 9, 12, 15):
        left[0] = at
        with pytest.raises(OSError, match="Input/output"):
            write_report(read_report(STORED), folder)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_nothing_is_written_through_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, mine = tmp_path / "report", tmp_path / "mine"
    shutil.copytree(STORED, folder)
    shutil.move(folder / "transfer", mine)
    (folder / "transfer").symlink_to(mine)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["report", str(folder)]) == 2
    assert "got a link in it, transfer" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    with pytest.raises(ConfigError, match="got a link in it"):
        _files.prepare_folder(folder, force=True)


def told_without_places(*, model: str, data: str, command: str) -> Any:
    """What a report keeps that was made of these."""
    report = read_report(STORED)
    return without_places(
        replace(
            report,
            model=replace(report.model, path=model),
            data=replace(report.data, path=data),
            provenance=replace(report.provenance, command=command),
        )
    )


def test_a_report_keeps_no_places(tmp_path: Path) -> None:
    report = read_report(STORED)
    kept = told_without_places(
        model="/home/me/models/model.keras",
        data="/home/me/x.npy,/home/me/y.npy",
        command="robustcheck audit a=/home/me/m.keras --data=/home/me/x.npy,/home/me/y.npy --out ../r",
    )
    assert kept.model.path == "model.keras"
    assert kept.data.path == "x.npy,y.npy"
    assert kept.provenance.command == "robustcheck audit a=m.keras --data=x.npy,y.npy --out ../r"
    windows = without_places(replace(report, model=replace(report.model, path=r"C:\Users\me\model.keras")))
    assert windows.model.path == "model.keras"
    x = np.random.default_rng(0).random((6, 8, 8), np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    for verbose in (False, True):
        out = tmp_path / f"report-{verbose}"
        words = [
            "audit",
            str(MODEL),
            "--data",
            str(tmp_path / "data.npz"),
            "--labels",
            "model",
            "--budget",
            "20",
        ]
        flags = ["--verbose-provenance"] if verbose else []
        assert main([*words, "--out", str(out), "--noise-draws", "1", "--quiet", *flags]) == 0
        texts = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
        assert any(str(tmp_path).encode() in text for text in texts) == verbose
        assert json.loads((out / "report.json").read_text())["data"]["path"].endswith("data.npz")


def photos(folder: Path, bad: int) -> Path:
    for number in range(10):
        (folder / str(number)).mkdir(parents=True)
        for copy in range(2):
            path = folder / str(number) / f"{copy}.png"
            Image.new("L", (8, 8), 20 * number + copy).save(path)
            if 2 * number + copy < bad:
                path.write_bytes(path.read_bytes()[:40])
    return folder


def test_images_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 2)
    wanted = {"shapes": ((8, 8),), "classes": 10}
    with pytest.raises(DataRefused, match=r"0/0\.png: expected an image"):
        intake.load_data(folder, intake.Wanted(**wanted))
    data = intake.load_data(folder, intake.Wanted(**wanted, skip_bad=True, max_bad=0.1))
    assert data.left_out == 2
    assert data.index.tolist() == list(range(2, 20))
    assert data.y is not None
    assert data.y.tolist() == [number for number in range(1, 10) for _ in range(2)]
    assert data.x[:, 0, 0].tolist() == [20 * number + copy for number in range(1, 10) for copy in range(2)]
    assert data.notes == ("2 images could not be read and are left out, the first 0/0.png",)
    with pytest.raises(Incomplete, match=r"2 of 20 images could not be read, which is more than .*max-bad"):
        intake.load_data(folder, intake.Wanted(**wanted, skip_bad=True, max_bad=0.05))
    open_shape = intake.Wanted(shapes=((None, None, 1),), classes=10, max_data_bytes=1000)
    with pytest.raises(DataRefused, match=r"at most 1000 bytes in all .*--max-data-bytes"):
        intake.load_data(photos(tmp_path / "whole", 0), open_shape)


def test_images_left_out_are_counted_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", 1)
    words = [
        "audit",
        str(MODEL),
        "--data",
        "photos",
        "--labels",
        "model",
        "--budget",
        "20",
        "--quiet",
        "--skip-bad",
    ]
    assert main(words) == 4
    assert main([*words, "--max-bad", "0.1"]) == 0
    report = read_report(Path("robustcheck-report"))
    assert report.data.left_out == 1
    assert report.counts.total == 19
    (tmp_path / "link.keras").symlink_to(MODEL)
    words[1] = "link.keras"
    assert main([*words, "--max-bad", "0.1", "--force"]) == 0
    notes = read_report(Path("robustcheck-report")).data.notes
    assert f"the file of link is a link to {MODEL.name}" in notes


def test_a_hardened_model_takes_the_place_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with np.load(assets.path(assets.DIGITS)) as stored:
        np.savez("train.npz", x=(stored["x_train"][:40] / 16).astype(np.float32), y=stored["y_train"][:40])
    words = [
        "harden",
        str(MODEL),
        "--data",
        "train.npz",
        "--epochs",
        "1",
        "--limit",
        "8",
        "--quiet",
        "--out",
        "out",
    ]
    for name, make in {
        "run/exp1": lambda path: path.mkdir(parents=True),
        "run/notes.txt": lambda path: (path.parent.mkdir(), path.write_text("precious")),
        "compare.html": lambda path: path.symlink_to("../victim"),
        "hardened.keras": lambda path: path.symlink_to("../victim"),
        "run/hardening.new.npz": lambda path: (path.parent.mkdir(), path.symlink_to("../../victim")),
        "run": lambda path: path.symlink_to("../elsewhere"),
    }.items():
        shutil.rmtree("out", ignore_errors=True)
        Path("out").mkdir()
        make(Path("out", name))
        assert main(words) == 2, name
        assert f"out/{name.partition('/')[0]}" in capsys.readouterr().err
        assert os.path.lexists(Path("out", name))
        assert not Path("victim").exists()
    shutil.rmtree("out")
    Path("out/run").mkdir(parents=True)
    np.savez("out/run/hardening.npz", meta=np.array("[1]"))
    assert main(words) == 2
    assert "expected a checkpoint of a run" in capsys.readouterr().err


def test_folders_that_only_look_like_a_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", str(MODEL), "--data", "nowhere.npz", "--out"]
    for name, make in {
        ".writing-notes/book.txt": lambda path: path.write_text("precious"),
        ".writing-abcd1234/book.txt": lambda path: path.write_text("precious"),
        "shards/00009-00000000000000000000000000000000.npz/x": lambda path: path.write_text("precious"),
        "report.json/x": lambda path: path.write_text("precious"),
    }.items():
        out = tmp_path / name.partition("/")[0].strip(".")
        path = out / name
        path.parent.mkdir(parents=True)
        make(path)
        assert main([*words, str(out), "--resume"]) == 2
        assert "got files that are not a report's" in capsys.readouterr().err
        assert path.read_text() == "precious"
    for name, make in {
        "pipe": os.mkfifo,
        "deep": lambda path: path.write_text("[" * 200_000),
    }.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name / "report.json")
        assert main([*words, str(tmp_path / name)]) == 2
        assert "got files that are not a report's" in capsys.readouterr().err


def test_a_report_of_many_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(STORED, tmp_path / "report")
    file = tmp_path / "report" / "report.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"rules": [0] * 1_100_000}))
    (tmp_path / "policy.toml").write_text('schema = 1\n[[rule]]\nmetric = "attack.found"\nmin = 0.1\n')
    assert main(["gate", str(tmp_path / "report"), "--policy", str(tmp_path / "policy.toml")]) == 3
    assert "of at most 1000000 values" in capsys.readouterr().err


def test_samples_that_draw_another_curve(tmp_path: Path) -> None:
    """Lengths that were made longer beside measures that were made to fit."""
    shutil.copytree(STORED, tmp_path / "report")
    report = read_report(STORED)
    longer = {name: 50.0 * getattr(report.samples, name) for name in ("l2", "rms", "linf", "l1", "halfway")}
    samples = replace(report.samples, **longer)
    samples.save(tmp_path / "report" / "samples.npz")
    file = tmp_path / "report" / "report.json"
    figures = measures.audit_measures({"l2": samples}, report.transfer)
    document = json.loads(report.to_json()) | {"measures": {n: plain(m) for n, m in figures.items()}}
    file.write_text(json.dumps(document))
    with pytest.raises(ReportRefused, match="gives another curve than"):
        read_evidence(tmp_path / "report")


def test_a_baseline_is_written_through_no_link(tmp_path: Path) -> None:
    report = read_report(STORED)
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".b.json.new").symlink_to("victim")
    write_baseline(report, tmp_path / "b.json")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "b.json").is_symlink()


def test_places_with_commas_and_equals_signs() -> None:
    kept = told_without_places(
        model="/home/alice,secret/m.keras",
        data="/home/bob=secret/x.npy,/home/bob=secret/y.npy",
        command="robustcheck audit n=/a,b/m.keras --data /bob=secret/d.npz --out=/o=p/r",
    )
    assert kept.model.path == "m.keras"
    assert kept.data.path == "x.npy,y.npy"
    assert kept.provenance.command == "robustcheck audit n=m.keras --data d.npz --out=r"


def test_what_a_model_was_compiled_with_is_not_made(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("adam", loss=lambda y, p: keras.ops.mean(p - y))
    with warnings.catch_warnings(action="ignore"):
        model.save(tmp_path / "model.keras")
    assert intake.load_model(str(tmp_path / "model.keras")).model.count_params() == model.count_params()


def test_files_that_are_passed_over_are_noted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 0)
    Image.new("L", (8, 8)).save(folder / "3" / "moving.gif")
    (folder / "3" / "Thumbs.db").write_bytes(b"")
    data = intake.load_data(folder, intake.Wanted(shapes=((8, 8),), classes=10))
    assert data.notes == (
        "1 files are none of BMP, JPEG, PNG, WEBP and are passed over, the first 3/moving.gif",
    )


def test_memory_that_lacks_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacks(*_: Any) -> int:
        raise MemoryError("no room for 6 GB")

    monkeypatch.setattr("robustcheck.cli._doctor.run", lacks)
    assert main(["doctor"]) == 4
    said = capsys.readouterr().err
    assert (
        "expected memory for the work: MemoryError: no room for 6 GB; --batch-size takes less at once" in said
    )
    assert "Traceback" not in said
