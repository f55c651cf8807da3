from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from rich.console import Console

import robustcheck as rc
from robustcheck import report as reports
from robustcheck.compare import compare
from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.policy import Policy, Rule, judged
from robustcheck.report import _triples
from robustcheck.report._attestation import attestation
from robustcheck.report._csv import samples_csv
from robustcheck.report._files import file_names
from robustcheck.report._html import html_page
from robustcheck.report._junit import junit_xml
from robustcheck.report._markdown import markdown_summary
from robustcheck.results import Check, PolicyFacts, RuleResult, SearchResult

HOSTILE = '=cmd()<script>alert(1)</script>|[red]\x1b[31m\u202e\u200f</td>"'


@pytest.fixture(scope="module")
def report(dense: Any, digit_models: list[Any], pixels: np.ndarray, digits: Any) -> rc.AuditReport:
    references = {"conv": digit_models[2]}
    return rc.audit(dense, pixels, digits[1], references=references, options=rc.SearchOptions(budget=200))


@pytest.fixture
def hostile(report: rc.AuditReport) -> rc.AuditReport:
    assert report.transfer is not None
    rows = [replace(row, made_for=HOSTILE) for row in report.transfer.rows]
    check = Check(id="labels", outcome="WARN", detail=HOSTILE)
    rule = RuleResult(
        metric=f"transfer.{HOSTILE}->b", bound="max = 1", value=None, low=None, high=None, n=0,
        outcome="INCOMPLETE", severity="error", reason=HOSTILE,
    )  # fmt: skip
    return replace(
        report,
        verdict="INCOMPLETE",
        rules=[rule],
        checks=[check],
        policy=PolicyFacts(path=HOSTILE, sha256="0" * 64, rules=1),
        model=replace(report.model, name=HOSTILE, path=HOSTILE, head=HOSTILE, sha256="0" * 64),
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
    assert document["schema"] == "robustcheck.report/2"
    assert document["counts"]["correct"] == document["counts"]["found"] + document["counts"]["not_found"]
    assert set(document["measures"]["distortion.l2.median"]) == {"value", "n", "low", "high"}


def test_folder_round_trip(report: rc.AuditReport, tmp_path: Path) -> None:
    reports.write_report(report, tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert files == {
        "report.json", "report.html", "summary.md", "junit.xml", "samples.csv", "samples.npz", "box.npz",
        "transfer", "transfer/conv.npz",
    }  # fmt: skip
    again = reports.read_report(tmp_path / "out")
    assert again.to_dict() == report.to_dict()
    np.testing.assert_array_equal(again.samples.adversarial, report.samples.adversarial)
    np.testing.assert_array_equal(again.made_for["conv"].l2, report.made_for["conv"].l2)
    np.testing.assert_array_equal(again.conditions.upper, report.conditions.upper)
    assert again.samples.status.dtype.kind == "U"
    assert reports.read_document(tmp_path / "out" / "report.json").measures == report.measures
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no scratch folder is left


def test_a_figure_that_is_not_finite_is_never_written(report: rc.AuditReport) -> None:
    unknown = replace(report, cost=replace(report.cost, seconds=float("inf")))
    with pytest.raises(ValueError, match="not JSON compliant"):
        unknown.to_json()


def test_what_is_there_is_not_replaced_unasked(report: rc.AuditReport, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reports.write_report(report, reports.prepare_folder(out, force=False))
    with pytest.raises(ConfigError, match=r"holds a report already; force= .--force. replaces it"):
        reports.prepare_folder(out, force=False)
    reports.write_report(report, reports.prepare_folder(out, force=True))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not a report's"):
        reports.prepare_folder(tmp_path / "mine", force=True)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "report.json").write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match="not a report's"):
        reports.prepare_folder(tmp_path / "theirs", force=True)
    (out / "notes.txt").write_text("read by Monday")
    with pytest.raises(ConfigError, match="not a report's"):
        reports.prepare_folder(out, force=True)
    with pytest.raises(ConfigError, match="expected a place to write a report to"):
        reports.prepare_folder(tmp_path / "mine" / "thesis.txt" / "below", force=True)
    with pytest.raises(ConfigError, match="got a file"):
        reports.prepare_folder(tmp_path / "mine" / "thesis.txt", force=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a report in JSON"),
        ("[]", "of schema robustcheck.report/2"),
        ('{"schema": "robustcheck.report/3"}', "of schema robustcheck.report/2"),
        ('{"schema": "robustcheck.report/1"}', "model: Field required"),
    ],
)
def test_reports_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportRefused, match=message):
        reports.read_document(tmp_path)
    np.savez(tmp_path / "samples.npz", index=np.arange(3))
    with pytest.raises(ReportRefused, match="expected arrays that robustcheck wrote"):
        SearchResult.load(tmp_path / "samples.npz")


