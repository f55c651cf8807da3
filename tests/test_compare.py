from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from evidence import evidence, found, result_of

from robustcheck.compare import change, compare, differences, pair
from robustcheck.config import SearchOptions
from robustcheck.errors import ConfigError, Incomplete
from robustcheck.measures import parse_metric
from robustcheck.results import Evidence, Status

DISTANCES = np.random.default_rng(0).uniform(0.5, 1.5, 200)
OLD = evidence(found(DISTANCES, wrong=5))


def test_a_report_against_itself_does_not_change() -> None:
    same = compare(OLD, OLD)
    assert not same.regression
    assert (same.median_ratio.value, same.median_ratio.low, same.median_ratio.high) == (1.0, 1.0, 1.0)
    assert {change.direction for change in same.changes} == {"same"}
    assert (same.newly_wrong, same.newly_right, same.fell_most, same.notes) == (0, 0, [], [])


def test_a_weakened_model_is_a_regression() -> None:
    weaker = compare(OLD, evidence(found(0.8 * DISTANCES, wrong=5)))
    assert weaker.regression
    assert weaker.median_ratio.value == pytest.approx(0.8)
    assert weaker.changes[0].direction == "worse"
    assert {change.direction for change in weaker.changes if change.metric.startswith("distortion")} == {
        "worse"
    }
    median = next(change for change in weaker.changes if change.metric == "distortion.l2.median")
    assert median.ratio.value == pytest.approx(0.8)
    assert median.paired
    fell = [(sample.old or 0) - (sample.new or 0) for sample in weaker.fell_most]
    assert fell == sorted(fell, reverse=True)
    assert fell[0] == pytest.approx(0.2 * DISTANCES.max())
    better = compare(evidence(found(0.8 * DISTANCES, wrong=5)), OLD)
    assert not better.regression
    assert {change.direction for change in better.changes if change.metric.startswith("distortion")} == {
        "better"
    }


def test_within_the_tolerance_is_no_regression() -> None:
    slightly = evidence(found(0.97 * DISTANCES, wrong=5))
    assert not compare(OLD, slightly).regression
    assert compare(OLD, slightly, tolerance=0.02).regression


def test_a_fall_of_accuracy_alone_is_a_regression() -> None:
    status = [Status.ALREADY_WRONG] * 25 + [Status.FOUND] * 180
    less = evidence(result_of(status, [0.0] * 25 + list(DISTANCES[20:])))
    compared = compare(OLD, less)
    assert compared.newly_wrong == 20
    assert compared.regression
    assert compared.reasons == ["accuracy.clean went from 97.6 % to 87.8 %, more than its interval"]
    assert compared.fell_most[0].new == 0.0


def test_samples_are_paired_by_what_they_are() -> None:
    new = found(DISTANCES[::-1])
    shuffled = replace(new, sample_id=new.sample_id[::-1].copy())
    assert compare(evidence(found(DISTANCES)), evidence(shuffled)).median_ratio.value == 1.0
    repeated = found([1.0, 2.0, 3.0])
    repeated = replace(repeated, sample_id=np.array(["a", "b", "a"]))
    pairs = pair(repeated, repeated)
    assert (pairs.old.tolist(), pairs.new.tolist()) == ([0, 1, 2], [0, 1, 2])
    part = compare(OLD, evidence(found(DISTANCES[:50], wrong=5)))
    assert part.shared == 55
    assert part.paired


def test_a_few_shared_samples_do_not_speak_for_all() -> None:
    """One shared sample whose distance halved, all others as they were."""
    new = found(DISTANCES, first_id=1000)
    changed = replace(new, sample_id=np.append(new.sample_id[:-1], OLD.samples.sample_id[-1]))  # type: ignore[union-attr]
    mostly = compare(OLD, evidence(replace(changed, l2=np.append(changed.l2[:-1], changed.l2[-1] / 2))))
    assert (mostly.shared, mostly.paired, mostly.regression) == (1, False, False)
    assert mostly.comparable


@pytest.mark.parametrize("tolerance", [-1, 1, 2, np.nan, np.inf])
def test_a_tolerance_is_a_share(tolerance: float) -> None:
    with pytest.raises(ConfigError, match="expected a share from 0 to below 1"):
        compare(OLD, OLD, tolerance=tolerance)


