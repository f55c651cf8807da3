"""Real models that others trained, where they lie beside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import robustcheck as rc
from robustcheck.cli import main
from robustcheck.results import SearchResult


@pytest.mark.slow
def test_audit_of_lenet5(mnist: dict[str, np.ndarray], shared_models: Path, tmp_path: Path) -> None:
    subject, reference = (
        shared_models / f"{name}.keras" for name in ("mnist_advertorch_lenet5_std", "mnist_vnncomp_fc_256x2")
    )
    data, out = shared_models.parent / "data" / "mnist.npz", tmp_path / "out"
    arguments = [
        "audit",
        str(subject),
        "--data",
        str(data),
        "--limit",
        "60",
        "--budget",
        "100",
        "--reference",
        str(reference),
    ]
    assert main([*arguments, "--out", str(out), "--quiet"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["counts"]["found"] == report["counts"]["correct"] >= 58
    assert [row["error"][i] for i, row in enumerate(report["transfer"]["rows"])] == [1.0, 1.0]

    samples = SearchResult.load(out / "samples.npz")
    found = samples.found
    examples = samples.adversarial[found]
    assert ((examples >= 0) & (examples <= 1)).all()
    model = keras.models.load_model(subject)
    assert (model.predict(examples, verbose=0).argmax(axis=1) != samples.label[found]).all()
    np.testing.assert_array_equal(samples.label, mnist["y_test"][samples.index])
    r = (examples.astype(np.float64) - samples.input[found]).reshape(found.sum(), -1)
    np.testing.assert_allclose(samples.l2[found], np.linalg.norm(r, axis=1), atol=1e-6)


def test_gradients_of_an_odd_number_of_rows(shared_models: Path) -> None:
    """A tape over a finished graph makes TensorFlow's CPU kernels write where they must not: a crash."""
    code = (
        "import numpy as np, keras, robustcheck as rc\n"
        f"model = keras.saving.load_model({str(shared_models / 'cifar10_vnncomp_resnet_2b.keras')!r})\n"
        "x = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)\n"
        "for _ in range(3): rc.audit(model, x, options=rc.SearchOptions(budget=20))\n"
        "rc.wrap(model)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "radius", "proved"),
    [("mnist_sdpcrown_convsmall", 0.3, 0.815), ("cifar10_sdpcrown_cnn_a", 24 / 255, 0.49)],
)
def test_never_under_what_is_proved(
    shared_models: Path, mnist: dict[str, np.ndarray], name: str, radius: float, proved: float
) -> None:
    """Robust accuracy at an L2 radius that others proved is a lower bound of what an attack may leave."""
    import robustcheck as rc

    data = shared_models.parent / "data"
    if name.startswith("mnist"):
        with np.load(data / "mnist_sdp200_test_indices.npz") as stored:
            x, y = mnist["x_test"][stored["index"]], mnist["y_test"][stored["index"]]
    else:
        with np.load(data / "cifar10_exact_test_images.npz") as stored:
            x, y = stored["sdp200_x"], stored["sdp200_y"]
    model = keras.models.load_model(shared_models / f"{name}.keras", compile=False)
    result = rc.minimal_distortion(rc.wrap(model), x, y, options=rc.SearchOptions(budget=100))
    robust = np.mean(result.correct & (result.l2 > radius))
    print(f"\n{name}: robust accuracy {robust:.3f} at {radius:.3f}, proved {proved}")
    assert robust >= proved


# VNN-COMP 2021, mnistfc 256x2 in Linf: position in MNIST's test set, and the radii of 0.03 and 0.05 for which
# an example exists; for the others it is proved that none does (verdicts of alpha-beta-CROWN; oval agrees)
VERDICTS = {
    8661: {0.05}, 2315: {0.05}, 5737: set(), 1206: {0.05}, 905: set(), 6565: {0.05}, 8411: set(),
    7384: {0.03, 0.05}, 6258: {0.05}, 9326: {0.05}, 7261: set(), 9236: set(), 7827: {0.05}, 1869: {0.05},
    7790: {0.03, 0.05},
}  # fmt: skip


def test_verdicts_of_vnn_comp(shared_models: Path, mnist: dict[str, np.ndarray]) -> None:
    at = np.array(list(VERDICTS))
    x, y = (mnist["x_test"][at, ..., None] / 255).astype(np.float32), mnist["y_test"][at].astype(int)
    model = keras.models.load_model(shared_models / "mnist_vnncomp_fc_256x2.keras", compile=False)
    found = rc.minimal_distortion(rc.wrap(model), x, y, options=rc.SearchOptions(norm="linf"))
    assert found.correct.all()
    for radius in (0.03, 0.05):
        within = {int(image) for image, length in zip(at, found.linf, strict=True) if length <= radius}
        assert within == {image for image, broken in VERDICTS.items() if radius in broken}
