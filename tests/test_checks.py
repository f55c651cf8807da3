"""Checks say so when a figure cannot be trusted, and not otherwise."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import robustcheck as rc
import robustcheck.checks
from robustcheck.checks import better_than_chance, filling, noise_curve, run_checks, skipped, stability
from robustcheck.cli._help import page
from robustcheck.distortion import facts_of, on_levels
from robustcheck.measures import binomial_tail, count
from robustcheck.models import Head, logits_of
from robustcheck.remedies import Walk, adopt_transferred
from robustcheck.results import CHECKS, Check, Cost, CurvePoint, NormFacts, SearchResult, Status
from robustcheck.samples import as_samples

QUICK = rc.SearchOptions(budget=60)


def outcomes(classifier: rc.Classifier, result: SearchResult) -> dict[str, str]:
    return {check.id: check.outcome for check in run_checks(classifier, [result], seed=0)}


def test_nothing_to_see(dense: Any, dense_result: SearchResult) -> None:
    outcome_of = outcomes(dense, dense_result)
    assert set(outcome_of) == {item.id for item in skipped("")}
    assert {outcome_of[name] for name in ("labels", "search", "verified", "gradient", "noise")} == {"PASS"}


def test_labels_that_do_not_fit(dense: Any, pixels: np.ndarray, digits: Any) -> None:
    shifted = (digits[1].astype(int) + 1) % 10
    shifted[:5] = digits[1][:5]
    outcome_of = run_checks(dense, [rc.minimal_distortion(dense, pixels, shifted, options=QUICK)], seed=0)
    assert (outcome_of[0].id, outcome_of[0].outcome) == ("labels", "FAIL")
    assert "only 5 of 60" in outcome_of[0].detail


def test_labels_of_the_model_itself_say_nothing(dense: Any, dense_result: SearchResult) -> None:
    outcome_of = run_checks(dense, [dense_result], seed=0, unlabelled=True)
    assert (outcome_of[0].id, outcome_of[0].outcome) == ("labels", "SKIP")


@pytest.mark.parametrize(("lost", "expected"), [(0, "PASS"), (1, "WARN"), (30, "FAIL")])
def test_a_search_that_finds_too_little(
    dense: Any, dense_result: SearchResult, lost: int, expected: str
) -> None:
    status = dense_result.status.copy()
    status[np.flatnonzero(dense_result.found)[:lost]] = str(Status.NOT_FOUND)
    assert outcomes(dense, replace(dense_result, status=status))["search"] == expected


@pytest.mark.parametrize(
    ("halfway", "expected"), [(1.0, "PASS"), (1.05, "WARN"), (1.5, "WARN"), (3.0, "FAIL"), (0, "SKIP")]
)
def test_a_budget_that_was_too_small(
    dense: Any, dense_result: SearchResult, halfway: float, expected: str
) -> None:
    before = dense_result.l2 * halfway if halfway else np.full(len(dense_result), np.nan)
    assert outcomes(dense, replace(dense_result, halfway=before))["budget"] == expected


def test_examples_that_are_none(dense: Any, dense_result: SearchResult) -> None:
    adversarial = dense_result.adversarial.copy()
    row = np.flatnonzero(dense_result.found)[7]
    adversarial[row] = dense_result.input[row]
    assert outcomes(dense, replace(dense_result, adversarial=adversarial))["verified"] == "FAIL"


def test_gradients_that_vanish(dense: Any, dense_result: SearchResult) -> None:
    """The same decisions from rounded inputs: TensorFlow's gradient of rounding is zero everywhere."""

    def steps(rows: Any) -> Any:
        return dense.logits(tf.round(rows * 255.0) / 255.0)

    blind = replace(dense, logits=steps, computed=lambda: steps, traces={})
    assert outcomes(blind, dense_result)["gradient"] == "FAIL"
    seen = replace(blind, computed=lambda: dense.logits, traces={})
    assert outcomes(seen, dense_result)["gradient"] == "PASS"


def test_noise_that_fools_as_well(dense: Any, dense_result: SearchResult) -> None:
    far = replace(dense_result, l2=np.full(len(dense_result), 50.0))
    assert outcomes(dense, far)["noise"] == "FAIL"


