"""A report that an earlier version wrote is judged, compared, rendered and replayed as it was then.

``stored_report/`` was written by the version before norms were values (0.1.0, November 2026): an audit of
``net12.keras`` on ``data.npz`` with a reference, its page and summary, and a baseline of the same audit.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from robustcheck.auditing import replay
from robustcheck.compare import compare
from robustcheck.policy import judged, read_policy
from robustcheck.report import read_evidence, read_report, write_report
from robustcheck.results import AuditReport, Status
from robustcheck.testing import assert_baseline

STORED = Path(__file__).parent / "stored_report"


def figures_in(file: Path) -> Counter[str]:
    """Numbers with decimals in a text, markup and drawings aside."""
    text = re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]*>", " ", file.read_text("utf-8"), flags=re.S)
    found = Counter(re.findall(r"\d+\.\d+", text))
    assert len(found) > 10
    return found


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return read_report(STORED / "report")


def test_is_judged_as_it_was(report: AuditReport) -> None:
    now = judged(report, read_policy(STORED / "policy.toml"), report.evidence, None)
    assert now.verdict == report.verdict == "FAIL"
    assert now.rules == report.rules
    outcomes = {rule.metric: rule.outcome for rule in now.rules}
    assert outcomes == {
        "distortion.l2.median": "PASS",
        "accuracy.robust.l2@0.3": "PASS",
        "transfer.max": "FAIL",
    }


def test_is_written_again(report: AuditReport, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    then, now = (json.loads((folder / "report.json").read_text()) for folder in (STORED / "report", tmp_path))
    # all searches were in L2 then: what it calls distances in other norms are lengths of those examples
    renamed = {
        re.sub(r"^distortion\.(?=linf|l1|l0)", "examples.", key): value
        for key, value in then["measures"].items()
    }
    # facts that were not told then
    newer = {name: now[name] for name in ("data", "model", "references", "policy")}
    assert now.items() >= (then | {"schema": "robustcheck.report/2", "measures": renamed} | newer).items()
    for fact, before in zip(
        (now["model"], *now["references"], now["data"]),
        (then["model"], *then["references"], then["data"]),
        strict=True,
    ):
        assert fact.items() >= before.items()
    assert (now["norm"], now["further"], now["data"]["cost"]) == ("l2", {}, None)
    # words may change, figures not
    for name in ("report.html", "summary.md"):
        assert figures_in(tmp_path / name) >= figures_in(STORED / name), name
    again = read_report(tmp_path)
    for name, value in report.samples.columns().items():
        assert value.tobytes() == getattr(again.samples, name).tobytes(), name


def test_is_compared(report: AuditReport) -> None:
    same = compare(read_evidence(STORED / "report"), report.evidence)
    median = next(change for change in same.changes if change.metric == "distortion.l2.median")
    assert same.shared == len(report.samples) == 36
    assert median.old == median.new
    assert median.ratio.value == 1.0


def test_is_held_against_its_baseline(report: AuditReport) -> None:
    found = assert_baseline(report, STORED / "baseline.json", rel=0.0, accuracy=0.0)
    assert found.median_ratio.value == pytest.approx(1.0, rel=1e-6)  # a baseline holds seven digits
    closer = dataclasses.replace(report.samples, l2=report.samples.l2 * 0.5)
    with pytest.raises(AssertionError, match="worse than the baseline"):
        assert_baseline(dataclasses.replace(report, samples=closer), STORED / "baseline.json")


def test_is_replayed(report: AuditReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STORED)
    row = report.row_of(int(report.samples.index[report.samples.is_(Status.FOUND)][0]))
    again = replay(report, row, None, lambda *_: None)
    assert again.same_model
    assert again.stored_holds
    assert again.reproduces
