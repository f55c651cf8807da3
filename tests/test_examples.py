"""Every example runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_train_demo_models(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    command = [
        sys.executable,
        str(EXAMPLES / "train_demo_models.py"),
        "--out",
        str(tmp_path),
        "--epochs",
        "1",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("test accuracy") == 3
    assert {path.name for path in tmp_path.iterdir()} == {
        "digits.npz", "digits_conv.keras", "digits_dense_64.keras", "digits_dense_96.keras"
    }  # fmt: skip
    assert all(path.stat().st_size < 100 * 1024 for path in tmp_path.iterdir())
