"""The corpus of hostile, broken and odd inputs: what is refused, in which words, and that none of it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hostile import CANARY, MOST_LINES, Case, cases, harmless

from robustcheck.cli import _common, main
from robustcheck.intake import _preflight

ALL = list(cases())
LIGHT = [case for case in ALL if not case.heavy]
HEAVY = [case for case in ALL if case.heavy]


def test_the_corpus_is_large() -> None:
    names = [case.name for case in [*ALL, *harmless()]]
    assert len(set(names)) == len(names)
    assert len(ALL) >= 60
    assert len(list(harmless())) >= 10


def require_refused(
    case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.make(folder)
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert main(case.words) == case.code
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("error:")]
    assert 1 <= len(lines) <= MOST_LINES
    assert "error: all is well" not in lines
    assert "Traceback" not in said
    for part in case.says:
        assert part in said.replace("\n", " ")
    assert not list(folder.rglob(CANARY))
    # nothing is left, and nothing of what was there is gone
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.name)
def test_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if case.name.startswith("model:") and not case.by_keras:
        monkeypatch.setattr(_common, "import_tensorflow", lambda *_: pytest.fail("TensorFlow was started"))
    require_refused(case, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("case", HEAVY, ids=lambda case: case.name)
def test_refused_by_a_process_of_its_own(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROBUSTCHECK_PREFLIGHT")
    monkeypatch.setattr(_preflight, "_SECONDS", 3.0)
    require_refused(case, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("case", list(harmless()), ids=lambda case: case.name)
def test_taken(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main([*case.words, "--quiet"]) == 0
    assert os.path.exists("robustcheck-report/report.json")
