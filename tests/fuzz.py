"""Real files that were damaged at random, given to whatever reads files from outside.

``python tests/fuzz.py FOLDER COUNT [SEED]`` runs so many cases in all; ``test_fuzz.py`` runs some. What is
damaged is the bytes of a file or, of an archive, those of a member, so that its sums still fit.

``python tests/fuzz.py FOLDER COUNT --guided NUMBER`` has atheris, where it is installed, choose what is
damaged in the file of one reader, by the lines of robustcheck that are reached.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import shutil
import sys
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from robustcheck import assets, intake
from robustcheck.cli._settings import read_settings
from robustcheck.config import FileOptions
from robustcheck.errors import RobustcheckError
from robustcheck.intake._copy import private_copy
from robustcheck.intake._image_file import read_image
from robustcheck.intake._look import look
from robustcheck.policy import read_policy
from robustcheck.report import read_evidence, read_report
from robustcheck.shards import PLAN, ShardStore
from robustcheck.shards._store import read_plan

STORED = Path(__file__).parent / "stored_report" / "report"
_WANTED = intake.Wanted(shapes=((8, 8),), classes=10, need_labels=False)
_READING = tuple(
    f"robustcheck.{name}" for name in ("stored", "intake", "report", "results", "policy", "shards")
)
# what a mutation puts in: ends of ranges, marks of formats
_WORDS = [
    b"", b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b"'", b'"',
    b"\\", b"\n", b"[[", b"]]", b"../", b"PK\x03\x04", b"PK\x01\x02", b"\x93NUMPY", b"\x89HDF",
    b"18446744073709551616",
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What reads a file: the file as it should be, its name, and who reads it."""

    name: str
    content: bytes
    read: Callable[[Path], object]


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _look(path: Path) -> object:
    with private_copy(path) as file:
        return look(file, most_parameters=10**7)


