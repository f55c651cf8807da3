"""A model file that is audited twice in a process is wrapped and traced once."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import robustcheck as rc
from robustcheck import intake, recipe
from robustcheck.config import FileOptions, ModelOptions
from robustcheck.numerics import Traced
from robustcheck.recipe import Recipe


@pytest.fixture(autouse=True)
def nothing_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_wrapped", {})


def write(file: Path, seed: int) -> Path:
    keras.utils.set_random_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Keras about NumPy
        keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)]).save(file)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "model.keras", 0)


def recipe_of(file: Path, **more: Any) -> Recipe:
    loaded = intake.load_model(str(file), "model", (), FileOptions(preflight="never"))
    given = {"box": (0.0, 1.0), "options": ModelOptions(), "name": "model"} | more
    return Recipe(source=str(file), model=loaded.model, sha256=loaded.sha256, **given)


def test_a_file_is_wrapped_once_for_each_way_to_wrap_it(file: Path) -> None:
    first = recipe_of(file).shared()
    again = recipe_of(file, name="other").shared()
    assert (again.logits, again.traces, again.name) == (first.logits, first.traces, "other")
    for other in ({"box": (0.0, 2.0)}, {"freeze": np.arange(6) < 2}, {"cost": np.arange(1.0, 7.0)}):
        assert recipe_of(file, **other).shared().logits is not first.logits


def test_a_model_that_changed_since_is_no_longer_that_of_its_file(file: Path) -> None:
    first = recipe_of(file).shared()
    first.model.set_weights([2 * part for part in first.model.get_weights()])
    assert recipe_of(file).shared().logits is not first.logits
    assert recipe_of(file).shared().logits is not first.logits, "nor from then on"


def test_files_with_another_content_under_the_same_name(file: Path) -> None:
    first = recipe_of(file).shared()
    write(file, 1)
    assert recipe_of(file).shared().logits is not first.logits


def test_live_models_and_what_may_keep_a_state_are_wrapped_each_time(file: Path) -> None:
    made = recipe_of(file)
    for other in (
        replace(made, sha256=None),
        replace(made, imports=("json",)),
        replace(made, files=FileOptions(trust_model=True)),
    ):
        assert other.shared().logits is not other.shared().logits


def test_only_so_many_are_kept(file: Path) -> None:
    for size in range(1, 12):
        recipe_of(file, box=(0.0, float(size))).shared()
    assert len(recipe._wrapped) == recipe._MOST_WRAPPED


def test_a_second_audit_traces_nothing(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((12, 6), np.float32)
    traced: list[Any] = []
    trace = Traced.__init__

    def counted(graph: Traced, *given: Any, **settings: Any) -> None:
        traced.append(graph)
        trace(graph, *given, **settings)

    monkeypatch.setattr(Traced, "__init__", counted)
    figures = []
    for number in range(2):
        report = rc.audit(str(file), x, None, options=rc.SearchOptions(budget=40), out=tmp_path / str(number))
        figures.append((len(traced), report.measures["distortion.l2.mean_found"].value))
    assert figures[0] == figures[1]
    assert figures[0][0] > 3
