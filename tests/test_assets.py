"""The files that come with the package."""

from __future__ import annotations

import numpy as np

from robustcheck import assets


def test_digits() -> None:
    with np.load(assets.path(assets.DIGITS)) as stored:
        parts = {name: stored[name] for name in stored.files}
    assert len(parts["x_train"]) + len(parts["x_test"]) == 1797
    assert (parts["x_test"].min(), parts["x_test"].max()) == assets.DIGITS_RANGE
    assert sorted(set(parts["y_test"].tolist())) == list(range(10))
    assert "CC BY 4.0" in assets.path("ATTRIBUTION.md").read_text("utf-8")


def test_digits_are_those_of_the_source() -> None:
    from sklearn.datasets import load_digits

    with np.load(assets.path(assets.DIGITS)) as stored:
        images = np.concatenate([stored["x_train"], stored["x_test"]]).reshape(1797, 64)
    source = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, images)) == sorted(map(bytes, source))


def test_models_are_small() -> None:
    assert all(assets.path(name).stat().st_size < 100 * 1024 for name in assets.MODELS)
