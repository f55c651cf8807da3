"""What a change of each feature costs: lengths are of cost times change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from exact import half_space_distance

import robustcheck as rc
from robustcheck.compare import compare
from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError, ModelRefused
from robustcheck.noise import directions
from robustcheck.norms import NORMS
from robustcheck.report import read_report
from robustcheck.results import Conditions

Digits = tuple[np.ndarray, np.ndarray]
SEARCHED: tuple[SearchedNorm, ...] = ("l2", "linf", "l1")
QUICK = rc.SearchOptions(budget=60)


def linear(weights: np.ndarray) -> Any:
    return lambda rows: tf.matmul(rows, tf.constant(weights))


@pytest.mark.parametrize("norm", SEARCHED)
def test_linear_models_are_met_exactly(norm: SearchedNorm) -> None:
    """In units of cost a half-space is a half-space: the distance is that of the scaled problem."""
    draw = np.random.default_rng(0)
    weights = draw.standard_normal((12, 2)).astype(np.float32)
    x = draw.random((20, 12)).astype(np.float32)
    cost = draw.uniform(0.2, 5.0, 12).astype(np.float32)
    label = (x @ weights).argmax(axis=1)
    classifier = rc.wrap(linear(weights), input_shape=(12,), head="logits", cost=cost)
    result = rc.minimal_distortion(classifier, x, label, options=rc.SearchOptions(norm=norm, budget=60))
    exact = []
    for row, own in zip(x.astype(float), label, strict=True):
        normal = (weights[:, own] - weights[:, 1 - own]).astype(float)
        lower, upper = np.zeros(12), np.asarray(cost, float)
        exact.append(half_space_distance(row * cost, normal / cost, float(normal @ row), lower, upper, norm))
    reached = np.isfinite(exact)
    assert reached.sum() >= 15
    np.testing.assert_array_equal(result.found, reached)
    np.testing.assert_allclose(result.distance[reached], np.array(exact)[reached], rtol=1e-3)
    # as stored, the length of cost times change
    r = (result.points.astype(float) - result.rows) * cost
    for name in ("l2", "linf", "l1", "l0", "rms"):
        lengths = NORMS[name].length(r[reached], 12)
        np.testing.assert_allclose(getattr(result, name)[reached], lengths, rtol=1e-12)


@pytest.mark.parametrize("norm", SEARCHED)
def test_all_costs_doubled_double_the_distance(
    norm: SearchedNorm, digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    distances = [
        rc.minimal_distortion(
            rc.wrap(digit_models[0], cost=cost),
            pixels[:10],
            digits[1][:10],
            options=replace(QUICK, norm=norm, budget=30),
        ).distance
        for cost in (None, 2.0)
    ]
    # powers of two change no digit
    np.testing.assert_array_equal(distances[1], 2 * distances[0])


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_a_cost_of_a_million_freezes(
    norm: SearchedNorm, digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    dear = np.zeros((8, 8), bool)
    dear[:, :4] = True
    options, (x, y) = replace(QUICK, norm=norm, budget=150), (pixels[:15], digits[1][:15])
    held = rc.wrap(digit_models[0], cost=np.where(dear, 1e6, 1.0))
    frozen = rc.wrap(digit_models[0], freeze=dear)
    result, reference = (rc.minimal_distortion(model, x, y, options=options) for model in (held, frozen))
    moved = np.abs(result.adversarial - result.input)[result.found]
    assert moved[:, dear].max() < 1e-5
    both = result.found & reference.found & result.correct
    ratio = result.distance[both] / reference.distance[both]
    assert both.sum() >= 12
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)


def test_dear_features_change_less(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    cost = np.ones((8, 8), np.float32)
    cost[:4] = 4.0
    x, y = pixels[:15], digits[1][:15]
    plain, dear = (
        rc.minimal_distortion(rc.wrap(digit_models[0], cost=each), x, y, options=QUICK)
        for each in (None, cost)
    )
    moved = [np.abs(result.adversarial - result.input)[result.found, :4].sum() for result in (plain, dear)]
    assert moved[1] < 0.7 * moved[0]
    assert (dear.distance >= 0.999 * plain.distance)[dear.correct].all(), (
        "each feature costs at least as much"
    )


def test_noise_costs_what_it_should(digit_models: list[Any]) -> None:
    cost = np.linspace(0.5, 3.0, 64).astype(np.float32)
    classifier = rc.wrap(digit_models[0], cost=cost)
    for norm in SEARCHED:
        drawn = directions(np.random.default_rng(0), classifier, 50, np.float64, norm=norm)
        np.testing.assert_allclose(NORMS[norm].length(drawn * cost, 64), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (0.0, "finite costs from 1e-15 to 1e.15, got 0 to 0"),
        (-1.0, "finite costs from"),
        (np.inf, "finite costs from"),
        (np.nan, "finite costs from"),
        (1e-45, "finite costs from"),
        (1e39, "finite costs from"),
        ("c.npz", "expected numbers, got 'c.npz'"),
        (np.array(["a"] * 8), "expected numbers, got an array of <U1"),
        ([[1.0], [1.0, 2.0]], "expected numbers, got"),
        (np.ones(8, complex), "expected numbers, got an array of complex128"),
        (np.ones((8, 8), bool), "expected costs, got a mask: is freeze="),
        ([1.0, 2.0, 3.0], r"broadcasts to \(8, 8\), got shape \(3,\)"),
        ({"nowhere": 1.0}, "expected some of the inputs"),
    ],
)
def test_costs_that_make_no_sense(cost: Any, text: str, digit_models: list[Any]) -> None:
    with pytest.raises(ConfigError, match=text):
        rc.wrap(digit_models[0], cost=cost)


def test_costs_by_input() -> None:
    names = ("a", "b")
    inputs = [keras.Input((2,), name=name) for name in names]
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()(inputs)))
    np.testing.assert_array_equal(rc.wrap(model, cost={"b": [2.0, 3.0]}).cost, [1, 1, 2, 3])


def test_an_audit_with_costs(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits, tmp_path: Path
) -> None:
    file = tmp_path / "cost.npz"
    np.savez(file, cost=np.linspace(1.0, 2.0, 8))
    audited = (digit_models[0], pixels[:40], digits[1][:40])
    plain = rc.audit(*audited, options=QUICK)
    out = tmp_path / "out"
    report = rc.audit(
        *audited, references={"other": digit_models[1]}, cost=str(file), options=QUICK, out=out,
        transfer_rms=(0.1,),
    )  # fmt: skip
    assert report.data.cost == [1.0, 2.0]
    assert (report.samples.distance >= 0.999 * plain.samples.distance).all()
    page = (out / "report.html").read_text()
    assert "Lengths are of cost times change; a feature costs 1 to 2." in page
    assert "Distance (cost times change) to the nearest misclassified input" in page
    assert "misclassified after a change that costs L2 " in page
    assert "L2 radius, cost times change" in page
    assert "box units" not in page
    again = read_report(out)
    np.testing.assert_array_equal(
        again.conditions.cost, np.tile(np.linspace(1.0, 2.0, 8, dtype=np.float32), 8)
    )
    # all at one size, in what they cost
    assert report.transfer is not None
    assert report.transfer.equal[0].rows[0].rms == pytest.approx(0.1, rel=0.05)
    # part of what was asked: no comparison with an audit at other costs
    across = compare(plain.evidence, report.evidence)
    assert not across.comparable
    assert "cost of a feature was 1 to 1, is 1 to 2" in across.notes
    assert not any("box_sha256" in note for note in across.notes)
    assert report.data.box_sha256 != plain.data.box_sha256
    assert html_page_is_the_same(again, page)


def html_page_is_the_same(report: rc.AuditReport, page: str) -> bool:
    from robustcheck.report._html import html_page as make

    return make(report).text == page


def test_references_have_the_same_costs(digit_models: list[Any], pixels: np.ndarray, digits: Digits) -> None:
    models = {"a": rc.wrap(digit_models[0], cost=2.0), "b": rc.wrap(digit_models[1])}
    with pytest.raises(ModelRefused, match="expected the costs"):
        rc.transfer_matrix(models, pixels[:5], digits[1][:5])


def test_files_without_costs_are_of_ones(tmp_path: Path) -> None:
    two = np.zeros(2, np.float32)
    np.savez(tmp_path / "old.npz", lower=two, upper=two + 1, freeze=np.zeros(2, bool))
    old = Conditions.load(tmp_path / "old.npz")
    np.testing.assert_array_equal(old.cost, [1, 1])
    same = replace(old, cost=two + 1)
    assert same.sha256 == old.sha256
    assert replace(old, cost=two + 2).sha256 != old.sha256


def test_a_classifier_brings_its_own(dense: Any, pixels: np.ndarray, digits: Digits) -> None:
    """What a wrapped model was not told cannot be told to the audit: it would be ignored."""
    for setting in ({"cost": 4.0}, {"freeze": np.eye(8, dtype=bool)}):
        with pytest.raises(ConfigError, match=r"got a classifier, which is wrapped already"):
            rc.audit(dense, pixels[:4], digits[1][:4], options=QUICK, **setting)


def test_names_in_a_file_that_mean_nothing(tmp_path: Path) -> None:
    from robustcheck.intake import read_by_input

    np.savez(tmp_path / "typo.npz", **{"a.cost": np.ones(2), "b.costs": np.ones(3)})
    with pytest.raises(ConfigError, match=r"got \['b\.costs'\] among them"):
        read_by_input(tmp_path / "typo.npz", "cost")
    # the file of a report holds what several settings read
    np.savez(tmp_path / "all.npz", **{"a.cost": np.ones(2), "a.freeze": np.zeros(2, bool)})
    assert set(read_by_input(tmp_path / "all.npz", "cost")) == {"a"}


def test_what_is_too_dear_to_tell_is_held_and_told(
    digit_models: list[Any], pixels: np.ndarray, digits: Digits
) -> None:
    cost = np.ones((8, 8))
    cost[:4] = 1e12
    report = rc.audit(digit_models[0], pixels[:8], digits[1][:8], cost=cost, options=QUICK)
    # a black pixel is exact near 0, others are not
    held = np.abs(report.samples.adversarial - report.samples.input)[report.samples.found][:, :4]
    assert held.max() < 1e-6
    assert any("features are so dear that float32 cannot tell" in note for note in report.data.notes)
