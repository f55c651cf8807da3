"""Settings, policies and reports that are hostile or broken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hostile._case import ON_DATA, SHORT, Case, bomb, npy_header, with_good, write_archive


def policy(text: str) -> Callable[[Path], Any]:
    return with_good(lambda folder: (folder / "policy.toml").write_text(text))


_RULE = '[[rule]]\nmetric = "nonsense"\nmin = 1\n'


def report(folder: Path) -> None:
    """A stored report."""
    shutil.copytree(
        Path(__file__).parents[1] / "stored_report" / "report",
        folder / "report",
        ignore=shutil.ignore_patterns("*.py"),
    )


def with_report(change: Callable[[Path], Any]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        report(folder)
        change(folder / "report")
        (folder / "policy.toml").write_text(
            'schema = 1\n[[rule]]\nmetric = "attack.found"\nmin = 0.1\nmin_samples = 1\n'
        )

    return make


def _padded(path: Path, size: int) -> None:
    text = path.read_text()
    path.write_text(text.rstrip()[:-1] + ', "padding": [' + "0," * (size // 2) + "0]}")


def _instead(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _samples_bomb(folder: Path) -> None:
    with np.load(folder / "samples.npz") as stored:
        columns = {name: stored[name] for name in stored if name != "input"}
    np.savez_compressed(folder / "samples.npz", **columns)
    bomb(folder / "samples.npz", "input.npy", 3 * 2**30, npy_header(f"({3 * 2**30 // 256}, 8, 8)"))


_GATE = ("gate", "report", "--policy", "policy.toml")


def _on_settings(
    name: str,
    make: Callable[[Path], Any],
    *says: str,
    more: tuple[str, ...] = ("--policy", "policy.toml"),
    **fields: Any,
) -> Case:
    return Case(
        name=f"settings: {name}",
        make=with_good(make),
        words=(*ON_DATA, "data.npz", *SHORT, *more),
        says=says,
        code=2,
        **fields,
    )


def _text(name: str, content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content)


def settings() -> Iterator[Case]:
    yield _on_settings(
        "100,000 dotted keys",
        _text("policy.toml", "\n".join(f"a.b{i}.c = 1" for i in range(60_000))),
        "policy.toml",
    )
    yield _on_settings(
        "a key of 100,000 parts", _text("policy.toml", ".".join(["a"] * 100_000) + " = 1"), "policy.toml"
    )
    yield _on_settings(
        "a table of 100,000 parts", _text("policy.toml", "[" + ".".join(["a"] * 100_000) + "]"), "policy.toml"
    )
    yield _on_settings(
        "arrays nested without end", _text("policy.toml", "a = " + "[" * 10_000 + "]" * 10_000), "policy.toml"
    )
    yield _on_settings(
        "1,000 wrong rules", _text("policy.toml", "schema = 1\n" + _RULE * 1_000), "and 980 more"
    )
    yield _on_settings(
        "a key with a line break", _text("policy.toml", 'schema = 1\n"a\\nerror: all is well" = 1\n')
    )
    yield _on_settings(
        "a policy of a device", lambda folder: (folder / "policy.toml").symlink_to("/dev/zero"), "a device"
    )
    yield _on_settings("a policy that is a pipe", lambda folder: os.mkfifo(folder / "policy.toml"), "a pipe")
    for name in ("robustcheck.toml", "pyproject.toml"):
        yield _on_settings(
            f"{name} of a device",
            lambda folder, name=name: (folder / name).symlink_to("/dev/zero"),
            "a device",
            more=(),
        )  # type: ignore[misc]
        yield _on_settings(
            f"{name} of 100 MB",
            lambda folder, name=name: (folder / name).write_bytes(b"a = 1\n" * (10**8 // 6)),
            name,
            more=(),
        )  # type: ignore[misc]
    yield _on_settings(
        "a key with a line break in robustcheck.toml",
        _text("robustcheck.toml", '"a\\nerror: all is well" = 1\n'),
        more=(),
    )
    yield _on_settings(
        "a report folder that is a link to somebody's",
        lambda folder: (
            (folder / "mine").mkdir(),
            (folder / "mine" / "letter.txt").write_text("keep"),
            (folder / "out").symlink_to("mine"),
        ),
        "letter.txt",
        more=("--out", "out"),
    )


def _on_report(
    name: str, change: Callable[[Path], Any], *says: str, words: tuple[str, ...] = _GATE, **fields: Any
) -> Case:
    return Case(name=f"report: {name}", make=with_report(change), words=words, says=says, **fields)


def reports() -> Iterator[Case]:
    yield _on_report("200 MB", lambda folder: _padded(folder / "report.json", 200 * 2**20), "MiB")
    yield _on_report(
        "nested without end",
        lambda folder: (folder / "report.json").write_text('{"a": ' * 50_000 + "1" + "}" * 50_000),
        "report.json",
    )
    yield _on_report(
        "not a number",
        lambda folder: (folder / "report.json").write_text(
            (folder / "report.json").read_text().replace("1", "NaN", 1)
        ),
        "report.json",
    )
    yield _on_report(
        "a pipe",
        lambda folder: ((folder / "report.json").unlink(), os.mkfifo(folder / "report.json")),
        "a pipe",
    )
    yield _on_report("of a device", lambda folder: _instead(folder / "report.json", "/dev/zero"), "a device")
    yield _on_report("samples that unpack to 3 GB", _samples_bomb, "samples.npz")
    yield _on_report(
        "samples of a device", lambda folder: _instead(folder / "samples.npz", "/dev/zero"), "samples.npz"
    )
    yield _on_report(
        "samples of a device, the page",
        lambda folder: _instead(folder / "samples.npz", "/dev/zero"),
        "samples.npz",
        words=("report", "report"),
    )
    yield _on_report(
        "samples that are a link",
        lambda folder: (
            (folder / "samples.npz").rename(folder.parent / "s.npz"),
            (folder / "samples.npz").symlink_to("../s.npz"),
        ),
        "samples.npz",
    )
    yield _on_report(
        "samples that are not there", lambda folder: (folder / "samples.npz").unlink(), "samples.npz"
    )
    yield _on_report(
        "samples that are a pipe",
        lambda folder: ((folder / "samples.npz").unlink(), os.mkfifo(folder / "samples.npz")),
        "samples.npz",
    )
    yield _on_report(
        "samples that claim 1e12 rows",
        lambda folder: write_archive(
            folder / "samples.npz", {"index.npy": npy_header("(1000000000000,)", descr="'<i8'")}
        ),
        "samples.npz",
    )