def test_what_can_be_stored_in_8_bits() -> None:
    """A linear model whose examples are rounded up, or down, and examples that lead nowhere."""

    def scores(rows: Any) -> Any:
        return tf.concat([rows[:, :1] - 0.5, 0.5 - rows[:, :1]], axis=1)

    classifier = rc.wrap(scores, input_shape=(2,), head="logits")
    x = np.full((40, 2), 0.2, np.float32)
    found = rc.minimal_distortion(classifier, x, np.ones(40, int), options=QUICK)
    assert found.found.all()
    assert outcomes(classifier, found)["eight_bit"] == "SKIP"
    # 0.5 lies between level 127 and 128, and what is just above it is rounded up
    result = on_levels(classifier, found)
    assert outcomes(classifier, result)["eight_bit"] == "PASS"
    np.testing.assert_allclose(result.distance8, 128 / 255 - 0.2, rtol=1e-5)
    # the other way it goes down to level 127, from level 179
    high = np.full((40, 2), 179 / 255, np.float32)
    down = rc.minimal_distortion(classifier, high, np.zeros(40, int), options=QUICK)
    np.testing.assert_allclose(on_levels(classifier, down).distance8, 52 / 255, rtol=1e-5)
    nowhere = replace(found, adversarial=found.input)
    assert np.isinf(on_levels(classifier, nowhere).distance8).all()
    assert outcomes(classifier, on_levels(classifier, nowhere))["eight_bit"] == "WARN"
    endless = rc.wrap(
        lambda rows: tf.concat([rows[:, :1], -rows[:, :1]], axis=1),
        box=(-np.inf, np.inf),
        input_shape=(2,),
        head="logits",
    )
    assert outcomes(endless, rc.minimal_distortion(endless, x, np.zeros(40, int)))["eight_bit"] == "SKIP"


def test_noise_curve_of_a_linear_model() -> None:
    """Noise of length r in d dimensions crosses a plane at distance g with a known probability."""
    from scipy.stats import beta

    d, gap, radius = 10, 0.2, 1.0
    classifier = rc.wrap(
        lambda rows: tf.stack([rows[:, 0], -rows[:, 0]], axis=1),
        box=(-100.0, 100.0),
        input_shape=(d,),
        head="logits",
    )
    x = np.zeros((4000, d), np.float32)
    x[:, 0] = gap
    result = rc.minimal_distortion(classifier, x[:2], np.zeros(2, int), options=QUICK)
    many = SearchResult(**{name: np.repeat(value, 2000, axis=0) for name, value in result.columns().items()})
    curve = noise_curve(classifier, many, [CurvePoint(0.0, 1.0), CurvePoint(radius, 0.0)], seed=0)
    assert (curve[0].accuracy, curve[-1].l2) == (1.0, radius)
    # the first coordinate of a random direction, squared, is Beta(1/2, (d - 1)/2)
    crosses = 0.5 * float(beta.sf((gap / radius) ** 2, 0.5, (d - 1) / 2))
    assert curve[-1].accuracy == pytest.approx(1 - crosses, abs=0.02)


def test_frozen_features_get_no_noise(digit_models: list[Any], pixels: np.ndarray, digits: Any) -> None:
    frozen = np.ones((8, 8), bool)
    frozen[3:5, 3:5] = False
    classifier = rc.wrap(digit_models[0], freeze=frozen)
    result = rc.minimal_distortion(classifier, pixels[:10], digits[1][:10], options=QUICK)
    seen: list[np.ndarray] = []

    def label(rows: Any) -> Any:
        seen.append(rows.numpy())
        return classifier.label(rows)

    noise_curve(replace(classifier, label=label), result, [CurvePoint(1.0, 0.0)], seed=0)
    flat = result.input.reshape(10, -1)
    assert all((rows[:, frozen.reshape(-1)] == flat[:, frozen.reshape(-1)]).all() for rows in seen)


