"""``robustcheck doctor``: what is installed, what is known not to work together, and a self-test."""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table
from rich.text import Text

from robustcheck.cli._common import EXIT_FAIL, ResultConsole, add_json_flag, log_console, print_json, working
from robustcheck.errors import EXIT_OK, one_line
from robustcheck.text import printable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DISTRIBUTION = "robustcheck-keras"
# the self-test: rows, features and classes of a linear model, and how near to exact its answers must be
_ROWS, _FEATURES, _CLASSES, _NEAR = 16, 20, 4, 1e-3


@dataclass(frozen=True)
class _Line:
    outcome: Literal["PASS", "WARN", "FAIL"]
    what: str
    detail: str


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "doctor",
        help="check the installation",
        description="Say which versions and devices there are, what is known not to work together, and\n"
        "search a linear model whose distances are known exactly. Takes some ten seconds.",
        epilog="exit codes: 0 all is well, perhaps with warnings; 1 something is wrong\n",
    )
    add_json_flag(parser)
    parser.set_defaults(run=run, quiet=False)


def run(arguments: argparse.Namespace) -> int:
    """Check and tell."""
    lines = [_python(), *_requirements(), *_surroundings()]
    try:
        with working(log_console(quiet=arguments.json)):
            lines += [_devices(), _self_test()]
    except Exception as error:  # whatever is broken is what this command is for
        lines.append(_Line("FAIL", "self-test", one_line(error)))
    failed = any(one.outcome == "FAIL" for one in lines)
    if arguments.json:
        print_json("doctor", {"lines": [asdict(one) for one in lines]})
        return EXIT_FAIL if failed else EXIT_OK
    styles = {"PASS": "green", "WARN": "bold yellow", "FAIL": "bold red"}
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in lines:
        table.add_row(Text(one.outcome, styles[one.outcome]), one.what, Text(printable(one.detail)))
    ResultConsole().print(table)
    return EXIT_FAIL if failed else EXIT_OK


def _python() -> _Line:
    return _Line("PASS", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _requirements() -> list[_Line]:
    """Every package that robustcheck needs, with the version it asks for."""
    from packaging.requirements import Requirement

    lines = []
    for text in metadata.requires(_DISTRIBUTION) or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            lines.append(_Line("FAIL", requirement.name, f"not installed, {requirement.specifier} is needed"))
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        needed = "" if fits else f", {requirement.specifier} is needed"
        lines.append(_Line("PASS" if fits else "FAIL", requirement.name, version + needed))
    return lines


def _surroundings() -> list[_Line]:
    """What is known to break things."""
    lines = []
    try:
        version = metadata.version("robustcheck")
    except metadata.PackageNotFoundError:
        pass
    else:
        detail = f"the unrelated distribution 'robustcheck' {version} has the same import name: uninstall it"
        lines.append(_Line("FAIL", "robustcheck", detail))
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        detail = f"is {backend!r}: robustcheck needs Keras on TensorFlow, unset it"
        lines.append(_Line("FAIL", "KERAS_BACKEND", detail))
    if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
        detail = "is set: tf.keras is tf_keras then; .keras files are still read by Keras 3"
        lines.append(_Line("WARN", "TF_USE_LEGACY_KERAS", detail))
    return lines


def _devices() -> _Line:
    import tensorflow as tf

    devices = [one.device_type for one in tf.config.list_physical_devices()]
    return _Line("PASS", "devices", f"{', '.join(devices)}; {os.cpu_count()} CPU cores")


def _self_test() -> _Line:
    """Distances of a linear model against the closed form, the box left wide."""
    import numpy as np
    import tensorflow as tf

    import robustcheck as rc

    draw = np.random.default_rng(0)
    weights = draw.standard_normal((_FEATURES, _CLASSES)).astype(np.float32)
    x = draw.standard_normal((_ROWS, _FEATURES)).astype(np.float32)
    scores = x.astype(float) @ weights
    label = scores.argmax(axis=1)

    def linear(rows: Any) -> Any:
        return tf.matmul(rows, tf.constant(weights))

    begun = time.perf_counter()
    classifier = rc.wrap(linear, box=(-100.0, 100.0), input_shape=(_FEATURES,), name="linear", head="logits")
    found = rc.minimal_distortion(classifier, x, label, options=rc.SearchOptions(budget=60)).l2
    seconds = time.perf_counter() - begun
    normal = np.linalg.norm(weights[:, label].T[:, :, None] - weights[None], axis=1)
    gap = scores.max(axis=1, keepdims=True) - scores
    exact = np.min(np.divide(gap, normal, out=np.full_like(gap, np.inf), where=normal > 0), axis=1)
    worst = float(np.max(found / exact - 1.0))
    detail = f"{_ROWS} exact distances of a linear model met within {worst:.1e}, in {seconds:.1f} s"
    return _Line("PASS" if -1e-6 <= worst <= _NEAR else "FAIL", "self-test", detail)