def test_boxes_are_compared_by_what_they_are() -> None:
    data = replace(OLD.document.data, box_sha256="1" * 64)
    other = compare(OLD, evidence(found(DISTANCES, wrong=5), data=data))
    assert not other.comparable
    assert other.notes == ["box_sha256 was 000000000000..., is 111111111111..."]


def test_other_samples_are_compared_without_pairs() -> None:
    other = compare(OLD, evidence(found(0.5 * DISTANCES, first_id=1000)))
    assert other.shared == 0
    assert not other.paired
    assert other.regression
    assert other.median_ratio.value == pytest.approx(0.5)
    median = next(item for item in other.changes if item.metric == "distortion.l2.median")
    assert not median.paired
    assert median.direction == "worse"
    # of other samples the interval is wider
    metric = parse_metric("distortion.l2.median")
    noisy = 0.9 * DISTANCES
    apart = change(metric, OLD, evidence(found(noisy, first_id=1000)))
    paired = change(metric, OLD, evidence(found(noisy, wrong=5)))
    assert apart is not None
    assert paired is not None
    widths = [(found.ratio.high or 0) - (found.ratio.low or 0) for found in (apart, paired)]
    assert widths[0] > 3 * widths[1]


def test_what_was_measured_otherwise_is_not_compared() -> None:
    data = replace(OLD.document.data, box="[0, 255]")
    other = compare(OLD, evidence(found(255 * DISTANCES, wrong=5), data=data))
    assert not other.comparable
    assert other.notes == ["box was [0, 1], is [0, 255]"]
    assert not [item for item in other.changes if item.metric.startswith("distortion")]
    options = {"method": "boundary", "budget": 1000}
    longer = replace(OLD.document.provenance, options=options)
    assert compare(OLD, evidence(found(DISTANCES, wrong=5), provenance=longer)).notes == [
        "budget was 300, is 1000"
    ]


def test_references_that_are_no_files_are_told_apart_by_name() -> None:
    """Two factories have no digest; they are not the same model for that."""
    factory = replace(OLD.document.model, path="project:one")
    reports = [
        evidence(found(DISTANCES, wrong=5), references=[replace(factory, path=path)])
        for path in ("project:one", "project:two")
    ]
    assert compare(reports[0], reports[0]).notes == []
    assert compare(*reports).notes == ["the reference models differ, so transfer rates are not compared"]


def test_the_bootstrap_covers_the_truth() -> None:
    """Of 95 % intervals some 95 % hold the true ratio of two medians of paired samples."""
    draw = np.random.default_rng(5)
    covered = 0
    for _ in range(100):
        base = draw.lognormal(0.0, 0.5, 60)
        new = 0.9 * base * draw.lognormal(0.0, 0.2, 60)
        moved = change(parse_metric("distortion.l2.median"), evidence(found(base)), evidence(found(new)))
        assert moved is not None
        assert moved.ratio.low is not None
        assert moved.ratio.high is not None
        covered += moved.ratio.low <= 0.9 <= moved.ratio.high
    assert 88 <= covered <= 100


def test_without_rows_nothing_is_compared() -> None:
    with pytest.raises(Incomplete, match=r"expected samples\.npz"):
        compare(OLD, Evidence(document=OLD.document, samples=None, path="new"))


def test_a_setting_that_an_old_report_does_not_know_had_its_default() -> None:
    """A new way to search makes no stored baseline incomparable; another value of any setting does."""
    document = evidence(found([1.0, 2.0])).document
    options = {field.name: field.default for field in fields(SearchOptions)}
    whole = replace(document, provenance=replace(document.provenance, options=options))
    # norms are compared as what was searched, below
    for name in set(options) - {"seed", "norm"}:
        less = {key: value for key, value in options.items() if key != name}
        old = replace(document, provenance=replace(document.provenance, options=less))
        assert differences(old, whole).distances, name
        other = options | {name: 7 if name != "method" else "szegedy"}
        new = replace(document, provenance=replace(document.provenance, options=other))
        assert not differences(old, new).distances, name