def test_few_samples_do_not_tell_an_accuracy_from_chance() -> None:
    """Three right of twelve, of ten classes: guessing gives that once in nine times."""
    outcome_of = {
        (3, 12, 10): "WARN",
        (4, 12, 10): "PASS",
        (2, 12, 10): "WARN",
        (4, 60, 10): "FAIL",
        (39, 60, 3): "PASS",
        (12, 60, 10): "WARN",
        (6, 6, 2): "PASS",
        (4, 6, 2): "WARN",
    }
    for (correct, tried, classes), outcome in outcome_of.items():
        assert better_than_chance(correct, tried, classes).outcome == outcome
    # the binomial distribution, from a reference
    for hits, n, p in ((3, 12, 0.1), (0, 5, 0.5), (900, 1000, 0.87)):
        assert binomial_tail(hits, n, p) == pytest.approx(scipy.stats.binom.sf(hits - 1, n, p), rel=1e-9)


def scaled(*first: Any) -> Any:
    parts = [keras.Input((8, 8)), *first, keras.layers.Flatten(), keras.layers.Dense(10)]
    return keras.Sequential(parts)


def test_values_that_fill_little_of_the_box(pixels: np.ndarray) -> None:
    rows = pixels.reshape(len(pixels), -1)
    normal = keras.layers.Normalization(axis=None, mean=100.0, variance=70.0**2)
    cases: list[tuple[Any, Any, np.ndarray, str, str]] = [
        (scaled(), (0, 1), rows, "PASS", "100.0 % of the box [0, 1]"),
        (scaled(), (0, 255), rows, "FAIL", "0.4 % of the box [0, 255]"),
        (
            scaled(keras.layers.Rescaling(1 / 255)),
            (0, 1),
            rows,
            "FAIL",
            "0.4 % of what the model's Rescaling(1/255)",
        ),
        (scaled(keras.layers.Rescaling(1 / 127.5, -1)), (0, 1), rows, "FAIL", "0.4 % of what"),
        (scaled(keras.layers.Rescaling(1 / 255)), (0, 255), 255 * rows, "PASS", "100.0 % of"),
        (scaled(normal), (0, 1), rows, "FAIL", "Normalization layer was adapted to"),
        (scaled(), (-np.inf, np.inf), rows, "SKIP", "infinite sides"),
        (scaled(), (0, 1), 0.1 * rows, "WARN", "10.0 % of the box"),
    ]
    for model, box, values, outcome, text in cases:
        check = filling(rc.wrap(model, box=box), values.astype(np.float32))
        assert (check.outcome, text in check.detail) == (outcome, True), check.detail


def test_the_spread_of_many_samples_is_that_of_all_at_once() -> None:
    """More samples than are looked at together, of which one is not finite and shifts from block to block."""
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Normalization(mean=np.linspace(0, 1, 6), variance=np.linspace(4, 9, 6)),
            keras.layers.Dense(3),
        ]
    )
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(2600, 6)) * 0.3 + np.linspace(-3, 3, 2600)[:, None]
    rows[7] = np.nan
    finite = np.isfinite(rows).all(axis=1)
    check = filling(rc.wrap(model, box=(-9.0, 9.0)), rows.astype(np.float32), finite)
    after = (rows[finite] - np.linspace(0, 1, 6)) / np.sqrt(np.linspace(4, 9, 6))
    expected = [np.sqrt(after.var(axis=0).mean()), (rows[finite].max() - rows[finite].min()) / 18]
    assert f"fill {100 * min(expected):.1f} % of" in check.detail
    assert min(expected) == expected[1] or "Normalization" in check.detail


class Random(keras.layers.Layer):
    """Noise that is on in inference too."""

    def call(self, x: Any) -> Any:
        return x + 0.5 * tf.random.normal(tf.shape(x))


class OfTheBatch(keras.layers.Layer):
    """Batch statistics in inference."""

    def call(self, x: Any) -> Any:
        return (x - tf.reduce_mean(x, axis=0)) / (tf.math.reduce_std(x, axis=0) + 0.1)


