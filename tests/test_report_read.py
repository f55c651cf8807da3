"""Stored reports that were damaged or changed by hand are refused, whatever reads them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustcheck as rc
from robustcheck import report as reports
from robustcheck.cli import main
from robustcheck.errors import ConfigError, ReportRefused

DROP = object()


@pytest.fixture(scope="module")
def stored(
    tmp_path_factory: pytest.TempPathFactory, dense: Any, digit_models: list[Any], pixels: Any, digits: Any
) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "out"
    options = rc.SearchOptions(budget=60)
    rc.audit(
        dense, pixels[:40], digits[1][:40], references={"conv": digit_models[2]}, options=options, out=folder
    )
    return folder


@pytest.fixture
def copy(stored: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(stored, tmp_path / "out"))


def change(folder: Path, place: str, value: Any) -> None:
    """Set one value of report.json, addressed by keys and numbers with slashes between."""
    file = folder / "report.json"
    document = json.loads(file.read_text())
    at: Any = document
    *path, last = place.split("/")
    for key in path:
        at = at[int(key)] if isinstance(at, list) else at[key]
    if value is DROP:
        del at[last]
    elif isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    # as a hostile writer would: NaN and what is too large for a float as they are
    file.write_text(json.dumps(document).replace('"1e999"', "1e999"))


MEDIAN = "measures/distortion.l2.median/value"
TAMPERED: dict[str, tuple[str, Any]] = {
    "too large": (MEDIAN, "1e999"),
    "NaN": (MEDIAN, float("nan")),
    "NaN as text": (MEDIAN, "nan"),
    "number as text": (MEDIAN, "1_000"),
    "bool": (MEDIAN, True),
    "negative distance": (MEDIAN, -1.0),
    "a share above 1": ("measures/accuracy.clean/value", 1.5),
    "another accuracy": ("measures/accuracy.clean/value", 1.0),
    "another number of samples": ("measures/accuracy.clean/n", 10**30),
    "no accuracy": ("measures/accuracy.clean", DROP),
    "counts": ("counts/found", 0),
    "negative counts": ("counts/non_finite", -1),
    "doubling": ("measures/search.last_doubling/value", 2.0),
    "transfer measure": ("measures/transfer.max/value", 0.0),
    "errors": ("transfer/rows/0/errors/1", 0),
    "no errors": ("transfer/rows/0/errors/1", None),
    "negative errors": ("transfer/rows/0/errors/1", -3),
    "more errors than samples": ("transfer/rows/0/errors/1", 1000),
    "short row": ("transfer/rows/0/errors", [39]),
    "short curve": ("transfer/rows/0/curve/0/error", [1.0]),
    "twins": ("transfer/models", ["digits_dense_64", "digits_dense_64"]),
    "no rows": ("transfer/rows", []),
    "verdict without rules": ("verdict", "PASS"),
    "twice a check": ("checks/1/id", "labels"),
    "unknown check": ("checks/1/id", "serach"),
    "empty curve": ("curve", []),
    "half a range": ("data/data_range", [1.0]),
    "class names": ("data/class_names", ["a"]),
    "deep": ("bounds", {"a": {"b": {}}}),
    "options": ("provenance/options/budget", {"a": 1}),
}


@pytest.mark.parametrize("case", TAMPERED)
@pytest.mark.parametrize("samples", [True, False])
def test_tampered_reports_are_refused(copy: Path, case: str, samples: bool) -> None:
    if not samples:
        (copy / "samples.npz").unlink()
    change(copy, *TAMPERED[case])
    with pytest.raises(ReportRefused):
        reports.read_evidence(copy)


def test_a_verdict_that_the_rules_do_not_give_is_refused(copy: Path) -> None:
    rule = {
        "metric": "accuracy.clean", "bound": "min = 1", "value": 0.9, "low": 0.8, "high": 0.95, "n": 40,
        "outcome": "FAIL", "severity": "error", "reason": "so",
    }  # fmt: skip
    change(copy, "rules", [rule])
    change(copy, "verdict", "FAIL")
    assert reports.read_evidence(copy).document.verdict == "FAIL"
    change(copy, "verdict", "PASS")
    with pytest.raises(ReportRefused, match="verdict contradicts the rest"):
        reports.read_evidence(copy)
    change(copy, "rules/0/severity", "warning")
    change(copy, "complete", False)
    with pytest.raises(ReportRefused, match="verdict contradicts"):
        reports.read_evidence(copy)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sample_id", np.array(['=HYPERLINK("x")'] * 40)),
        ("index", np.full(40, np.nan)),
        ("label", np.full(40, 0.5)),
        ("l2", np.full(40, 7.0)),
        ("input", np.zeros((40, 3), np.float32)),
        ("status", np.array([b"FOUND"] * 40)),
        ("l1", np.array([None] * 40)),
    ],
)
def test_tampered_samples_are_refused(copy: Path, name: str, value: np.ndarray) -> None:
    with np.load(copy / "samples.npz") as there:
        arrays = dict(there)
    np.savez(copy / "samples.npz", **(arrays | {name: value}), allow_pickle=True)
    with pytest.raises(ReportRefused):
        reports.read_report(copy)


@pytest.mark.parametrize(
    "sides",
    [
        {"lower": np.array(["a"]), "upper": np.ones(1), "freeze": np.zeros(1, bool)},
        {"lower": np.zeros(0), "upper": np.ones(0), "freeze": np.zeros(0, bool)},
        {"lower": np.zeros(64), "upper": np.ones(64), "freeze": np.zeros(63, bool)},
        {"lower": np.zeros(64), "upper": np.ones(64)},
    ],
)
def test_tampered_boxes_are_refused(copy: Path, sides: dict[str, np.ndarray]) -> None:
    np.savez(copy / "box.npz", **sides)
    with pytest.raises(ReportRefused):
        reports.read_report(copy)


EVIL = "<script>x</script>\x1b[31m\x07\u202e](http://e)"


@pytest.mark.parametrize(
    "place",
    [
        "data/box",
        "data/target",
        "provenance/device",
        "provenance/options/method",
        "model/sha256",
        "model/head",
        "data/notes",
        "checks/0/detail",
        "provenance/command",
    ],
)
def test_texts_of_a_report_are_text(copy: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, place, [EVIL] if place == "data/notes" else EVIL)
    assert main(["report", str(copy)]) == 0
    made = [path for path in copy.iterdir() if path.suffix in (".html", ".md", ".xml", ".csv")]
    for text in (capsys.readouterr().out, *(path.read_text("utf-8") for path in made)):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "<script" not in (copy / "report.html").read_text()
    assert "<script" not in (copy / "summary.md").read_text()
    # and what was written can be read again
    assert main(["report", str(copy)]) == 0


def test_a_name_that_is_no_text_is_written_as_one_that_is(stored: Path, tmp_path: Path) -> None:
    """A file may be named by bytes that are no UTF-8, which Python takes for halves of surrogate pairs."""
    report = reports.read_report(stored)
    odd = replace(report, model=replace(report.model, path="\udcff.keras"))
    reports.write_report(odd, tmp_path / "out")
    assert reports.read_report(tmp_path / "out").model.path == "?.keras"
    (tmp_path / "out" / "report.json").write_text(odd.to_json().replace("?.keras", "\\ud800.keras"))
    with pytest.raises(ReportRefused):
        reports.read_report(tmp_path / "out")


def test_files_of_others_are_never_removed(copy: Path) -> None:
    (copy / "assets").mkdir()
    (copy / "assets" / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match=r"not a report's: assets/mine\.txt"):
        reports.prepare_folder(copy, force=True)
    assert main(["report", str(copy)]) == 2
    assert (copy / "assets" / "mine.txt").read_text() == "precious"


def test_the_folder_one_stands_in_stays(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    inode = os.stat(".").st_ino
    assert main(["report", "."]) == 0
    assert os.stat(".").st_ino == inode
    assert Path("report.html").is_file()
    assert main(["report", "."]) == 0


def test_nothing_but_a_failed_rule_exits_with_1(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("robustcheck.report.read_report", broken)
    assert main(["report", str(copy)]) == 4
    monkeypatch.setattr("robustcheck.report.read_report", lambda _: os.listdir("/dev/null/x"))
    assert main(["report", str(copy)]) == 4