def test_the_page_is_one_file_without_a_script(report: rc.AuditReport) -> None:
    page = html_page(report)
    assert not page.assets
    assert "<script" not in page.text
    assert "http" not in page.text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "default-src 'none'" in page.text
    assert 'style="' not in page.text
    assert page.text.count("data:image/png;base64,") == 3 * report.counts.found
    assert f"Showing {report.counts.found} of {report.counts.found}" in page.text
    assert "upper bound" in page.text


def test_styles_and_images_beside_the_page(report: rc.AuditReport, tmp_path: Path) -> None:
    reports.write_report(report, tmp_path / "out", assets=True)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "data:" not in page
    assert "<style" not in page
    assert "img-src 'self'; style-src 'self'" in page
    for address in re.findall(r'(?:src|href)="(assets/[^"]*)"', page):
        assert (tmp_path / "out" / address).is_file()
    assert len(list((tmp_path / "out" / "assets").iterdir())) == 3 * report.counts.found + 1


def test_pictures_are_capped(report: rc.AuditReport) -> None:
    limits = _triples.PageLimits(most_small=7)
    nearest = sorted(report.samples.l2[report.samples.found])[:7]
    shown = _triples.triples(report, report.samples, limits)
    assert [dict(triple.caption.lengths)["L2"] for triple in shown] == nearest
    limits = _triples.PageLimits(small_side=4)
    assert len(_triples.triples(report, report.samples, limits)) == 24
    limits = _triples.PageLimits(small_side=4, most_bytes=5000)
    shown = _triples.triples(report, report.samples, limits)
    assert 0 < sum(len(png) for triple in shown for png in triple.pictures) * 4 / 3 <= 5000
    assert f"Showing {len(shown)} of {report.counts.found}" in html_page(report, limits=limits).text


def test_what_is_no_image_is_a_table_of_features(report: rc.AuditReport) -> None:
    samples = report.samples
    flat = replace(
        samples,
        input=samples.input.reshape(len(samples), -1),
        adversarial=samples.adversarial.reshape(len(samples), -1),
    )
    page = html_page(replace(report, samples=flat)).text
    assert "<img" not in page
    changes = _triples.most_changed(flat)
    moved = np.abs(flat.adversarial[flat.found] - flat.input[flat.found]).astype(float)
    largest = int(np.argmax((moved**2).sum(axis=0)))
    assert changes[0].name == str(largest)
    assert changes[0].mean == pytest.approx(moved[:, largest].mean())
    assert sum(change.share for change in changes) <= 1.0 + 1e-9
    assert "The features that the examples change most" in page


def test_hostile_names_are_shown_as_text(hostile: rc.AuditReport) -> None:
    page, markdown = html_page(hostile).text, markdown_summary(hostile)
    junit, table = junit_xml(hostile), samples_csv(hostile)
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(reports.summary(hostile))
    console.print(reports.verdict(hostile))
    console.print(reports.comparison(compare(hostile.evidence, hostile.evidence)))
    terminal = console.export_text()
    for text in (page, markdown, terminal, junit, table, attestation(hostile) or ""):
        assert "\x1b[31m" not in text
        assert "\u202e" not in text
        assert "\u200f" not in text
        assert "alert" in text
    assert "<script" not in page
    assert "<script" not in markdown
    assert "[red]" in terminal
    cases = list(ElementTree.fromstring(junit).iter("testcase"))
    assert len(cases) == len(hostile.rules) + len(hostile.checks)
    assert (
        HOSTILE.replace("\x1b", "\ufffd").replace("\u202e\u200f", "\ufffd\ufffd") in cases[0].attrib["name"]
    )
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == hostile.counts.total
    assert all(row["label_name"].startswith("'=cmd()<script>") for row in rows)
    parser = _Tags()
    parser.feed(page)
    assert parser.tags <= ALLOWED_TAGS


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]


ALLOWED_TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "h1",
    "h2", "h3", "p", "div", "span", "strong", "small", "code", "ul", "li", "a", "table", "caption", "tr",
    "th", "td", "figure", "figcaption", "img", "svg", "path", "line", "rect", "text",
}  # fmt: skip


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\uff1d1", "|x", "%x"])
def test_a_class_name_is_never_a_formula(report: rc.AuditReport, name: str) -> None:
    named = replace(report, data=replace(report.data, class_names=[name] * 10))
    for row in csv.DictReader(io.StringIO(samples_csv(named))):
        assert row["label_name"].startswith("'")