def test_answers_that_are_not_a_samples_own(digit_models: list[Any], pixels: np.ndarray) -> None:
    rows = pixels.reshape(len(pixels), -1)
    for first, outcome, text in (
        (None, "PASS", "the answers for 60 samples are the same again"),
        (Random, "FAIL", r"other answers for the same input: \d+ of 60; the model is random"),
        (OfTheBatch, "FAIL", r"asked about .*: \d+ of 60; rows of a batch influence one another"),
    ):
        inside = [] if first is None else [first()]
        model = keras.Sequential([keras.Input((8, 8)), *inside, digit_models[0]])
        with warnings.catch_warnings():
            warnings.simplefilter("error", rc.errors.RobustcheckWarning)  # no word of a softmax that is fine
            check = stability(rc.wrap(model), rows)
        assert check.outcome == outcome
        assert re.search(text, check.detail), check.detail


def test_a_random_model_is_called_random(digit_models: list[Any], pixels: np.ndarray, digits: Any) -> None:
    model = keras.Sequential([keras.Input((8, 8)), Random(), digit_models[0]])
    report = rc.audit(model, pixels, digits[1], options=rc.SearchOptions(budget=30))
    outcome_of = {check.id: check for check in report.checks}
    assert outcome_of["stable"].outcome == "FAIL"
    assert "gradients masked" not in outcome_of["search"].detail
    assert "see the check stable" in outcome_of["search"].detail or outcome_of["search"].outcome == "PASS"


def test_classes_of_what_was_drawn(dense: Any, digits: Any, pixels: np.ndarray) -> None:
    order = np.argsort(digits[1], kind="stable")
    x, y = pixels[order], digits[1][order]
    for sample, outcome in (("first", "WARN"), ("stratified", "PASS"), ("random", "PASS")):
        report = rc.audit(dense, x, y, limit=20, sample=sample, options=rc.SearchOptions(budget=20))
        check = next(item for item in report.checks if item.id == "sample")
        assert (check.outcome, report.data.sample) == (outcome, sample)
        if sample == "first":
            assert "classes are missing" in check.detail
    assert len(rc.audit(dense, x, y, options=rc.SearchOptions(budget=20)).samples) == 60


def test_only_the_target_counts_where_there_is_one(dense: Any, dense_result: SearchResult) -> None:
    """Noise and rounding that give another wrong class than the target are no examples."""
    found = dense_result.found
    other = logits_of(dense, np.nan_to_num(dense_result.points)).argmin(axis=1)
    right = replace(dense_result, target=np.where(found, dense_result.predicted, -1))
    wrong = replace(dense_result, target=np.where(found, other, -1))
    details = {
        name: {check.id: check.detail for check in run_checks(dense, [on_levels(dense, result)], seed=0)}
        for name, result in (("right", right), ("wrong", wrong))
    }
    assert details["wrong"]["eight_bit"].startswith("0.0 % of the examples")
    assert not details["right"]["eight_bit"].startswith("0.0 %")
    assert details["wrong"]["verified"].startswith("0 of")


def test_scores_that_say_nothing_or_something_else(dense: Any, dense_result: SearchResult) -> None:
    """Made of probabilities that are rounded to 1, or not those that the output decides by."""
    made = replace(dense, ends_in=Head("softmax", False))
    blind = replace(dense_result, confidence_before=np.ones(len(dense_result)))
    assert outcomes(made, blind)["saturated"] == "FAIL"
    assert (
        outcomes(made, replace(blind, confidence_before=0.9 * blind.confidence_before))["saturated"] == "PASS"
    )
    assert outcomes(dense, dense_result)["saturated"] == "PASS"
    other = replace(dense, logits=lambda rows: -dense.logits(rows), traces={})
    assert outcomes(other, dense_result)["saturated"] == "FAIL"


def test_an_example_that_was_made_for_another_model(dense: Any, dense_result: SearchResult) -> None:
    """The model's own examples, which are nearer than those that are said to be its own."""
    longer = stretched(dense_result, 1.5)

    def outcome(made_for: dict[str, SearchResult]) -> str:
        checked = run_checks(dense, [longer], seed=0, made_for=made_for)
        return next(check.outcome for check in checks_named("transferred", checked))

    assert outcome({}) == "SKIP"
    assert outcome({"other": dense_result}) == "FAIL"
    assert outcome({"other": longer}) == "PASS"


