"""Data and models that tests share. TensorFlow is imported only by tests that ask for a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from robustcheck import assets
from robustcheck.report import json_schema
from robustcheck.results import AuditReport


@pytest.fixture(autouse=True, scope="session")
def _reports_follow_their_schema() -> Iterator[None]:
    """Every report that a test writes is valid."""
    validator = jsonschema.Draft202012Validator(json_schema())
    write = AuditReport.to_json

    def checked(report: AuditReport) -> str:
        text = write(report)
        validator.validate(json.loads(text, parse_constant=pytest.fail))
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuditReport, "to_json", checked)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_preflight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests make their model files themselves; those of what a file may do try it in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTCHECK_PREFLIGHT", "never")
        # of processes that tests start: what was tried is kept here, and not in the user's own place
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def modules_stay(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pytest runs within a test keep the modules that they import, but for the project's own.

    At their end pytester throws out what came during them, and TensorFlow does not bear being imported twice.
    """
    from _pytest import pytester

    base = tmp_path_factory.getbasetemp().resolve()

    def stays(name: str) -> bool:
        # by its dictionary: an attribute of a lazy module is what imports it
        file = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
        return file is None or not Path(file).resolve().is_relative_to(base)

    class Keeping(pytester.SysModulesSnapshot):
        def __init__(self, preserve: Any = None) -> None:  # noqa: ARG002
            super().__init__(stays)

    monkeypatch.setattr(pytester, "SysModulesSnapshot", Keeping)


SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """60 test digits, values 0 to 16, and their labels."""
    with np.load(assets.path(assets.DIGITS)) as stored:
        return stored["x_test"][:60], stored["y_test"][:60]


@pytest.fixture(scope="session")
def pixels(digits: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The same digits in the box [0, 1], float32."""
    return (digits[0] / 16.0).astype(np.float32)


@pytest.fixture(scope="session")
def digit_models() -> list[Any]:
    """The three shipped models: dense softmax, dense softmax, convolutional logits."""
    import keras

    return [keras.models.load_model(assets.path(name), compile=False) for name in assets.MODELS]


@pytest.fixture(scope="session")
def dense(digit_models: list[Any]) -> Any:
    """The first shipped model as a classifier."""
    import robustcheck as rc

    return rc.wrap(digit_models[0])


@pytest.fixture(scope="session")
def dense_result(dense: Any, pixels: np.ndarray, digits: tuple[np.ndarray, np.ndarray]) -> Any:
    """What the default search finds for it."""
    import robustcheck as rc

    return rc.minimal_distortion(dense, pixels, digits[1])


@pytest.fixture(scope="session")
def mnist() -> dict[str, np.ndarray]:
    path = SHARED / "data" / "mnist.npz"
    if not path.exists():
        pytest.skip("MNIST is not beside the checkout")
    with np.load(path) as stored:
        return dict(stored)


@pytest.fixture(scope="session")
def shared_models() -> Path:
    path = SHARED / "models"
    if not path.exists():
        pytest.skip("the benchmark models are not beside the checkout")
    return path
