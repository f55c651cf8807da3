"""The same work has the same key, other work another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from robustcheck.config import AuditConfig, DeployedOptions, ModelOptions, SearchOptions
from robustcheck.identity import audit_key


@pytest.fixture
def config(tmp_path: Path, pixels: np.ndarray, digits: Any) -> AuditConfig:
    np.savez(tmp_path / "digits.npz", x=pixels, y=digits[1])
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    return AuditConfig(model=model, data=tmp_path / "digits.npz", limit=20)


def test_what_happens_to_the_report_is_no_part_of_the_work(config: AuditConfig) -> None:
    again = replace(
        config,
        out=Path("elsewhere"),
        force=True,
        policy="p.toml",
        baseline="b",
        report_assets=True,
        command="x",
    )
    assert audit_key(again) == audit_key(config) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 19}, {"box": (0.0, 2.0)}, {"options": SearchOptions(seed=1)}, {"noise_draws": 3},
        {"model_options": ModelOptions(head="logits")}, {"references": ("other",)}, {"target": 3},
        {"freeze": np.eye(8, dtype=bool)}, {"sample": "first"}, {"labels": "model"}, {"batch_size": 7},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_setting_of_the_figures_is(config: AuditConfig, change: dict[str, Any]) -> None:
    assert audit_key(replace(config, **change)) != audit_key(config)


@pytest.mark.parametrize("spec", ["{}", "phone={}"])
def test_the_file_behind_a_name_decides(config: AuditConfig, tmp_path: Path, spec: str) -> None:
    """Of references and of deployed forms, whatever they are called."""
    file = tmp_path / "form.tflite"
    named = spec.format(file)
    keys = []
    for content in (b"first", b"second"):
        file.write_bytes(content)
        keys.append(audit_key(replace(config, references=(named,))))
        keys.append(audit_key(replace(config, deployed=DeployedOptions(forms=(named,)))))
    assert None not in keys
    assert len(set(keys)) == 4


def test_content_decides_not_names(config: AuditConfig, tmp_path: Path) -> None:
    before = audit_key(config)
    weights = config.model.get_weights()
    config.model.set_weights([weights[0] + 1, weights[1]])
    assert audit_key(config) != before
    config.model.set_weights(weights)
    assert audit_key(config) == before
    with np.load(tmp_path / "digits.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "digits.npz", x=arrays["x"] * 0.5, y=arrays["y"])
    assert audit_key(config) != before
    assert audit_key(replace(config, model=lambda x: x)) is None