def test_nearer_examples_of_others_are_gone_on_from(dense: Any, dense_result: SearchResult) -> None:
    """What is far is left for what was made for another model, and that is walked on from."""
    longer = stretched(dense_result, 1.5)
    samples = as_samples(dense, longer.input, longer.label)
    facts = facts_of(dense, samples)
    nearer, adopted = adopt_transferred(dense, longer, {"other": dense_result}, facts, QUICK)
    there = longer.l2 > 1.02 * dense_result.l2  # the box may have stopped it
    assert adopted == there[longer.found].sum() > 30
    assert (nearer.l2[there] <= 1.0001 * dense_result.l2[there]).all()
    untouched = adopt_transferred(dense, dense_result, {"other": longer}, facts, QUICK)
    assert untouched == (dense_result, 0)
    (check,) = checks_named(
        "transferred",
        run_checks(
            dense,
            [nearer],
            seed=0,
            made_for={"other": dense_result},
            walks={"l2": Walk(tried=1, shorter=0.0, adopted=adopted)},
        ),
    )
    assert check.outcome == "PASS"
    assert check.detail.endswith(f"for {adopted} one was, and a walk by decisions went on from there")


def test_a_boundary_on_the_way_to_another_class(dense: Any, dense_result: SearchResult) -> None:
    assert outcomes(dense, dense_result)["other_class"] == "PASS"
    far = replace(dense_result, l2=np.where(dense_result.found, 20.0, dense_result.l2))
    assert outcomes(dense, far)["other_class"] == "FAIL"
    alone = dense_result.take(np.flatnonzero(dense_result.label == dense_result.label[0]))
    assert outcomes(dense, alone)["other_class"] == "SKIP"


def test_starts_that_ended_elsewhere(dense: Any, dense_result: SearchResult) -> None:
    def with_starts(agreed: int) -> str:
        each = np.full(len(dense_result), agreed)
        return outcomes(dense, replace(dense_result, starts_agreed=each))["starts"]

    assert [with_starts(agreed) for agreed in (0, 1, 2)] == ["SKIP", "WARN", "PASS"]


def test_noise_that_is_shorter_than_the_example() -> None:
    """In two dimensions one direction in six reaches a line at 0.85 of the distance; none does beyond it."""
    classifier = rc.wrap(
        lambda rows: tf.stack([0.5 - rows[:, 0], rows[:, 0] - 0.5], axis=1),
        box=(-10.0, 10.0),
        input_shape=(2,),
        head="logits",
    )
    x = np.zeros((40, 2), np.float32)
    found = rc.minimal_distortion(classifier, x, np.zeros(40, int), options=QUICK)
    detail = {check.id: check for check in run_checks(classifier, [found], seed=0)}["noise"]
    assert detail.outcome == "PASS"
    draws = int(re.findall(r"of (\d+) draws of 0.95", detail.detail)[0])
    assert draws % 20 == 0
    assert 20 <= draws <= 0.05 * (3 * found.gradient_evaluations.sum() + found.forward_evaluations.sum())
    far = {check.id: check for check in run_checks(classifier, [stretched(found, 1.25)], seed=0)}["noise"]
    assert far.outcome == "FAIL"
    hits = int(re.findall(r"20 samples (\d+) do", far.detail)[0])
    chance = np.arccos(0.5 / (0.95 * 1.25 * 0.5)) / np.pi
    assert scipy.stats.binomtest(hits, draws, chance).pvalue > 1e-4


