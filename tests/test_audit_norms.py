"""An audit in several norms, from the flags to the files and what is made of them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import evidence, found
from rich.console import Console

import robustcheck as rc
from robustcheck import assets
from robustcheck.auditing import replay
from robustcheck.checks import skipped
from robustcheck.cli import main
from robustcheck.compare import compare
from robustcheck.errors import ConfigError, Incomplete, Interrupted, ReportRefused
from robustcheck.measures import measure, parse_metric
from robustcheck.noise import directions
from robustcheck.norms import NORMS
from robustcheck.policy import Policy, Rule, judge
from robustcheck.report import comparison, read_evidence, read_report, summary, write_report
from robustcheck.results import Baseline, LinfPoint
from robustcheck.testing import (
    assert_baseline,
    assert_min_distortion,
    assert_no_regression,
    assert_robust_accuracy,
    figure,
    missing_norms,
    read_baselines,
    write_baseline,
)

Digits = tuple[np.ndarray, np.ndarray]
BOTH = ("l2", "linf")
QUICK = rc.SearchOptions(budget=60)


@pytest.fixture(scope="module")
def report(dense: Any, digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> rc.AuditReport:
    x, y = pixels[:40], digits[1][:40]
    return rc.audit(dense, x, y, references={"conv": digit_models[2]}, norms=BOTH, options=QUICK)


@pytest.fixture(scope="module")
def folder(report: rc.AuditReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("norms") / "report"
    write_report(report, out)
    return out


def text_of(shown: Any) -> str:
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(shown)
    return console.export_text()


def test_each_norm_is_what_a_search_in_it_alone_finds(
    report: rc.AuditReport, dense: Any, pixels: np.ndarray, digits: Digits
) -> None:
    assert (report.norm, list(report.further)) == ("l2", ["linf"])
    for norm in BOTH:
        alone = rc.minimal_distortion(
            dense, pixels[:40], digits[1][:40], options=replace(QUICK, norm=norm), batch_size=256
        )
        np.testing.assert_array_equal(report.results[norm].distance, alone.distance)
    found_in = report.further_samples["linf"]
    assert report.measures["distortion.linf.median"].value == np.median(found_in.linf[found_in.correct])
    assert report.measures["examples.linf.median"].value == np.median(
        report.samples.linf[report.samples.correct]
    )
    assert report.measures["distortion.linf.median"] < report.measures["examples.linf.median"]
    assert isinstance(report.further["linf"].curve[0], LinfPoint)
    named = {name.rpartition(".")[0] for name in report.measures}
    assert {"distortion.l2", "distortion.rms", "distortion.linf", "search.linf"} < named
    assert {"examples.linf", "examples.l1", "examples.l0"} < named
    assert not named & {"distortion.l1", "distortion.l0", "examples.l2", "examples.rms"}


def test_one_norm_of_its_own_is_the_first(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    x, y = pixels[:5], digits[1][:5]
    for asked in ({"norms": "linf"}, {"options": rc.SearchOptions(norm="linf", budget=30)}):
        report = rc.audit(digit_models[0], x, y, **({"options": rc.SearchOptions(budget=30)} | asked))
        assert (report.norm, report.further, report.samples.norm) == ("linf", {}, "linf")
        assert "distortion.l2.median" not in report.measures
        assert report.measures["examples.l2.median"].n == report.measures["distortion.linf.median"].n
        document = report.to_dict()
        assert set(document["curve"][0]) == {"linf", "accuracy"}
        assert "a change of Linf 0." in text_of_page(report)


def text_of_page(report: rc.AuditReport) -> str:
    from robustcheck.report._html import html_page

    return html_page(report).text


def test_the_folder_holds_each_norm_and_is_read_back(report: rc.AuditReport, folder: Path) -> None:
    again = read_report(folder)
    assert again.to_dict() == report.to_dict()
    for norm in BOTH:
        np.testing.assert_array_equal(again.results[norm].adversarial, report.results[norm].adversarial)
    assert read_evidence(folder).rows("linf") is not None
    lines = (folder / "samples.linf.csv").read_text().splitlines()
    assert len(lines) == 41
    assert ",linf," in lines[1]
    assert ",l2," in (folder / "samples.csv").read_text().splitlines()[1]


def test_a_file_of_another_norm_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    for source, place in (("samples.npz", "samples.linf.npz"), ("samples.linf.npz", "samples.npz")):
        copy = tmp_path / place
        shutil.copytree(folder, copy)
        shutil.copy(folder / source, copy / place)
        with pytest.raises(ReportRefused, match=r"expected a search in l\w+, got one in l\w+"):
            read_evidence(copy)
    # a curve in a norm that was not searched
    copy = tmp_path / "curve"
    shutil.copytree(folder, copy)
    document = json.loads((copy / "report.json").read_text())
    document["curve"] = document["further"]["linf"]["curve"]
    (copy / "report.json").write_text(json.dumps(document))
    with pytest.raises(ReportRefused, match="curve contradicts the rest"):
        read_evidence(copy)


def test_every_form_shows_both(report: rc.AuditReport, folder: Path) -> None:
    terminal = text_of(summary(report))
    rows = re.findall(r"│ (\w+) +│ +([\d.]+)", terminal)
    assert [name for name, _ in rows[:6]] == ["L2", "RMS", "Linf", "Linf", "L1", "L0"]
    assert "Lengths of the L2 examples in norms that they were not made for" in terminal
    assert "found in Linf" in terminal
    page, markdown = (folder / "report.html").read_text(), (folder / "summary.md").read_text()
    for text in (page, markdown):
        assert "norms that they were not made for" in text
    assert "Robust accuracy against the radius, Linf" in page
    assert "<h3>In Linf</h3>" in page
    assert "measured in L2 and Linf" in page


def test_checks_say_of_each_norm(report: rc.AuditReport) -> None:
    details = {check.id: check.detail for check in report.checks}
    for name in ("search", "budget", "verified", "noise", "eight_bit"):
        assert re.match("L2: .*; Linf: ", details[name]), name
    assert "L2" not in details["gradient"]


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_noise_has_the_length_of_its_norm(dense: Any, norm: Any) -> None:
    drawn = directions(np.random.default_rng(0), dense, 500, np.float64, norm=norm)
    np.testing.assert_allclose(NORMS[norm].length(drawn, 64), 1.0, rtol=1e-12)
    assert abs(drawn.mean()) < 0.01
    # uniform on the sphere: no feature is preferred
    sizes = np.abs(drawn).mean(axis=0)
    assert sizes.max() / sizes.min() < 1.5


def test_policies_ask_for_a_norm_and_a_fraction(report: rc.AuditReport) -> None:
    rules = [
        Rule(metric="accuracy.robust.linf@8/255", min=0.5),
        Rule(metric="distortion.linf.median", min=9.0),
        Rule(metric="accuracy.robust.l1@0.5", min=0.5),
        Rule(metric="examples.l2.median", min=0.5),
        Rule(metric="search.l2.last_doubling", max=0.9),
    ]
    outcomes = judge(Policy.of(*rules), report.evidence)
    assert [rule.outcome for rule in outcomes] == ["PASS", "FAIL", "INCOMPLETE", "INCOMPLETE", "PASS"]
    assert "the audit searched l2, linf; norms= (--norm l1) searches that one" in outcomes[2].reason
    assert "the examples were made for l2" in outcomes[3].reason
    linf = report.further_samples["linf"]
    within = np.mean(linf.correct & (linf.linf > 8 / 255))
    assert outcomes[0].value == within
    # without the samples a radius cannot be measured, and the file that is missing is named
    bare = replace(report.evidence, further={})
    assert "needs samples.linf.npz" in judge(Policy.of(rules[0]), bare)[0].reason
    assert measure(parse_metric("distortion.linf.median"), bare) == report.measures["distortion.linf.median"]


def test_a_poor_search_in_one_norm_is_not_believed_in_that_one() -> None:
    good, poor = found(np.arange(1.0, 41.0)), found(np.arange(1.0, 31.0), lost=10, norm="linf")
    both = evidence(good, poor)
    rules = [Rule(metric=f"distortion.{norm}.p05", min=0.5) for norm in BOTH]
    outcomes = judge(Policy.of(*rules), both)
    assert [rule.outcome for rule in outcomes] == ["PASS", "INCOMPLETE"]
    assert both.document.measures["distortion.l2.median"] > 1
    with pytest.raises(Incomplete, match=r"found an example for 75\.0 %"):
        assert both.document.measures["distortion.linf.p05"] > 0.5


def test_comparisons_are_within_a_norm() -> None:
    values = np.arange(1.0, 61.0)
    l2, linf = found(values), found(values / 10, norm="linf")
    weaker = found(values / 20, norm="linf")
    same = compare(evidence(l2, linf), evidence(l2, linf))
    assert (same.norm, list(same.further_ratios), same.comparable) == ("l2", ["linf"], True)
    worse = compare(evidence(l2, linf), evidence(l2, weaker))
    assert worse.regression
    assert "Linf distances are 0.500" in worse.reasons[0]
    assert "Linf distance, new / old" in text_of(comparison(worse))
    # the first of the new report that both have
    shared = compare(evidence(l2, linf), evidence(weaker))
    assert (shared.norm, shared.regression, shared.further_ratios) == ("linf", True, {})
    across = compare(evidence(l2), evidence(linf))
    assert (across.norm, across.comparable, across.regression) == (None, False, False)
    assert {change.metric for change in across.changes} == {"accuracy.clean"}
    assert "searched was l2, is linf" in across.notes
    assert "not comparable" in text_of(comparison(across))


def test_a_rule_on_a_change_needs_the_norm_in_both() -> None:
    from robustcheck.policy import Limit

    values = np.arange(1.0, 61.0)
    l2, linf = found(values), found(values / 10, norm="linf")
    rule = Rule(metric="distortion.linf.median", max_drop=Limit(relative=0.05))
    (without,) = judge(Policy.of(rule), evidence(l2, linf), evidence(l2))
    assert without.outcome == "INCOMPLETE"
    assert without.reason == "the baseline searched l2, not linf"
    (within,) = judge(Policy.of(rule), evidence(l2, linf), evidence(linf))
    assert within.outcome == "PASS"


def test_assertions_know_the_norm(report: rc.AuditReport) -> None:
    median = report.measures["distortion.linf.median"].value
    assert median is not None
    assert_min_distortion(report, median, norm="linf")
    assert_robust_accuracy(report, 0.5, linf="8/255")
    with pytest.raises(AssertionError, match=r"FAIL distortion\.linf\.median min = 9") as caught:
        assert_min_distortion(report, 9.0, norm="linf")
    nearest = report.further_samples["linf"]
    least = int(np.argmin(np.where(nearest.found, nearest.linf, np.inf)))
    assert f"sample {least}: " in str(caught.value).splitlines()[3]
    assert f"Linf {nearest.linf[least]:.4g}" in str(caught.value)
    assert str(caught.value).endswith(f"--index {least} --norm linf --model MODEL")
    with pytest.raises(ConfigError, match="expected one of l2, linf, l1, got l2, l1"):
        assert_robust_accuracy(report, 0.5, l2=0.1, l1=1.0)
    with pytest.raises(ConfigError, match="expected a number or a fraction such as '8/255', got 'x'"):
        assert_robust_accuracy(report, 0.5, l2="x")
    with pytest.raises(Incomplete, match=r"norms= \(--norm l1\) searches that one"):
        figure(report, "distortion.l1.median")
    assert_no_regression(report, report)


def test_baselines_are_of_one_norm_each(report: rc.AuditReport, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    assert write_baseline(report, file)
    assert not write_baseline(report, file)
    assert set(read_baselines(file)) == {"audit", "audit linf"}
    standing = assert_baseline(report, file, rel=0.0)
    assert [standing.norm, *(other.norm for other in standing.further)] == ["l2", "linf"]
    closer = replace(report.further_samples["linf"], linf=0.5 * report.further_samples["linf"].linf)
    with pytest.raises(AssertionError, match=r"Linf distances are 0\.500"):
        assert_baseline(replace(report, further_samples={"linf": closer}), file)
    # a test that lost a norm is no longer the test that the baseline was written by
    alone = replace(report, further={}, further_samples={})
    assert not missing_norms(alone, file)
    with pytest.raises(AssertionError, match="the baseline is in linf too, the audit searched l2 alone"):
        assert_baseline(alone, file, rel=0.0)
    assert write_baseline(alone, file), "written anew without it"
    assert_baseline(alone, file, rel=0.0)
    write_baseline(alone, tmp_path / "alone.json")
    assert missing_norms(report, tmp_path / "alone.json") == ["linf"]
    with pytest.raises(AssertionError, match="holds none of 'audit' in Linf"):
        assert_baseline(report, tmp_path / "alone.json")
    assert Baseline.of(report, "linf").median == report.measures["distortion.linf.median"].value


def test_a_norm_that_is_new_leaves_the_baselines_that_are_there(
    report: rc.AuditReport, tmp_path: Path
) -> None:
    """Else a model that got worse would become its own baseline as soon as a test asks for one norm more."""
    file, alone = tmp_path / "b.json", replace(report, further={}, further_samples={})
    write_baseline(alone, file)
    worse = replace(report, samples=replace(report.samples, l2=0.5 * report.samples.l2))
    assert write_baseline(worse, file, new_only=True)
    assert read_baselines(file)["audit"] == Baseline.of(alone)
    assert read_baselines(file)["audit linf"] == Baseline.of(report, "linf")
    assert not write_baseline(worse, file, new_only=True)
    with pytest.raises(AssertionError, match=r"L2 distances are 0\.500"):
        assert_baseline(worse, file)


def test_a_sample_is_replayed_in_the_norm_asked_for(report: rc.AuditReport, folder: Path) -> None:
    model = str(assets.path(assets.MODELS[0]))
    stored = read_report(folder)
    row = int(np.flatnonzero(stored.samples.found)[0])
    for norm in (None, *BOTH):
        again = replay(stored, row, model, lambda *_: None, norm=norm)
        assert again.norm == (norm or "l2")
        assert again.reproduces
        assert set(again.to_dict()) >= {again.norm, f"{again.norm}_now", "norm"}
    with pytest.raises(ConfigError, match=r"--norm.: expected one that the report has, \['l2', 'linf'\]"):
        report.in_norm("l1")


def test_what_is_not_compared_is_told() -> None:
    """The same norms in another order: distances compare, what was tried on references does not."""
    from robustcheck.results import ModelFacts

    other = ModelFacts(
        name="r", path=None, sha256="0", parameters=1, input_shape=[2], classes=2, head="logits"
    )
    values = np.arange(1.0, 61.0)
    l2, linf = found(values), found(values / 10, norm="linf")
    turned = compare(evidence(l2, linf, references=[other]), evidence(linf, l2, references=[other]))
    assert turned.comparable
    assert any("so transfer rates are not compared" in note for note in turned.notes)


def test_a_missing_file_is_said_to_be_missing(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "samples.linf.npz").unlink()
    with pytest.raises(ReportRefused, match=r"samples\.linf\.npz: expected .*, got nothing there"):
        read_report(copy)
    with pytest.raises(ReportRefused, match=r"samples\.linf\.npz: expected .*, got nothing there"):
        read_evidence(copy)
    alone = read_evidence(copy / "report.json")
    with pytest.raises(Incomplete, match=r"expected samples\.linf\.npz beside report\.json, got none"):
        compare(alone, alone)


def test_a_rule_on_a_norm_that_an_interruption_left_out() -> None:
    partial = evidence(found(np.arange(1.0, 61.0)), complete=False, verdict="INCOMPLETE")
    (rule,) = judge(Policy.of(Rule(metric="accuracy.robust.linf@8/255", min=0.5)), partial)
    assert rule.outcome == "INCOMPLETE"
    assert "the audit searched l2" in rule.reason


def test_ctrl_c_in_the_second_norm_keeps_the_first(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    def stop(stage: str, done: int, _: int) -> None:
        if stage.endswith("Linf") and done:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        rc.audit(
            digit_models[0], pixels[:8], digits[1][:8], norms=BOTH, options=rc.SearchOptions(budget=30),
            batch_size=4, on_progress=stop,
        )  # fmt: skip
    partial = stopped.value.done
    assert (partial.norm, partial.further, partial.counts.total) == ("l2", {}, 8)
    assert "the search in Linf is not" in partial.data.notes[0]
    assert partial.checks == skipped("the audit was interrupted")


def test_the_command_takes_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model, data = assets.path(assets.MODELS[0]), assets.path(assets.DIGITS)
    words = ["audit", str(model), "--data", str(data), "--data-range", "0", "16", "--limit", "4", "--quiet"]
    assert main([*words, "--budget", "30", "--norm", "linf", "--norm", "l1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["norm"], list(document["further"])) == ("linf", ["l1"])
    index = str(np.load("robustcheck-report/samples.npz")["index"][0])
    again = ["replay", "robustcheck-report", "--index", index, "--norm", "l1", "--quiet"]
    assert main([*again, "--model", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "L1" in shown
    assert "reproduces" in shown
    assert main([*words, "--norm", "l2", "--norm", "l2"]) == 2
    assert "each once" in capsys.readouterr().err
    assert main([*words, "--method", "szegedy", "--norm", "l1"]) == 2