def test_csv_has_the_figures(report: rc.AuditReport) -> None:
    rows = list(csv.DictReader(io.StringIO(samples_csv(report))))
    for at, row in enumerate(rows):
        assert row["status"] == report.samples.status[at]
        assert float(row["l2"]) == pytest.approx(report.samples.l2[at], rel=1e-8)
    lost = replace(report.samples, l2=np.full(len(rows), np.inf))
    assert {row["l2"] for row in csv.DictReader(io.StringIO(samples_csv(replace(report, samples=lost))))} == {
        ""
    }


def test_junit_has_a_case_for_each_bound_and_check(report: rc.AuditReport) -> None:
    root = ElementTree.fromstring(junit_xml(gated(report)))
    policy, checks = root.iter("testsuite")
    assert [item.tag for case in policy for item in case] == ["failure", "system-out", "error", "system-out"]
    assert policy.attrib | {"name": ""} == {
        "name": "", "tests": "4", "failures": "1", "errors": "1", "skipped": "0"
    }  # fmt: skip
    assert [case.attrib["name"] for case in checks] == [check.id for check in report.checks]


def test_an_interrupted_audit_is_an_error_for_a_ci_server(report: rc.AuditReport) -> None:
    partial = replace(report, complete=False, verdict="INCOMPLETE", checks=[])
    (case,) = ElementTree.fromstring(junit_xml(partial)).iter("testcase")
    assert case.attrib["name"] == "complete"
    assert [item.tag for item in case] == ["error"]


def gated(report: rc.AuditReport) -> rc.AuditReport:
    """Judged: one rule fails, one only warns, one cannot be measured, one passes."""
    policy = Policy.of(
        Rule(metric="distortion.l2.median", min=100.0),
        Rule(metric="accuracy.clean", min=1.0, severity="warning"),
        Rule(metric="transfer.a->b", max=0.5),
        Rule(metric="attack.found", min=0.9),
    )
    return judged(report, policy, report.evidence)


def test_attestation_names_the_model_and_the_verdict(report: rc.AuditReport) -> None:
    assert attestation(report) is None
    assert attestation(gated(report)) is None  # a model that is not a file has no digest
    on_file = replace(gated(report), model=replace(report.model, sha256="ab" * 32, path="m.keras"))
    statement = json.loads(attestation(on_file) or "")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "m.keras", "digest": {"sha256": "ab" * 32}}]
    said = statement["predicate"]
    assert (said["result"], said["verdict"]) == ("FAILED", "FAIL")
    assert said["configuration"][0]["digest"]["sha256"] == on_file.policy.sha256  # type: ignore[union-attr]
    assert said["failedTests"] == ["distortion.l2.median min = 100", "transfer.a->b max = 0.5"]
    assert said["warnedTests"] == ["accuracy.clean min = 1"]
    assert said["versions"]["keras"] == report.provenance.keras


def test_samples_of_another_report_are_refused(report: rc.AuditReport, tmp_path: Path) -> None:
    reports.write_report(report, tmp_path / "out")
    longer = replace(report.samples, l2=2 * report.samples.l2)
    longer.save(tmp_path / "out" / "samples.npz")
    with pytest.raises(ReportRefused, match=r"gives distortion.l2.mean = .*report.json says"):
        reports.read_evidence(tmp_path / "out")
    fewer = {name: value[:5] for name, value in report.samples.columns().items()}
    SearchResult(**fewer).save(tmp_path / "out" / "samples.npz")
    with pytest.raises(ReportRefused, match="expected the samples of"):
        reports.read_evidence(tmp_path / "out")
    (tmp_path / "out" / "samples.npz").unlink()
    with pytest.raises(ReportRefused, match="got nothing there"):
        reports.read_evidence(tmp_path / "out")
    assert reports.read_evidence(tmp_path / "out" / "report.json").samples is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", np.array(["WON"] * 60)),
        ("l2", np.zeros((60, 2))),
        ("l2", np.array(["1"] * 60)),
        ("label", np.zeros(59, np.int64)),
        ("label", np.zeros((), np.int64)),
    ],
)
def test_samples_that_cannot_be_read(
    report: rc.AuditReport, tmp_path: Path, name: str, value: np.ndarray
) -> None:
    np.savez(tmp_path / "samples.npz", **{**report.samples.columns(), name: value})
    with pytest.raises(ReportRefused, match=r"samples\.npz: expected"):
        SearchResult.load(tmp_path / "samples.npz")


def test_a_report_is_json_and_nothing_else(tmp_path: Path) -> None:
    for text in ('{"schema": NaN}', "[" * 100_000, '{"schema": "robustcheck.report/2"}'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(ReportRefused):
            reports.read_document(tmp_path)


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
