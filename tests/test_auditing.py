from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustcheck as rc
from robustcheck import assets
from robustcheck.auditing import audit_config
from robustcheck.config import AuditConfig
from robustcheck.errors import ConfigError, DataRefused, Incomplete, Interrupted, ModelRefused
from robustcheck.policy import Limit, Policy, Rule
from robustcheck.report import read_report
from robustcheck.results import SearchResult

Digits = tuple[np.ndarray, np.ndarray]
QUICK = rc.SearchOptions(budget=60)


def test_audit_of_a_live_model(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits, tmp_path: Path
) -> None:
    report = rc.audit(
        digit_models[0],
        pixels,
        digits[1],
        references={"b": digit_models[1]},
        options=QUICK,
        out=tmp_path / "out",
    )
    assert report.measures["accuracy.clean"].value == report.counts.correct / 60
    assert report.measures["attack.found"].value == 1.0
    median = report.measures["distortion.l2.median"]
    assert median.low is not None
    assert median.value is not None
    assert median.high is not None
    assert median.low <= median.value <= median.high
    assert report.transfer is not None
    assert [row.error[i] for i, row in enumerate(report.transfer.rows)] == [1.0, 1.0]
    assert set(report.made_for) == {"b"}
    assert report.verdict is None
    assert (tmp_path / "out" / "report.json").is_file()


def test_the_matrix_from_the_stored_files(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits, tmp_path: Path
) -> None:
    report = rc.audit(
        digit_models[0],
        pixels,
        digits[1],
        references={"b": digit_models[1]},
        options=QUICK,
        out=tmp_path / "out",
    )
    assert report.transfer is not None
    for row, file in zip(report.transfer.rows, ("samples.npz", "transfer/b.npz"), strict=True):
        stored = SearchResult.load(tmp_path / "out" / file)
        for column, model in enumerate(digit_models[:2]):
            predicted = model.predict(stored.adversarial[stored.found], verbose=0).argmax(axis=1)
            assert row.error[column] == np.mean(predicted != stored.label[stored.found])


def test_nothing_to_attack_is_incomplete(digit_models: list[Any], pixels: np.ndarray) -> None:
    wrong = (digit_models[0].predict(pixels, verbose=0).argmax(axis=1) + 1) % 10
    with pytest.raises(Incomplete, match="none of the 60 samples is classified right") as incomplete:
        rc.audit(digit_models[0], pixels, wrong, options=QUICK)
    assert incomplete.value.exit_code == 4


@pytest.mark.parametrize("target", ["random", "least-likely", 3])
def test_targets(digit_models: list[Any], pixels: np.ndarray, digits: Digits, target: Any) -> None:
    report = rc.audit(digit_models[0], pixels, digits[1], target=target, options=rc.SearchOptions(budget=200))
    result = report.samples
    assert (result.target != result.label).all()
    np.testing.assert_array_equal(result.predicted[result.found], result.target[result.found])
    if target == 3:
        assert (result.target == 3).all()
        assert "samples of the target class 3 are left out" in report.data.notes[0]
        np.testing.assert_array_equal(result.index, np.flatnonzero(digits[1] != 3))