def test_a_curve_above_that_under_noise(dense: Any, dense_result: SearchResult) -> None:
    free = Cost(gradient_evaluations_per_sample=None, forward_evaluations_per_sample=None, seconds=0.0)

    def of(*accuracies: float, under_noise: float = 1.0) -> str:
        points: list[Any] = [CurvePoint(float(at), share) for at, share in enumerate(accuracies)]
        noise: list[Any] = [CurvePoint(0.5, 1.0), CurvePoint(1.5, under_noise)]
        facts = NormFacts(counts=count(dense_result), curve=points, noise_curve=noise, cost=free)
        checked = run_checks(dense, [dense_result], seed=0, facts={"l2": facts})
        return next(check.outcome for check in checks_named("curve", checked))

    assert of(1.0, 0.5, 0.0) == "PASS"
    assert of(1.0, 0.5, 0.0, under_noise=0.48) == "WARN"
    assert of(1.0, 0.5, 0.0, under_noise=0.4) == "FAIL"
    assert of(1.0, 0.5, 0.02) == "WARN"
    assert outcomes(dense, dense_result)["curve"] == "SKIP"


def test_examples_in_half_precision() -> None:
    """Half precision has steps of 32 just below 65504, and nothing above that."""

    def threshold(at: float) -> Check:
        classifier = rc.wrap(
            lambda rows: tf.concat([at - rows, rows - at], axis=1),
            box=(0.0, 1e5),
            input_shape=(1,),
            head="logits",
        )
        x = np.full((40, 1), 4e4, np.float32)
        found = rc.minimal_distortion(classifier, x, np.zeros(40, int), options=QUICK)
        return next(iter(checks_named("float16", run_checks(classifier, [found], seed=0))))

    # rounded down to 60000, and up again a little further out
    assert threshold(60010.0).outcome == "PASS"
    assert threshold(60010.0).detail.startswith("rounded to half precision 0.0 % of 40")
    assert threshold(80000.0).outcome == "WARN"


def test_examples_that_are_stored_as_png(dense: Any, dense_result: SearchResult) -> None:
    on_grid = on_levels(dense, dense_result)
    assert outcomes(dense, on_grid)["png"] == "PASS"
    assert outcomes(dense, dense_result)["png"] == "SKIP"  # not looked for
    # levels of the sample itself
    none = replace(on_grid, scale8=np.where(on_grid.found, 0.0, np.nan))
    assert outcomes(dense, none)["png"] == "WARN"
    flat = rc.wrap(
        lambda rows: tf.concat([rows[:, :1], 1 - rows[:, :1]], axis=1), input_shape=(2,), head="logits"
    )
    found = rc.minimal_distortion(flat, np.full((4, 2), 0.2, np.float32), np.ones(4, int), options=QUICK)
    assert outcomes(flat, on_levels(flat, found))["png"] == "SKIP"


def test_every_check_has_a_module_a_question_and_a_line_in_the_manual() -> None:
    folder = Path(robustcheck.checks.__file__).parent
    shared = {"__init__", "_given"}
    assert {f"_{name}" for name in CHECKS} == {path.stem for path in folder.glob("*.py")} - shared
    for name, about in CHECKS.items():
        line = f"| `{name}` | {about.asks} | {about.lines} | {about.advice} |"
        assert line in page("numbers").splitlines(), f"expected this line of the manual: {line}"


@pytest.mark.parametrize(
    ("name", "figure", "expected"),
    [
        ("noise", 0.1, "PASS"), ("noise", 0.11, "WARN"), ("noise", 0.51, "FAIL"),
        ("search", 1.0, "PASS"), ("search", 0.96, "WARN"), ("search", 0.94, "FAIL"),
        ("finite", 0.0, "PASS"), ("finite", 1.0, "WARN"),
        ("verified", 0.99, "FAIL"),
    ],
)  # fmt: skip
def test_where_the_lines_are(name: str, figure: float, expected: str) -> None:
    assert CHECKS[name].outcome(figure) == expected


def stretched(result: SearchResult, factor: float) -> SearchResult:
    """The result with examples further away, as far as the box goes to 1 or is wide."""
    points, x = result.adversarial, result.input
    far = np.clip(x + factor * (points - x), 0, 1).astype(np.float32)
    length = np.sqrt(np.sum((far - x).reshape(len(x), -1).astype(float) ** 2, axis=1))
    return replace(result, adversarial=far, l2=np.where(result.found, length, result.l2))


def checks_named(name: str, checked: list[Check]) -> list[Check]:
    return [check for check in checked if check.id == name]
