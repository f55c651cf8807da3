"""Every example runs."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from robustcheck import assets
from robustcheck.cli import build_parser, main

EXAMPLES = Path(__file__).parents[1] / "examples"


def script(path: Path, *words: str, cwd: Path | None = None) -> str:
    """What a script prints. In this process, as ``python path words`` would run it, to share TensorFlow."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in a process of its own, where they are not errors
        patch.setattr(sys, "argv", [str(path), *words])
        patch.syspath_prepend(str(path.parent))
        if cwd is not None:
            patch.chdir(cwd)
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(path), run_name="__main__")
    return printed.getvalue()


def scripts(file: str) -> list[list[str]]:
    """The commands of each job of a pipeline, without the installation."""
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / "ci" / file).read_text())
    if file.startswith("github"):
        jobs = [[step["run"] for step in job["steps"] if "run" in step] for job in content["jobs"].values()]
    else:
        jobs = [job["before_script"] + job["script"] for job in content.values() if "script" in job]
    installs = [line for job in jobs for line in job if line.startswith("pip")]
    assert installs == ['pip install "$ROBUSTCHECK"'] * len(jobs)
    return [[line for line in job if line not in installs] for job in jobs]


def pipeline(file: str, folder: Path) -> list[int]:
    """Exit codes of all commands of a pipeline, run as its runner would, but on after a failure.

    Plain commands of ours run in this process.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": path, "CI": "true", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}

    def run(line: str) -> int:
        words = shlex.split(line)
        if words[0] == "robustcheck" and not set("|>$&;") & set(line):
            return main(words[1:])
        ended = subprocess.run(["bash", "-e", "-c", line], capture_output=True, timeout=120, check=False)
        return ended.returncode

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in variables.items():
            patch.setenv(name, value)
        return [run(line) for job in scripts(file) for line in job]


@pytest.mark.parametrize("file", ["github-actions.yml", "gitlab-ci.yml"])
def test_ci(tmp_path: Path, file: str, pixels: np.ndarray, digits: Any) -> None:
    """The pipelines let the model in use through, and stop one that the rules do not."""
    for name in ("policy.toml", "robustcheck.toml"):
        shutil.copy(EXAMPLES / "ci" / name, tmp_path)
    shutil.copy(assets.path(assets.MODELS[0]), tmp_path / "model.keras")
    np.savez(tmp_path / "holdout.npz", x=pixels, y=digits[1])
    (audit,) = [
        line
        for line in (EXAMPLES / "ci" / "README.md").read_text().splitlines()
        if line.startswith("robustcheck audit model.keras")
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(audit.split()[1:]) == 0
    assert set(pipeline(file, tmp_path)) == {0}
    assert not file.startswith("github") or "PASS" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "report" / "junit.xml").is_file()
    shutil.rmtree(tmp_path / "report")
    keep = (tmp_path / "policy.toml").read_text()
    (tmp_path / "policy.toml").write_text(keep.replace("min = 0.3", "min = 3.0"))
    codes = pipeline(file, tmp_path)
    lines = [line for job in scripts(file) for line in job]
    assert [code for code, line in zip(codes, lines, strict=True) if "--baseline" in line] == [1, 1]
    assert sum(codes) == 2


def test_ci_matrix(tmp_path: Path, pixels: np.ndarray, digits: Any) -> None:
    """Each job of the matrix does its part; the last merges them, judges, and stops a model that is worse."""
    for name in ("policy.toml", "robustcheck.toml"):
        shutil.copy(EXAMPLES / "ci" / name, tmp_path)
    shutil.copy(assets.path(assets.MODELS[0]), tmp_path / "model.keras")
    np.savez(tmp_path / "holdout.npz", x=pixels, y=digits[1])
    (search,), (report,) = scripts("github-matrix.yml")
    content = yaml.safe_load((EXAMPLES / "ci" / "github-matrix.yml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(["audit", "model.keras", "--out", "baseline", "--batch-size", "8", "--quiet"]) == 0
        for part in content["jobs"]["search"]["strategy"]["matrix"]["part"]:
            line = search.replace("${{ matrix.part }}", str(part))
            assert main([*shlex.split(line)[1:], "--batch-size", "8"]) == 0
        assert main(shlex.split(report)[1:]) == 0
        policy = Path("policy.toml").read_text()
        Path("policy.toml").write_text(policy.replace("min = 0.3", "min = 3.0"))
        assert main([*shlex.split(report)[1:], "--force"]) == 1


def test_ray_cluster() -> None:
    """It cannot be run here; its commands are ours."""
    cluster = yaml.safe_load((EXAMPLES / "ray" / "cluster.yaml").read_text())
    assert cluster["min_workers"] == cluster["max_workers"] == len(cluster["provider"]["worker_ips"])
    text = (EXAMPLES / "ray" / "cluster.yaml").read_text() + (EXAMPLES / "ray" / "README.md").read_text()
    for line in re.findall(r"robustcheck audit [^'\n]*", text):
        arguments = build_parser().parse_args(shlex.split(line)[1:])
        assert arguments.executor == "ray"


def test_train_demo_models(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    printed = script(EXAMPLES / "train_demo_models.py", "--out", str(tmp_path), "--epochs", "1")
    assert printed.count("test accuracy") == 3
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
    words = [
        "--budgets",
        "30",
        "60",
        "--peers",
        "--limit",
        "40",
        "--only",
        "mnist_like",
        "softmax_regression_1",
        "exact_wide",
    ]
    for flag in ("models", "reference", "out"):
        words += [f"--{flag}", str(tmp_path / flag)]
    for flag in ("mnist", "cifar10"):
        words += [f"--{flag}", str(tmp_path / "mnist.npz")]
    tables = [script(EXAMPLES / "benchmark" / "run.py", *words) for _ in range(2)]
    assert tables[0] == tables[1]
    for text in ("robustcheck 60", "peer.far, stored", "| exact "):
        assert text in tables[0]
    with np.load(tmp_path / "out" / "mnist_like-12" / "robustcheck 60.npz") as stored:
        assert (stored["distance"] < 9).all()
        assert stored["gradients"] <= 60
    # in the other norms the exact distances of the regression and of a net of ReLUs are met too
    (tmp_path / "reference" / "norms").mkdir()
    for norm in ("linf", "l1"):
        printed = script(EXAMPLES / "benchmark" / "run.py", *words, "--norm", norm)
        rows = [line for line in printed.splitlines() if line.startswith("| robustcheck 60")]
        # the net is not linear, and 60 gradients are few
        for row, most in zip(rows, (1.001, 1.02), strict=True):
            assert 1 - 1e-6 <= float(row.split("|")[-3]) <= most, row


def test_scale() -> None:
    """AlexNet, one image and few gradients."""
    printed = script(EXAMPLES / "scale" / "run.py", "alexnet", "--count", "1", "--budget", "40")
    assert "alexnet: 60,965,224 parameters" in printed
    assert "found 1 of 1" in printed


def test_deployed() -> None:
    """Every form of one model, on few digits."""
    words = ["--model", str(assets.path("digits_dense_64.keras")), "--range", "0", "16", "--samples", "40"]
    data = ["--data", str(assets.path(assets.DIGITS)), "--budget", "60"]
    printed = script(EXAMPLES / "deployed" / "run.py", *words, *data)
    rows = {row[1].strip(): row for line in printed.splitlines() if len(row := line.split("|")) == 9}
    forms = ["float32", "float16", "dynamic", "int8"]
    assert list(rows)[2:] == [f"litert-{form}" for form in forms] + ["onnx", "float16", "bfloat16", "int8"]
    for form in ("litert-float32", "onnx"):
        assert rows[form][2].startswith(" 100.0 (")
        assert rows[form][6].startswith(" 1.000 (")


@pytest.mark.slow
def test_szegedy2013(tmp_path: Path, mnist: dict[str, np.ndarray]) -> None:
    """Quick mode, on real MNIST; a second run trains and searches nothing, and prints the same tables."""
    np.savez(tmp_path / "mnist.npz", **{name: value[:1200] for name, value in mnist.items()})
    words = [
        "--images",
        "24",
        "--quick",
        "--mnist",
        str(tmp_path / "mnist.npz"),
        "--out",
        str(tmp_path / "out"),
    ]
    printed = [script(EXAMPLES / "szegedy2013" / "run.py", *words).rpartition("\n\n")[0] for _ in range(2)]
    assert printed[0] == printed[1]
    for title in ("Table 1", "Table 2", "Table 3", "Table 4, amplified to RMS 0.1", "Table 4, noise rows"):
        assert title in printed[0]
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == 7


@pytest.mark.slow
def test_pytest_project(
    modules_stay: None,  # noqa: ARG001 - before pytester, which it changes
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The project passes as it is and retrained, and not when its model was made worse."""
    for name in ("PYTEST_ADDOPTS", "CI"):
        monkeypatch.delenv(name, raising=False)
    folder = pytester.path
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(EXAMPLES / "pytest_project", folder, ignore=ignored, dirs_exist_ok=True)
    as_stored = pytester.runpytest_inprocess("-p", "no:randomly")
    assert as_stored.ret == 0, as_stored.stdout
    assert "distances 1 (1 to 1) of the baseline" in as_stored.stdout.str()
    for words, code in ((["--seed", "1"], 0), (["--epochs", "300"], 1)):
        script(folder / "train.py", *words, cwd=folder)
        result = pytester.runpytest_inprocess("-p", "no:randomly", "-k", "regression")
        assert result.ret == code, result.stdout
        assert ("worse than the baseline" in result.stdout.str()) == bool(code)
    said = script(folder / "measure_tolerance.py", "--seeds", "3", "--epochs", "5", cwd=folder)
    assert said.splitlines()[-1].startswith("check_baseline(rel=0.")


@pytest.mark.slow
def test_hardening(tmp_path: Path, mnist: dict[str, np.ndarray]) -> None:
    """Quick mode, on real MNIST; a second run trains nothing and prints the same."""
    np.savez(tmp_path / "mnist.npz", **{name: value[:600] for name, value in mnist.items()})
    words = [
        "--audit",
        "8",
        "--quick",
        "--mnist",
        str(tmp_path / "mnist.npz"),
        "--out",
        str(tmp_path / "out"),
    ]
    printed = [script(EXAMPLES / "hardening" / "run.py", *words) for _ in range(2)]
    printed = [line[line.index("| method") :] for line in printed]
    assert printed[0] == printed[1]
    for name in ("decay", "input pool", "pools at all layers", "noise pools"):
        assert printed[0].count(f"| {name} |") == 2