def test_a_random_target_is_the_samples_own(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    whole, part = (
        rc.audit(digit_models[0], pixels[:n], digits[1][:n], target="random", options=QUICK).samples
        for n in (30, 12)
    )
    np.testing.assert_array_equal(whole.target[:12], part.target)


def test_targets_refused(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    with pytest.raises(ConfigError, match="or a class 0 to 9, got 10"):
        rc.audit(digit_models[0], pixels, digits[1], target=10)
    with pytest.raises(DataRefused, match="samples of other classes than 3, got none"):
        rc.audit(digit_models[0], pixels[digits[1] == 3], digits[1][digits[1] == 3], target=3)


def test_names_are_made_different(tmp_path: Path, pixels: np.ndarray, digits: Digits) -> None:
    np.savez(tmp_path / "d.npz", x=pixels[:10], y=digits[1][:10])
    model = str(assets.path(assets.MODELS[0]))
    config = AuditConfig(
        model=model,
        references=(model, f"mine={model}"),
        data=str(tmp_path / "d.npz"),
        out=tmp_path / "out",
        options=QUICK,
        transfer="one-way",
    )
    report = audit_config(config, lambda *_: None)
    assert report.transfer is not None
    assert report.transfer.models == ["digits_dense_64", "digits_dense_64-2", "mine"]
    assert report.transfer.rows[0].error == [1.0, 1.0, 1.0]
    assert len(report.transfer.rows) == 1
    assert report.model.sha256 == report.references[0].sha256


def test_a_reference_may_be_called_model(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    references = {"model": digit_models[1], "wrapped": rc.wrap(digit_models[2])}
    report = rc.audit(digit_models[0], pixels[:10], digits[1][:10], references=references, options=QUICK)
    assert report.model.name == "digits_dense_64"
    assert report.model.parameters == digit_models[0].count_params()
    assert [reference.name for reference in report.references] == ["model", "wrapped"]
    with pytest.raises(ConfigError, match="other names than the model's own, got 'digits_dense_64'"):
        rc.audit(digit_models[0], pixels, digits[1], references={"digits_dense_64": digit_models[1]})


def test_conditions_are_in_the_report(digit_models: list[Any], digits: Digits) -> None:
    from robustcheck.report._html import html_page
    from robustcheck.report._markdown import markdown_summary

    frozen = rc.wrap(digit_models[0], freeze=np.arange(64).reshape(8, 8) < 8)
    x = digits[0][:20]
    report = rc.audit(frozen, x, None, data_range=(0, 16), target=3, options=QUICK)
    assert (report.data.target, report.data.frozen, report.data.labels) == ("3", 8, "model")
    assert report.data.data_range == [0.0, 16.0]
    for text in (html_page(report).text, markdown_summary(report).replace("\\", "")):
        assert "Distance to the nearest input given class 3" in text
        assert "8 features could not change" in text
        assert "the model" in text
        assert "own predictions stand for them" in text


def test_accuracy_at_chance_is_pointed_out(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    wrong = (digits[1].astype(int) + 1) % 10
    wrong[:3] = digits[1][:3]
    report = rc.audit(digit_models[0], pixels, wrong, options=QUICK)
    (labels,) = [check for check in report.checks if check.id == "labels"]
    assert labels.outcome == "FAIL"
    assert "only 3 of 60 samples are classified right, about what chance would give" in labels.detail


def test_samples_that_are_not_finite_are_no_errors(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    x = pixels[:10].copy()
    x[:2] = np.nan
    report = rc.audit(digit_models[0], x, digits[1][:10], options=QUICK)
    assert report.counts.non_finite == 2
    assert report.measures["accuracy.clean"].n == 8
    assert report.curve[0].accuracy == report.measures["accuracy.clean"].value


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"class_names": ("a", "b")}, "--class-names.: expected 10 names, got 2"),
        ({"batch_size": 0}, "--batch-size.: expected a whole number of at least 1, got 0"),
    ],
)
def test_settings_are_checked_before_the_search(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        rc.audit(digit_models[0], pixels, digits[1], **settings)


def test_a_folder_of_references_and_equal_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("b.keras", "a.keras"):
        shutil.copy(assets.path(assets.MODELS[1]), folder / name)
    (folder / "notes.txt").write_text("not a model")
    config = AuditConfig(
        model=str(assets.path(assets.MODELS[0])),
        data=str(assets.path(assets.DIGITS)),
        references=(str(folder),),
        data_range=(0, 16),
        limit=12,
        out=tmp_path / "out",
        transfer_rms=(0.1, 0.2),
        options=rc.SearchOptions(budget=40),
    )
    report = audit_config(config, lambda *_: None)
    assert report.transfer is not None
    assert report.transfer.models[1:] == ["a", "b"]
    assert [part.rms for part in report.transfer.equal] == [0.1, 0.2]
    # copies of one model: the same row and column
    first, second = (replace(row, made_for="") for row in report.transfer.rows[1:])
    assert first == second
    assert first.error[1:] == [1.0, 1.0]
    with pytest.raises(ModelRefused, match="expected a folder with model files"):
        audit_config(replace(config, references=(str(tmp_path / "out"),), force=True), lambda *_: None)


def test_a_live_audit_is_judged(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits, tmp_path: Path
) -> None:
    """Against a report that was written, and one that is there."""
    audited = (digit_models[0], pixels, digits[1])
    old = rc.audit(*audited, options=QUICK, out=tmp_path / "old")
    policy = Policy.of(Rule(metric="distortion.l2.median", max_drop=Limit(relative=0.05)))
    for baseline in (old, tmp_path / "old"):
        new = rc.audit(*audited, options=QUICK, policy=policy, baseline=baseline)
        assert new.verdict == "PASS"
        assert new.rules[0].value == pytest.approx(0.0, abs=1e-6)
        assert new.policy is not None
    (tmp_path / "p.toml").write_text("schema = 1\n[[rule]]\nmetric = 'distortion.l2.median'\nmin = 9\n")
    assert rc.audit(*audited, options=QUICK, policy=tmp_path / "p.toml").verdict == "FAIL"


def test_ctrl_c_of_a_live_audit_brings_what_is_done(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits, tmp_path: Path
) -> None:
    def stop_at_twelve(stage: str, done: int, _: int) -> None:
        if stage.startswith("search") and done == 12:
            raise KeyboardInterrupt

    audited = (digit_models[0], pixels[:20], digits[1][:20])
    with pytest.raises(Interrupted) as stopped:
        rc.audit(*audited, options=QUICK, batch_size=4, out=tmp_path / "out", on_progress=stop_at_twelve)
    partial = stopped.value.done
    assert 8 <= partial.counts.total < 20
    assert (partial.complete, partial.verdict) == (False, "INCOMPLETE")
    whole = rc.audit(*audited, options=QUICK, batch_size=4)
    n = partial.counts.total
    np.testing.assert_array_equal(partial.samples.l2, whole.samples.l2[:n])
    assert read_report(tmp_path / "out").counts == partial.counts


def test_an_audit_that_finds_nothing_has_a_page(tmp_path: Path) -> None:
    """A model that gives one class everywhere: no example, no feature that changed, a page all the same."""
    import keras

    for shape in ((4,), (6, 6, 1)):
        model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)])
        kernel, bias = model.get_weights()
        model.set_weights([0.01 * kernel, bias + np.array([9.0, 0.0, 0.0], np.float32)])
        x = np.random.default_rng(0).random((5, *shape), np.float32)
        out = tmp_path / str(len(shape))
        report = rc.audit(model, x, np.zeros(5, int), out=out, options=rc.SearchOptions(budget=20))
        assert report.counts.found == 0
        assert "report.html" in {path.name for path in out.iterdir()}
        assert {check.id: check.outcome for check in report.checks}["search"] == "FAIL"
