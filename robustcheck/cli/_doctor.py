"""``robustcheck doctor``: is the installation sound; and what is seen of a model and its data."""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table
from rich.text import Text

from robustcheck.cli._common import EXIT_FAIL, ResultConsole, log_console, print_json, working
from robustcheck.cli._flags import add_data_flag, add_flags, add_json_flag, groups_of_audit
from robustcheck.cli._settings import read_settings
from robustcheck.errors import EXIT_OK, ConfigError, one_line
from robustcheck.text import printable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DISTRIBUTION = "robustcheck-keras"
# what a user may want besides, and what for
_EXTRAS = {"litert": ".tflite files", "onnx": ".onnx files", "ray": "--executor ray"}
# the self-test: rows, features and classes of a linear model, and how near to exact its answers must be
_ROWS, _FEATURES, _CLASSES, _NEAR = 16, 20, 4, 1e-3


_STYLES = {"PASS": "green", "WARN": "bold yellow", "FAIL": "bold red", "SKIP": "dim"}
_DESCRIPTION = """\
Without MODEL: say which versions and devices there are, what is known not to
work together, and search a linear model whose distances are known exactly.

With MODEL: say what an audit would see of it and of its data, a line for each
thing that can be odd, with what to do if it is wrong. Run this first on a model
that behaves oddly.
"""
_EPILOG = """\
examples:
  robustcheck doctor
  robustcheck doctor model.keras --data digits.npz
  robustcheck doctor model.keras --head binary_logit

exit codes: 0 all is well, perhaps with warnings; 1 something is wrong
"""


@dataclass(frozen=True)
class _Line:
    outcome: Literal["PASS", "WARN", "FAIL", "SKIP"]
    what: str
    detail: str


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "doctor",
        usage="robustcheck doctor [MODEL [--data SOURCE]] [flags]",
        help="check the installation, or a model and its data",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model to look at")
    add_data_flag(parser)
    add_flags(parser, groups_of_audit("data", "model", "trust"))
    add_json_flag(parser)
    parser.set_defaults(run=run, quiet=False)


def run(arguments: argparse.Namespace) -> int:
    """Check and tell."""
    lines = _installation(arguments) if arguments.model is None else _examined(arguments)
    failed = any(line.outcome == "FAIL" for line in lines)
    if arguments.json:
        print_json("doctor", {"lines": [asdict(line) for line in lines]})
        return EXIT_FAIL if failed else EXIT_OK
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    console = ResultConsole()
    copied: list[str] = []
    for line in lines:
        text, *code = line.detail.splitlines() or [""]
        table.add_row(Text(line.outcome, _STYLES[line.outcome]), line.what, Text(printable(text)))
        copied += code
    console.print(table)
    for code_line in copied:  # to be pasted, so as wide as it is
        console.print(Text(printable(code_line)), soft_wrap=True)
    return EXIT_FAIL if failed else EXIT_OK


def _installation(arguments: argparse.Namespace) -> list[_Line]:
    if arguments.data is not None:
        raise ConfigError("--data: expected MODEL before it, got none")
    lines = [_python(), *_requirements(), *_surroundings()]
    try:
        with working(log_console(quiet=arguments.json)):
            lines += [_devices(), _self_test()]
    except Exception as error:  # whatever is broken is what this command is for
        lines.append(_Line("FAIL", "self-test", one_line(error)))
    return lines


def _examined(arguments: argparse.Namespace) -> list[_Line]:
    """What is seen of a model; settings from files hold here too."""
    settings = read_settings(arguments)
    config = settings.audit("", data=settings.get("data") or "-")
    if settings.get("data") is None:
        config = replace(config, data=None)
    with working(log_console(quiet=arguments.json)):
        from robustcheck.auditing import examine

        return [_Line(finding.outcome, finding.what, finding.detail) for finding in examine(config)]


def _python() -> _Line:
    return _Line("PASS", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _requirements() -> list[_Line]:
    """Every package that robustcheck needs, with the version it asks for; then those of extras."""
    from packaging.requirements import Requirement

    lines = []
    requirements = [Requirement(text) for text in metadata.requires(_DISTRIBUTION) or []]
    for extra in ("", *_EXTRAS):
        for requirement in requirements:
            marker = requirement.marker
            always = marker is None or marker.evaluate({"extra": ""})
            if always == (not extra) and (marker is None or marker.evaluate({"extra": extra})):
                lines.append(_requirement(requirement, extra))
    return lines


def _requirement(requirement: Any, extra: str) -> _Line:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        if extra:
            detail = f"not installed: pip install {_DISTRIBUTION}[{extra}] for {_EXTRAS[extra]}"
            return _Line("SKIP", requirement.name, detail)
        return _Line("FAIL", requirement.name, f"not installed, {requirement.specifier} is needed")
    fits = requirement.specifier.contains(version, prereleases=True)
    needed = "" if fits else f", {requirement.specifier} is needed"
    return _Line("PASS" if fits else "FAIL", requirement.name, version + needed)


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
        detail = f"is {backend!r}: robustcheck runs Keras on TensorFlow all the same"
        lines.append(_Line("WARN", "KERAS_BACKEND", detail))
    if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
        detail = "is set: tf.keras is tf_keras then; .keras files are still read by Keras 3"
        lines.append(_Line("WARN", "TF_USE_LEGACY_KERAS", detail))
    return lines


def _devices() -> _Line:
    import tensorflow as tf

    devices = [device.device_type for device in tf.config.list_physical_devices()]
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
