"""Results are cut and joined without loss, and files of other versions are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import result_of
from hypothesis import given
from hypothesis import strategies as st

from robustcheck.errors import ConfigError, ReportRefused
from robustcheck.results import Joined, SampleOutcomes, SearchResult, Status, is_wanted, join

statuses = st.lists(st.sampled_from(list(Status)), min_size=1, max_size=12)


def made(status: list[Status]) -> SearchResult:
    lengths = [float(i + 1) if end == Status.FOUND else np.inf for i, end in enumerate(status)]
    return result_of(status, lengths)


def assert_same(a: SearchResult, b: SearchResult) -> None:
    assert a.norm == b.norm
    for name, values in a.columns().items():
        other = getattr(b, name)
        assert values.dtype == other.dtype, name
        np.testing.assert_array_equal(values, other, err_msg=name)


@given(statuses, st.data())
def test_parts_joined_are_the_whole(status: list[Status], data: st.DataObject) -> None:
    whole = made(status)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    parts = [
        whole.take(np.arange(start, end)) for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
    ]
    assert_same(join(parts), whole)
    given_inputs = Joined(len(whole), whole.input)
    for part in parts:
        given_inputs.add(part)
    assert given_inputs.done == len(whole)
    assert_same(given_inputs.result(), whole)


@given(statuses, st.data())
def test_taking_twice_is_taking_once(status: list[Status], data: st.DataObject) -> None:
    whole = made(status)
    order = np.array(data.draw(st.permutations(range(len(whole)))))
    some = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1)))
    assert_same(whole.take(order).take(some), whole.take(order[some]))
    assert_same(whole.take(order).take(np.argsort(order)), whole)


def test_an_unfinished_result_has_the_rows_that_are_done() -> None:
    whole = made([Status.FOUND] * 5)
    joined = Joined(5, whole.input)
    joined.add(whole.take(np.arange(2)))
    assert_same(joined.result(), whole.take(np.arange(2)))
    with pytest.raises(ValueError, match="at least one result"):
        join([])


@pytest.mark.parametrize("chosen", [1, [[0, 1]], np.zeros((2, 2), bool)])
def test_what_does_not_choose_samples_is_refused(chosen: Any) -> None:
    with pytest.raises(ConfigError, match="expected a mask or positions"):
        made([Status.FOUND] * 2).take(chosen)


def test_rows_and_points_are_flat() -> None:
    result = made([Status.FOUND] * 3)
    assert result.rows.shape == result.points.shape == (3, 2)
    assert np.shares_memory(result.rows, result.input)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(-1, 9))
def test_the_wanted_mistake(decided: int, label: int, target: int) -> None:
    wanted = is_wanted(np.array([decided]), label=np.array([label]), target=np.array([target]))
    assert wanted[0] == (decided == target if target >= 0 else decided != label)


def test_a_file_without_later_columns_is_read(tmp_path: Path) -> None:
    """What a version did not measure yet stands for "the method cannot tell"."""
    result, file = made([Status.FOUND, Status.NOT_FOUND]), tmp_path / "samples.npz"
    result.save(file)
    with np.load(file) as stored:
        columns = {name: stored[name] for name in stored if name not in ("l2_halfway", "starts_agreed")}
        assert set(stored) - set(columns) == {"l2_halfway", "starts_agreed"}
    np.savez(file, **columns)
    old = SampleOutcomes.load(file)
    assert np.isnan(old.halfway).all()
    assert old.starts_agreed.tolist() == [0, 0]
    del columns["label"]
    np.savez(file, **columns)
    with pytest.raises(ReportRefused, match="label"):
        SampleOutcomes.load(file)