def _of_report(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """Read a report folder in which one file was damaged."""

    def beside(path: Path) -> object:
        content = path.read_bytes()
        if len(list(path.parent.iterdir())) == 1:
            shutil.copytree(STORED, path.parent, dirs_exist_ok=True)
            path.write_bytes(content)
        return read(path.parent)

    return beside


def _in_folder(read: Callable[[], object]) -> Callable[[Path], object]:
    def there(path: Path) -> object:
        with contextlib.chdir(path.parent):
            return read()

    return there


def targets() -> Iterator[Target]:
    """All readers of files from outside."""
    draw = np.random.default_rng(0)
    x, y = draw.random((6, 8, 8), np.float32), np.arange(6)
    policy = (
        b'schema = 1\n[[rule]]\nmetric = "distortion.l2.median"\nmin = 1.0\nmax_drop = { relative = 0.05 }\n'
    )
    settings = b'model = "m.keras"\nlimit = 5\nbox = [0.0, 1.0]\n[harden]\nepochs = 2\n'
    yield Target("model.keras", assets.path(assets.MODELS[0]).read_bytes(), _look)
    yield Target("policy.toml", policy, read_policy)
    yield Target("robustcheck.toml", settings, _in_folder(lambda: read_settings({})))
    for read in (read_evidence, read_report):
        yield Target("report.json", (STORED / "report.json").read_bytes(), _of_report(read))
        yield Target("samples.npz", (STORED / "samples.npz").read_bytes(), _of_report(read))
    yield Target("box.npz", (STORED / "box.npz").read_bytes(), _of_report(read_report))
    data = _saved(lambda to: np.savez(to, x=x, y=y))
    yield Target("data.npz", data, lambda path: intake.load_data(path, _WANTED))
    yield Target(
        "x.npy", _saved(lambda to: np.save(to, x)), lambda path: intake.load_data(f"{path}", _WANTED)
    )
    sides = _saved(lambda to: np.savez_compressed(to, lower=np.zeros(1), upper=np.ones(1)))
    yield Target("sides.npz", sides, intake.read_box)
    yield Target("names.txt", b"\n".join(b"class %d" % i for i in range(10)), intake.read_class_names)
    for suffix in ("PNG", "JPEG", "BMP", "WEBP"):
        image = _saved(lambda to, kind=suffix: Image.fromarray((255 * x[0]).astype(np.uint8)).save(to, kind))  # type: ignore[misc]
        yield Target(f"image.{suffix.lower()}", image, lambda path: read_image(path, (8, 8)))
    yield Target(
        "plan.json", PLAN_OF_AN_AUDIT, lambda path: ShardStore(path.parent) and read_plan(path.parent)
    )
    source = lambda path: intake.ModelSource(spec=path.read_text("latin-1"), name=None, files=FileOptions())  # noqa: E731
    yield Target("spec.txt", b"package.module:function", lambda path: intake.look_at_model(source(path)))


PLAN_OF_AN_AUDIT = (
    b'{"schema": "robustcheck.plan/1", "models": [], "contents": [], "norms": ["l2"], "shards": []}'
)
assert PLAN == "plan.json"


def damaged(content: bytes, draw: np.random.Generator) -> bytes:
    """A file with some bytes changed, cut, doubled or put in; of an archive perhaps within a member."""
    if content[:2] == b"PK" and draw.random() < 0.6:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        chosen = list(members)[draw.integers(len(members))]
        members[chosen] = _changed(members[chosen], draw)
        method = zipfile.ZIP_STORED if draw.random() < 0.5 else zipfile.ZIP_DEFLATED
        return _saved(lambda to: _archive(to, members, method))
    return _changed(content, draw)


def _archive(to: io.BytesIO, members: dict[str, bytes], method: int) -> None:
    with zipfile.ZipFile(to, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _changed(content: bytes, draw: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.integers(1, 6)):
        at = int(draw.integers(len(changed) + 1))
        length = int(draw.integers(1, 9))
        kind = draw.integers(5)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << int(draw.integers(8))
        elif kind == 1:
            changed[at : at + length] = draw.bytes(length)
        elif kind == 2:
            changed[at : at + length] = _WORDS[draw.integers(len(_WORDS))]
        elif kind == 3:
            changed[at:at] = changed[at : at + 64] * int(draw.integers(1, 9))
        elif draw.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def run(target: Target, folder: Path, draw: np.random.Generator, count: int) -> Counter[str]:
    """Read so many damaged files: how often what came of it.

    Raises:
        AssertionError: something else than a refusal, with the file left where it is named.
    """
    came: Counter[str] = Counter()
    for _ in range(count):
        path = folder / target.name
        path.write_bytes(damaged(target.content, draw))
        try:
            target.read(path)
            came["taken"] += 1
        except RobustcheckError:
            came["refused"] += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise AssertionError(f"{path}: {type(error).__name__}: {error}") from error
    return came


def guided(target: Target, folder: Path, count: int) -> None:
    """Files that reach new lines, changed further; does not return. A find is told and its file kept."""
    import atheris

    known, corpus = folder / target.name, folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "whole").write_bytes(target.content)

    def one(content: bytes) -> None:
        known.write_bytes(content)
        with contextlib.suppress(RobustcheckError):
            target.read(known)

    for name, module in list(sys.modules.items()):
        if name.startswith(
            ("robustcheck.stored", "robustcheck.intake", "robustcheck.report", "robustcheck.results")
        ):
            for function in vars(module).values():
                if inspect.isfunction(function) and function.__module__ == name:
                    atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], f"-runs={count}", "-max_len=100000", str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    """Cases in all readers, one after the other; a find is told, its file kept, and the next reader begun."""
    warnings.simplefilter("error")
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    if "--guided" in sys.argv:
        guided(list(targets())[int(sys.argv[-1])], folder, count)
    draw = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else None)
    chosen, finds = list(targets()), 0
    for number, target in enumerate(chosen):
        place = folder / f"{number:02d}"
        place.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        try:
            came = run(target, place, draw, -(-count // len(chosen)))
        except AssertionError:
            finds += 1
            traceback.print_exc()
            continue
        took = time.monotonic() - began
        sys.stdout.write(f"{target.name}: {dict(came)} in {took:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(f"{finds} finds\n")
    return os.EX_OK if not finds else 1


if __name__ == "__main__":
    sys.exit(main())
