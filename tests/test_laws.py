"""Laws that hold for every input, by Hypothesis: names, draws, shares, texts, settings, stored reports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from evidence import found, report
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustcheck.checks import better_than_chance
from robustcheck.config import AuditConfig, Box
from robustcheck.errors import ConfigError
from robustcheck.intake._sampling import choose_rows, strata_of
from robustcheck.intake._structures import fits
from robustcheck.measures import (
    GRAMMAR,
    MEASURED,
    SEARCHED,
    Grounds,
    binomial_tail,
    doubt,
    parse_metric,
    quantile,
    share,
)
from robustcheck.norms import NORMS
from robustcheck.policy import Rule, read_policy
from robustcheck.report import read_report, store_report
from robustcheck.results import CHECKS, Status
from robustcheck.text import brief, printable

STATISTICS = ("mean", "mean_found", "p05", "p25", "median", "p75", "p95", "min", "max")
radii = (
    st.floats(1e-6, 1e6)
    .flatmap(lambda value: st.sampled_from(SEARCHED).map(lambda norm: f"accuracy.robust.{norm}@{value!r}"))
    .filter(lambda name: "+" not in name)
)
metrics = st.one_of(
    st.sampled_from([name for name in GRAMMAR if not any(word.isupper() for word in re.split("[.@]", name))]),
    st.builds("distortion.{}.{}".format, st.sampled_from(MEASURED), st.sampled_from(STATISTICS)),
    st.builds("examples.{}.{}".format, st.sampled_from(list(NORMS)), st.sampled_from(STATISTICS)),
    st.builds("search.{}.last_doubling".format, st.sampled_from(SEARCHED)),
    st.builds("accuracy.robust.{}@{}/{}".format, st.sampled_from(SEARCHED), st.integers(0), st.integers(1)),
    st.sampled_from(list(CHECKS)).map(lambda name: f"check.{name}"),
    st.builds(
        "deployed.{}.{}".format,
        st.text("ab.-_ratio", min_size=1, max_size=8),
        st.sampled_from(["agreement", "holds", "weaker", "ratio.p05", "ratio.mean_found", "robust@8/255"]),
    ),
    radii,
).filter(lambda name: "@RADIUS" not in name and "A->B" not in name and "check.ID" not in name)
# a file on disk for each example
on_disk = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@given(metrics)
def test_a_metric_keeps_its_name(name: str) -> None:
    assert parse_metric(name).name == name


@given(st.text(max_size=30))
def test_what_is_no_metric_is_refused_by_a_typed_error(text: str) -> None:
    try:
        parsed = parse_metric(text)
    except ConfigError:
        return
    assert parsed.name == text


@given(st.integers(1, 300), st.integers(1, 320), st.integers(1, 8), st.integers(0, 99))
def test_a_draw_is_in_proportion_and_nested(total: int, limit: int, classes: int, seed: int) -> None:
    strata = np.random.default_rng(seed).integers(0, classes, total)
    rows, how = choose_rows(strata, total, limit, "stratified", seed)
    assert len(rows) == len(set(rows.tolist())) == min(limit, total)
    assert (np.diff(rows) > 0).all()
    assert how == (None if limit >= total else "stratified")
    for label in np.unique(strata):
        expected = len(rows) * np.mean(strata == label)
        assert abs(np.sum(strata[rows] == label) - expected) <= 1
    fewer, _ = choose_rows(strata, total, max(limit // 2, 1), "stratified", seed)
    assert set(fewer.tolist()) <= set(rows.tolist())


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_strata_are_the_same_in_every_form(labels: list[int]) -> None:
    y = np.array(labels)
    for form in (y, y[:, None], np.eye(6)[y], y.astype(np.float32)):
        found_strata = strata_of(form)
        assert found_strata is not None
        np.testing.assert_array_equal(found_strata, y)


shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@given(shapes, st.data())
def test_an_axis_of_one_may_differ_and_nothing_else(shape: tuple[int, ...], data: Any) -> None:
    assert fits(shape, shape)
    assert fits((*shape, 1), shape)
    at = data.draw(st.integers(0, len(shape) - 1))
    assert not fits((*shape[:at], shape[at] + 5, *shape[at + 1 :]), shape)
    assert fits(shape, (*shape[:at], None, *shape[at + 1 :]))
    assert not fits((*shape, 2, 2), shape)


@given(st.integers(0, 200), st.integers(1, 200))
def test_shares_lie_in_their_interval(hits: int, n: int) -> None:
    hits = min(hits, n)
    figure = share(hits, n)
    assert figure.low is not None
    assert figure.high is not None
    reference = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert figure.low == pytest.approx(reference.low, abs=1e-9)
    assert figure.high == pytest.approx(reference.high, abs=1e-9)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([0.05, 0.25, 0.5, 0.95]))
def test_quantiles_are_numpys(values: list[float], q: float) -> None:
    figure = quantile(np.array(values), q)
    assert figure.value == pytest.approx(float(np.quantile(values, q)), rel=1e-9, abs=1e-12)
    assert figure.low is None or figure.low <= figure.value + 1e-12
    # a rank below the first does not exist
    exists = np.floor(len(values) * q - 1.959964 * np.sqrt(len(values) * q * (1 - q))) >= 0
    assert (figure.low is not None) == exists
    assert figure.high is None or figure.high >= figure.value - 1e-12


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.01, 0.99))
def test_binomial_tails_are_scipys(hits: int, n: int, p: float) -> None:
    hits = min(hits, n)
    assert binomial_tail(hits, n, p) == pytest.approx(scipy.stats.binom.sf(hits - 1, n, p), abs=1e-9)


@given(st.integers(2, 50), st.integers(1, 300), st.data())
def test_more_right_is_never_judged_worse(classes: int, tried: int, data: Any) -> None:
    order = {"FAIL": 0, "WARN": 1, "PASS": 2}
    fewer = data.draw(st.integers(0, tried))
    more = data.draw(st.integers(fewer, tried))
    outcomes = [order[better_than_chance(correct, tried, classes).outcome] for correct in (fewer, more)]
    assert outcomes[0] <= outcomes[1]


@given(metrics, st.booleans(), st.booleans(), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_what_is_believed_stays_so_with_better_grounds(
    name: str, complete: bool, labelled: bool, correct: int, lost: int, n: int
) -> None:
    metric, found_samples = parse_metric(name), max(correct - lost, 0)
    norms = [metric.searched or "l2"]
    grounds = Grounds(
        complete=complete, labelled=labelled, correct=correct, found=dict.fromkeys(norms, found_samples)
    )
    best = Grounds(
        complete=True, labelled=True, correct=max(correct, 1), found=dict.fromkeys(norms, max(correct, 1))
    )
    if doubt(metric, grounds, n) is None:
        assert doubt(metric, best, n + 1) is None
    assert complete or doubt(metric, grounds, n) is not None


things = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
    max_leaves=30,
)


@given(things)
def test_a_brief_value_is_one_short_line(value: Any) -> None:
    kept = brief(value)
    assert len(kept) <= 130
    assert "\n" not in kept


@given(st.text(max_size=60))
def test_printable_text_moves_nothing(text: str) -> None:
    kept = printable(text)
    assert len(kept) == len(text)
    assert printable(kept) == kept
    assert not any(ord(word) < 32 or word in "\u202e\u2066" for word in kept)


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.integers(1, 4), st.integers(1, 4))
def test_a_box_is_the_same_flat_and_shaped(low: float, width: float, rows: int, columns: int) -> None:
    box, shape = Box.of((low, low + width)), (rows, columns)
    lower, upper = box.rows(shape)
    again = Box.of((lower, upper)).rows(shape)
    np.testing.assert_array_equal(again[0], lower)
    np.testing.assert_array_equal(again[1], upper)


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@on_disk
@given(metrics, st.floats(0.01, 0.9), st.integers(1, 1000), st.sampled_from([None, 0.9, 0.95]))
def test_a_rule_is_read_as_it_is_made(
    tmp_path: Path, name: str, bound: float, fewest: int, confidence: float | None
) -> None:
    bounds: dict[str, Any] = {} if name.startswith("check.") else {"min": bound}
    level = {} if confidence is None else {"confidence": confidence}
    rule = Rule(metric=name, min_samples=fewest, **bounds, **level)
    lines = [
        f"{key} = {json.dumps(value)}"
        for key, value in ({"metric": name, "min_samples": fewest} | bounds | level).items()
    ]
    (tmp_path / "p.toml").write_text("schema = 1\n[[rule]]\n" + "\n".join(lines))
    assert read_policy(tmp_path / "p.toml").rules == (rule,)


@on_disk
@given(
    st.lists(st.floats(0.001, 100), min_size=1, max_size=20),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_report_is_read_as_it_was_written(
    tmp_path: Path, distances: list[float], wrong: int, lost: int, complete: bool
) -> None:
    made = report(found(np.array(distances), wrong=wrong, lost=lost), complete=complete)
    store_report(made, tmp_path)
    again = read_report(tmp_path)
    assert again.to_json() == made.to_json()
    np.testing.assert_array_equal(again.samples.l2, made.samples.l2)
    assert again.samples.is_(Status.FOUND).sum() == len(distances)
    for name, figure in made.measures.items():
        assert (again.measures[name].doubt is None) == (figure.doubt is None)


@given(st.sampled_from(["labels", "transfer", "sample"]), st.text(min_size=1, max_size=9))
def test_words_that_are_none_are_refused(name: str, word: str) -> None:
    known = {
        "labels": ("data", "model"),
        "transfer": ("all", "one-way"),
        "sample": ("first", "random", "stratified"),
    }
    if word in known[name]:
        return
    with pytest.raises(ConfigError, match=f"--{name}"):
        AuditConfig(model=None, data=None, **{name: word})
