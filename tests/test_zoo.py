"""Models built to mislead: the right number, and a sentence on how it was had."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from zoo import ZOO

import robustcheck as rc
from robustcheck.errors import ModelRefused
from robustcheck.models import Classifier, logits_of
from robustcheck.results import AuditReport, SearchResult

SAMPLES = 16
QUICK = rc.SearchOptions(budget=60)
# neither the declared gradient nor that of what is computed leads anywhere: the walk by decisions does
WALKED = ("shattered", "wave_on_scores")
SEEN = [
    name
    for name, variant in ZOO.items()
    if variant.kind in ("decoration", "gradient") and variant.same and name not in WALKED
]


@pytest.fixture(scope="module")
def net(digit_models: list[Any]) -> Any:
    """The honest one."""
    return next(model for model in digit_models if model.name == "digits_conv")


@pytest.fixture(scope="module")
def data(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return (digits[0][:SAMPLES] / 16.0).astype(np.float32)[..., None], digits[1][:SAMPLES]


@pytest.fixture(scope="module")
def honest(net: Any, data: Any) -> SearchResult:
    return rc.minimal_distortion(rc.wrap(net), *data, options=QUICK)


def wrapped(name: str, net: Any) -> Classifier:
    variant = ZOO[name]
    return rc.wrap(variant.make(net), input_shape=(8, 8, 1), head=variant.head, name=name)


def audited(name: str, net: Any, data: Any, options: rc.SearchOptions = QUICK) -> AuditReport:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rc.audit(wrapped(name, net), *data, options=options)


def outcomes(report: AuditReport) -> dict[str, str]:
    return {check.id: check.outcome for check in report.checks}


def details(report: AuditReport) -> dict[str, str]:
    return {check.id: check.detail for check in report.checks}


def ratio(result: SearchResult, honest: SearchResult) -> float:
    """Of the medians; examples of both are on the same samples."""
    there = honest.found
    assert result.found[there].all()
    return float(np.median(result.l2[there]) / np.median(honest.l2[there]))


@pytest.mark.parametrize("name", SEEN)
def test_the_distances_are_those_of_the_honest_net(name: str, net: Any, data: Any, honest: Any) -> None:
    """Whatever stands behind the scores or in the place of their gradient; with no warning."""
    found = rc.minimal_distortion(wrapped(name, net), *data, options=QUICK)
    np.testing.assert_array_equal(found.status, honest.status)
    assert 0.99 < ratio(found, honest) < 1.01
    fooled = ZOO[name].make(net)(tf.constant(found.adversarial[found.found])).numpy().argmax(axis=1)
    assert (fooled != found.label[found.found]).all()


def test_what_is_left_out_is_said(net: Any) -> None:
    heads = {name: wrapped(name, net).head for name in SEEN if ZOO[name].kind == "decoration"}
    assert heads["exp_of_log_softmax"] == "softmax, logits recovered, taken before Exp, LogSoftmax"
    assert heads["clipped"] == "logits, taken before Maximum, Minimum"
    assert heads["one_hot"] == "softmax, logits recovered, taken before OneHot"


def test_the_gradient_of_what_is_computed_is_told_of(net: Any, data: Any, honest: Any) -> None:
    report = audited("reversed", net, data)
    assert 0.99 < ratio(report.samples, honest) < 1.01
    assert outcomes(report)["gradient"] == "PASS"
    assert (
        "declares is of the wrong sign, so the search followed that of what it" in details(report)["gradient"]
    )


@pytest.mark.parametrize("name", WALKED)
def test_where_no_slope_leads_anywhere_decisions_do(name: str, net: Any, data: Any, honest: Any) -> None:
    longer = rc.SearchOptions(budget=100)
    blind = rc.minimal_distortion(wrapped(name, net), *data, options=longer)
    assert ratio(blind, honest) > 1.3  # what is to be seen through is there
    report = audited(name, net, data, longer)
    assert ratio(report.samples, honest) < 1.10
    assert (outcomes(report)["gradient"], outcomes(report)["gradient_free"]) == ("WARN", "PASS")
    assert "the walk was given all" in details(report)["gradient_free"]
    again = rc.auditing.replay(report, 0, wrapped(name, net), lambda *_: None)
    assert again.stored_holds


def test_what_is_no_number_is_no_mistake(net: Any, data: Any) -> None:
    """The nearest example lies behind a strip without numbers, where another class leads by half.

    It may be further than that, where a third class is close.
    """
    report = audited("nan_near_boundary", net, data)
    behind: list[float] = []
    x, y = data
    for label in np.unique(y[report.samples.correct]):
        bonus = tf.one_hot(int(label), 10, 0.5, 0.0)
        ahead = rc.wrap(lambda z, bonus=bonus: net(z) + bonus, input_shape=(8, 8, 1))
        at = report.samples.correct & (y == label)
        behind += rc.minimal_distortion(ahead, x[at], y[at], options=QUICK).l2.tolist()
    median = np.median(report.samples.l2[report.samples.correct])
    assert 0.999 < median / np.median(behind) < 1.10
    assert outcomes(report)["finite"] == "WARN"
    assert outcomes(report)["noise"] == "PASS"  # draws that fall on the strip are no mistakes either


@pytest.mark.parametrize("name", ["rounded_to_4", "like_jpeg", "step_activations", "pooled_by_position"])
def test_steps_are_searched(name: str, net: Any, data: Any, honest: Any) -> None:
    """Their boundary is another; what is found holds, and a walk by decisions comes no nearer."""
    report = audited(name, net, data)
    found = report.samples.found
    assert found.sum() == report.samples.correct.sum()
    assert outcomes(report)["verified"] == "PASS"
    assert outcomes(report)["gradient"] == "WARN"  # whatever is found behind a jump, no slope shows it
    by_decision = rc.SearchOptions(method="decision", budget=1000)
    again = rc.minimal_distortion(wrapped(name, net), *data, options=by_decision)
    assert np.median(report.samples.l2[found]) < 1.05 * np.median(again.l2[found])
    assert ratio(report.samples, honest) < 1.10


@pytest.mark.parametrize("name", [name for name, variant in ZOO.items() if variant.kind == "random"])
def test_a_random_model_is_never_taken_at_its_word(name: str, net: Any, data: Any) -> None:
    report = audited(name, net, data)
    assert outcomes(report)["stable"] == "FAIL"
    rule = rc.policy.Rule(metric="distortion.l2.median", min=1e-6, min_samples=1, min_found=0.01)
    (judged,) = rc.policy.judge(rc.policy.Policy.of(rule), report.evidence)
    assert judged.outcome in ("INCOMPLETE", "FAIL")


@pytest.mark.parametrize("name", [name for name, variant in ZOO.items() if variant.kind == "random"])
def test_votes_of_a_random_model(name: str, net: Any, data: Any) -> None:
    """The majority of draws decides, and examples hold for most draws that nobody has seen."""
    classifier = rc.wrap(ZOO[name].make(net), input_shape=(8, 8, 1), votes=16)
    report = rc.audit(classifier, data[0][:8], data[1][:8], options=rc.SearchOptions(budget=60))
    assert outcomes(report)["stable"] == "PASS"
    assert report.model.options["votes"] == 16
    found = report.samples.found
    assert found.sum() >= report.samples.correct.sum() - 1
    draw = tf.function(ZOO[name].make(net))
    points, label = tf.constant(report.samples.adversarial[found]), report.samples.label[found]
    # draws of the model as it is, of one sample at a time where a draw is of the whole batch
    drawn = np.array([[int(tf.argmax(draw(point[None])[0])) for point in points] for _ in range(200)])
    votes = np.stack([np.bincount(column, minlength=10) for column in drawn.T]) / 200
    at = np.arange(len(label))
    of_label = votes[at, label].copy()
    votes[at, label] = -1.0
    ahead = votes.max(axis=1) - of_label
    # 0.07 is the deviation of a lead that there is not
    assert (ahead > -0.25).all()
    assert np.mean(ahead > 0) >= 0.5
    assert np.median(ahead) > 0


def test_draws_are_numbered(net: Any, data: Any) -> None:
    """The same model made again draws the same, for a row in any batch, and others draw otherwise."""
    rows = data[0].reshape(SAMPLES, -1)
    first, again = (rc.wrap(ZOO["noise"].make(net), input_shape=(8, 8, 1), votes=5) for _ in range(2))
    scores = logits_of(first, rows)
    np.testing.assert_allclose(logits_of(again, rows), scores, rtol=1e-5)
    np.testing.assert_allclose(logits_of(first, rows, batch_size=1), scores, rtol=1e-4, atol=1e-4)
    more = rc.wrap(ZOO["noise"].make(net), input_shape=(8, 8, 1), votes=6)
    assert np.abs(logits_of(more, rows) - scores).max() > 1e-3


def test_rows_that_influence_one_another_are_refused(net: Any, data: Any) -> None:
    def of_the_batch(x: Any) -> Any:
        z = net(x)
        return z - 3.0 * tf.reduce_mean(z, axis=0, keepdims=True)

    with pytest.raises(
        ModelRefused, match=r"own, got other ones for .* rows of a batch influence one another"
    ):
        rc.audit(of_the_batch, *data, input_shape=(8, 8, 1), head="logits", options=QUICK)


def test_the_honest_net_is_not_suspected(net: Any, data: Any) -> None:
    report = rc.audit(net, *data, options=rc.SearchOptions(budget=300))
    assert {check.outcome for check in report.checks} <= {"PASS", "SKIP"}, details(report)
