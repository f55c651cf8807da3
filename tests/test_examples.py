"""Every example runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robustcheck import assets

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


def test_benchmark(tmp_path: Path) -> None:
    """A shipped model beside a made-up peer, and a regression; the second run only reads."""
    for folder in ("models", "reference", "out"):
        (tmp_path / folder).mkdir()
    shutil.copy(assets.path(assets.MODELS[0]), tmp_path / "models" / "mnist_like.keras")
    with np.load(assets.path(assets.DIGITS)) as stored:
        x, y = stored["x_test"] / 16.0, stored["y_test"]
    np.savez(tmp_path / "mnist.npz", x_test=x, y_test=y, x_train=(255 * x).astype(np.uint8), y_train=y)
    np.savez(
        tmp_path / "reference" / "mnist_like.npz", **{"index": np.arange(12), "peer.far": np.full(12, 9.0)}
    )
    command = [sys.executable, str(EXAMPLES / "benchmark" / "run.py"), "--budgets", "30", "60", "--peers"]
    command += ["--limit", "40", "--only", "mnist_like", "softmax_regression_1"]
    for flag in ("models", "reference", "out"):
        command += [f"--{flag}", str(tmp_path / flag)]
    for flag in ("mnist", "cifar10"):
        command += [f"--{flag}", str(tmp_path / "mnist.npz")]
    tables = []
    for _ in range(2):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert ended.returncode == 0, ended.stderr
        tables.append(ended.stdout)
    assert tables[0] == tables[1]
    for text in ("robustcheck 60", "peer.far, stored", "| exact "):
        assert text in tables[0]
    with np.load(tmp_path / "out" / "mnist_like-12" / "robustcheck 60.npz") as stored:
        assert (stored["l2"] < 9).all()
        assert stored["gradients"] <= 60


def test_scale() -> None:
    """AlexNet, one image and few gradients."""
    command = [
        sys.executable,
        str(EXAMPLES / "scale" / "run.py"),
        "alexnet",
        "--count",
        "1",
        "--budget",
        "40",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "alexnet: 60,965,224 parameters" in ended.stdout
    assert "found 1 of 1" in ended.stdout


@pytest.mark.slow
def test_szegedy2013(tmp_path: Path, mnist: dict[str, np.ndarray]) -> None:
    """Quick mode, on real MNIST; a second run trains and searches anew, and prints the same tables."""
    np.savez(tmp_path / "mnist.npz", **{name: one[:2400] for name, one in mnist.items()})
    command = [sys.executable, str(EXAMPLES / "szegedy2013" / "run.py"), "--quick"]
    command += ["--mnist", str(tmp_path / "mnist.npz"), "--out"]
    printed = []
    for run in ("out", "again"):
        ended = subprocess.run(
            [*command, str(tmp_path / run)], capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == 0, ended.stderr
        printed.append(ended.stdout.rpartition("\n\n")[0])
    assert printed[0] == printed[1]
    for title in ("Table 1", "Table 2", "Table 3", "Table 4, amplified to RMS 0.1", "Table 4, noise rows"):
        assert title in printed[0]
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == 7
