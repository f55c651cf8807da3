from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from rich.console import Console

import robustcheck as rc
from robustcheck import report as reports
from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.report._files import file_names
from robustcheck.results import SearchResult

HOSTILE = '<script>alert(1)</script>|[red]\x1b[31m\u202e</td>"'


@pytest.fixture(scope="module")
def report(dense: Any, digit_models: list[Any], pixels: np.ndarray, digits: Any) -> rc.AuditReport:
    references = {"conv": digit_models[2]}
    return rc.audit(dense, pixels, digits[1], references=references, options=rc.SearchOptions(budget=200))


@pytest.fixture
def hostile(report: rc.AuditReport) -> rc.AuditReport:
    assert report.transfer is not None
    rows = [replace(row, made_for=HOSTILE) for row in report.transfer.rows]
    return replace(
        report,
        model=replace(report.model, name=HOSTILE, path=HOSTILE),
        data=replace(report.data, notes=[HOSTILE], class_names=[HOSTILE] * 10, path=HOSTILE),
        transfer=replace(report.transfer, models=[HOSTILE] * 2, rows=rows),
        provenance=replace(report.provenance, command=HOSTILE),
    )


def test_json_is_strict_and_follows_its_schema(report: rc.AuditReport) -> None:
    document = json.loads(report.to_json(), parse_constant=pytest.fail)
    jsonschema.validate(document, reports.json_schema())
    for key in ("verdict", "rules", "model", "data", "counts", "measures", "curve", "transfer", "checks"):
        assert key in document
    for key in ("bounds", "cost", "provenance"):
        assert key in document
    assert document["schema"] == "robustcheck.report/1"
    assert document["counts"]["correct"] == document["counts"]["found"] + document["counts"]["not_found"]
    assert set(document["measures"]["distortion.l2.median"]) == {"value", "n", "low", "high"}


def test_folder_round_trip(report: rc.AuditReport, tmp_path: Path) -> None:
    reports.write_report(report, tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert files == {
        "report.json", "report.html", "summary.md", "samples.npz", "transfer", "transfer/conv.npz"
    }  # fmt: skip
    again = reports.read_document(tmp_path / "out")
    assert again.measures == report.measures
    assert again.transfer == report.transfer
    samples = SearchResult.load(tmp_path / "out" / "samples.npz")
    np.testing.assert_array_equal(samples.adversarial, report.samples.adversarial)
    assert samples.status.dtype.kind == "U"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no scratch folder is left


def test_samples_that_were_not_found_are_null(report: rc.AuditReport) -> None:
    assert report.to_dict()["measures"]["distortion.l2.mean"]["value"] is not None
    unknown = replace(report, cost=replace(report.cost, seconds=float("inf")))
    assert json.loads(unknown.to_json())["cost"]["seconds"] is None


def test_what_is_there_is_not_replaced_unasked(report: rc.AuditReport, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reports.write_report(report, reports.prepare_folder(out, force=False))
    with pytest.raises(ConfigError, match="holds a report already; --force replaces it"):
        reports.prepare_folder(out, force=False)
    reports.write_report(report, reports.prepare_folder(out, force=True))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="files that are not a report's"):
        reports.prepare_folder(tmp_path / "mine", force=True)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "report.json").write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match="files that are not a report's"):
        reports.prepare_folder(tmp_path / "theirs", force=True)
    (out / "notes.txt").write_text("read by Monday")
    with pytest.raises(ConfigError, match="files that are not a report's"):
        reports.prepare_folder(out, force=True)
    with pytest.raises(ConfigError, match="expected a place to write a report to"):
        reports.prepare_folder(tmp_path / "mine" / "thesis.txt" / "below", force=True)
    with pytest.raises(ConfigError, match="got a file"):
        reports.prepare_folder(tmp_path / "mine" / "thesis.txt", force=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a report:"),
        ("[]", "of schema robustcheck.report/1"),
        ('{"schema": "robustcheck.report/1"}', "model: Field required"),
    ],
)
def test_reports_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportRefused, match=message):
        reports.read_document(tmp_path)
    np.savez(tmp_path / "samples.npz", index=np.arange(3))
    with pytest.raises(ReportRefused, match="expected samples that robustcheck wrote"):
        SearchResult.load(tmp_path / "samples.npz")


def test_the_page_is_one_file_without_a_script(report: rc.AuditReport) -> None:
    from robustcheck.report._html import html_page

    page = html_page(report)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "default-src 'none'" in page
    assert 'style="' not in page
    assert page.count("data:image/png;base64,") == 3 * 24
    assert "upper bound" in page


def test_hostile_names_are_shown_as_text(hostile: rc.AuditReport) -> None:
    from robustcheck.report._html import html_page
    from robustcheck.report._markdown import markdown_summary

    page, markdown = html_page(hostile), markdown_summary(hostile)
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(reports.summary(hostile))
    terminal = console.export_text()
    for text in (page, markdown, terminal):
        assert "\x1b[31m" not in text
        assert "\u202e" not in text
        assert "alert" in text
    assert "<script" not in page
    assert "<script" not in markdown
    assert "[red]" in terminal


def test_file_names_stay_in_the_folder_and_differ() -> None:
    names = ["../../etc/passwd", "a b/c", "a_b_c", "A_b_c", "..."]
    assert file_names(names) == ["_.._etc_passwd", "a_b_c", "a_b_c-2", "A_b_c-3", "_"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit(report: rc.AuditReport, width: int) -> None:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(reports.summary(report))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "100.0 %" in text
