"""TensorFlow in a worker: its share of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from robustcheck import startup


class Config:
    """What a worker sets, on a machine with so many GPUs."""

    def __init__(self, gpus: int) -> None:
        self.gpus = [f"gpu {number}" for number in range(gpus)]
        self.set: list[Any] = []
        self.experimental = SimpleNamespace(set_memory_growth=lambda *what: self.set.append(what))
        self.threading = SimpleNamespace(
            set_intra_op_parallelism_threads=self.set.append, set_inter_op_parallelism_threads=self.set.append
        )

    def list_physical_devices(self, kind: str) -> list[str]:
        assert kind == "GPU"
        return self.gpus

    def set_visible_devices(self, *what: Any) -> None:
        self.set.append(what)


@pytest.mark.parametrize(("number", "gpu"), [(0, "gpu 0"), (1, "gpu 1"), (2, "gpu 0")])
def test_workers_have_a_gpu_each(number: int, gpu: str) -> None:
    """As long as there are any; its memory is taken as it is needed."""
    config = Config(gpus=2)
    startup._share(SimpleNamespace(config=config), number, 3)
    assert config.set == [(gpu, "GPU"), (gpu, True)]


@pytest.mark.parametrize(("cores", "count", "threads"), [(8, 2, 4), (8, 3, 2), (2, 5, 1)])
def test_workers_share_the_cores(
    cores: int, count: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "_cores", lambda: cores)
    config = Config(gpus=0)
    startup._share(SimpleNamespace(config=config), 0, count)
    assert config.set == [threads, threads]


def test_a_worker_is_quiet_and_has_its_share() -> None:
    code = (
        "from robustcheck.startup import start_worker\nstart_worker(0, 2)\nimport tensorflow as tf\n"
        "import sys; print(tf.config.threading.get_intra_op_parallelism_threads(), file=sys.__stdout__)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        assert ended.stdout == f"{max(1, cores // 2)}\n"
    assert ended.stderr == ""


def test_a_gpu_gives_what_the_cpu_gives() -> None:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("there is no GPU on this machine")
    import numpy as np

    import robustcheck as rc
    from robustcheck import assets

    with np.load(assets.path(assets.DIGITS)) as stored:
        x, y = (stored["x_test"][:20] / 16).astype(np.float32), stored["y_test"][:20]
    here, there = (
        rc.audit(str(assets.path(assets.MODELS[0])), x, y, jobs=jobs, batch_size=10) for jobs in (None, 2)
    )
    np.testing.assert_allclose(there.samples.l2, here.samples.l2, rtol=0.01)
