"""A setting is described once: flags, files, arguments and conditions all follow from the dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import robustcheck as rc
from robustcheck.cli import build_parser
from robustcheck.cli._settings import read_harden_settings, read_settings
from robustcheck.config import (
    AuditConfig,
    DeployedOptions,
    FileOptions,
    HardenConfig,
    ModelOptions,
    PoolOptions,
    SearchOptions,
)
from robustcheck.errors import ConfigError
from robustcheck.pytest_plugin._settings import audit_arguments
from robustcheck.settings import Setting, audit_settings, choices, harden_settings, made

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
plain_words = words.filter(lambda word: not word.startswith("-") and not word[0].isdigit())
numbers = {int: st.integers(-(10**9), 10**9), float: st.floats(allow_nan=False)}


def value_of(setting: Setting) -> st.SearchStrategy[Any]:
    """A value as it is written in a file."""
    written, known = setting.written, choices(setting.written)
    if known is not None:
        return st.sampled_from(known)
    if written is bool:
        return st.just(True)
    if get_origin(written) is tuple:
        words = choices(get_args(written)[0])
        item = st.sampled_from(words) if words else numbers.get(get_args(written)[0], plain_words)
        fixed = get_args(written)[-1] is not Ellipsis
        size = len(get_args(written)) if fixed else None
        return st.lists(item, min_size=size or 1, max_size=size or 3)
    if setting.name == "box":
        return st.sampled_from(["-1.5,2", "box.npz", "-inf,inf"])
    if get_origin(written) is not None:
        return st.one_of(plain_words, st.integers(0, 99)) if int in get_args(written) else st.just("auto")
    return numbers.get(written, plain_words)


def as_flags(setting: Setting, value: Any) -> list[str]:
    if value is True:
        return [f"--{setting.flag}"]
    if isinstance(value, list):
        if setting.several or get_args(setting.written)[-1] is not Ellipsis:
            return [f"--{setting.flag}", *map(str, value)]
        return [f"--{setting.flag}={item}" for item in value]
    return [f"--{setting.flag}={value}"]


def as_toml(values: Mapping[str, Any]) -> str:
    def said(value: Any) -> str:
        if isinstance(value, bool):
            return "true"
        if isinstance(value, list):
            return f"[{', '.join(map(said, value))}]"
        if isinstance(value, str):
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
        return repr(value)

    return "".join(f"{name} = {said(value)}\n" for name, value in values.items())


some_audit = st.fixed_dictionaries(
    {},
    optional={name: value_of(setting) for name, setting in audit_settings().items() if not setting.flag_only},
)
some_harden = st.fixed_dictionaries(
    {}, optional={name: value_of(setting) for name, setting in harden_settings().items()}
)
on_disk = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


def negative_lists_aside(values: dict[str, Any]) -> dict[str, Any]:
    """argparse takes ``-1e-9`` after a flag with several values for a flag of its own."""
    several = ("data_range", "deployed_range", "input_shape")
    return {name: value for name, value in values.items() if name not in several or min(value) >= 0}


@on_disk
@given(some_audit)
def test_an_audit_is_set_alike_by_flags_and_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    values = negative_lists_aside(values)
    model = [values["model"]] if "model" in values else []
    flags = [word for name, value in values.items() for word in as_flags(audit_settings()[name], value)]
    Path("robustcheck.toml").unlink(missing_ok=True)
    flags = [word for word in flags if not word.startswith("--model")]
    by_flags = read_settings(build_parser().parse_args(["audit", *flags, "--", *model]))
    Path("robustcheck.toml").write_text(as_toml(values), "utf-8")
    by_file = read_settings({})
    assert by_flags.values == by_file.values == values
    assert set(by_flags.source.values()) <= {"flag"}
    # what is printed gives the same again
    Path("robustcheck.toml").write_text(by_file.toml(), "utf-8")
    assert read_settings({}).toml() == tomllib_without_sources(by_file.toml())


def tomllib_without_sources(text: str) -> str:
    """The same settings, all from the file."""
    lines = text.splitlines()
    names = tomllib.loads(text)
    return "".join(
        f"{line.rpartition('  # ')[0]}  # robustcheck.toml\n"
        if line.partition(" = ")[0] in names
        else f"{line}\n"
        for line in lines
    )


@on_disk
@given(some_harden)
def test_training_is_set_alike_by_flags_and_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [word for name, value in values.items() for word in as_flags(harden_settings()[name], value)]
    Path("robustcheck.toml").unlink(missing_ok=True)
    by_flags = read_harden_settings(build_parser().parse_args(["harden", *flags]))
    Path("robustcheck.toml").write_text(f"[harden]\n{as_toml(values)}", "utf-8")
    assert by_flags.values == read_harden_settings({}).values == values
    assert read_settings({}).values == {}


def test_every_field_is_a_setting_or_named_here() -> None:
    """A new field that cannot be set from outside is a decision, not an oversight."""
    fields = {
        name
        for owner in (AuditConfig, FileOptions, SearchOptions, ModelOptions, DeployedOptions)
        for name in (field.metadata.get("key", field.name) for field in dataclasses.fields(owner))
    }
    assert fields - set(audit_settings()) == {
        "options", "files", "model_options", "command", "settings",
    }  # fmt: skip
    fields = {
        field.metadata.get("key", field.name)
        for owner in (HardenConfig, PoolOptions)
        for field in dataclasses.fields(owner)
    }
    assert fields - set(harden_settings()) == {"audit", "pool"}


def test_what_is_written_makes_the_dataclass() -> None:
    written = {
        "model": "m.keras", "data": "d.npz", "reference": ["a", "b"], "box": "0,2", "data_range": [0, 255],
        "input_shape": [28, 28], "perturb": ["x"], "head": "logits", "candidates": 5, "tolerance": 1e-3,
        "history": 4, "loss_scale": 2.0, "seed": 3, "transfer_rms": [0.1], "noise_draws": 2, "out": "r",
        "class_names": "names.txt", "target": 3,
    }  # fmt: skip
    config = made(AuditConfig, written, command="typed")
    assert config.references == ("a", "b")
    assert config.out == Path("r")
    assert config.class_names == Path("names.txt")
    assert config.data_range == (0, 255)
    assert config.model_options == ModelOptions(input_shape=(28, 28), perturb=("x",), head="logits")
    assert config.options == SearchOptions(candidates=5, tolerance=1e-3, history=4, loss_scale=2.0, seed=3)
    assert (config.noise_draws, config.target, config.command) == (2, 3, "typed")
    assert made(AuditConfig, {"model": "m", "data": "d"}).options == SearchOptions()
    assert made(AuditConfig, {"model": "m", "data": "d", "box": "sides.npz"}).box == Path("sides.npz")
    with pytest.raises(ConfigError, match="--noise-draws"):
        made(AuditConfig, written | {"noise_draws": 0})
    with pytest.raises(ConfigError, match="--target"):
        made(AuditConfig, written | {"target": "nearest"})


def test_python_and_tests_take_the_same() -> None:
    """``rc.audit`` and ``robustness.audit`` know no setting by another name or with another default."""
    known = audit_settings()
    owners = (AuditConfig, FileOptions, SearchOptions, ModelOptions, DeployedOptions)
    defaults = {field.name: field.default for owner in owners for field in dataclasses.fields(owner)}
    # what has no default in the dataclass, or another meaning where data are live
    apart = {"model", "x", "y", "references", "options", "norms", "labels", "on_progress", "deployed"}
    renamed = {"deployed_range": None, "deployed_layout": "auto"}
    for name, parameter in inspect.signature(rc.audit).parameters.items():
        if name not in apart:
            assert name in known, name
            assert parameter.default == (defaults | renamed)[name], name
    assert set(known) - audit_arguments() == {
        "model", "data", "reference", "out", "force", "policy", "baseline", "report_assets", "resume",
        "shard", "no_examples",
    }  # fmt: skip


def test_infinite_and_tiny_numbers_survive_printing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = read_settings({"box": [-math.inf, math.inf], "tolerance": 1e-300, "transfer_rms": [5e-324]})
    stored = tomllib.loads(printed.toml())
    assert (stored["box"], stored["tolerance"]) == ([-math.inf, math.inf], 1e-300)
    assert stored["transfer_rms"] == [5e-324]


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ("box = [0]", "robustcheck.toml: box: expected LO HI | FILE.npz, got [0]"),
        ("loss_scale = []", "robustcheck.toml: loss_scale: expected auto|X, got []"),
        ("[harden]\nlimit = 3", "robustcheck.toml [harden]: limit: unknown key; it is a setting of audits"),
        ("box = 'missing.npz'", "missing.npz: expected an .npz with ['lower', 'upper'], got nothing there"),
    ],
)
def test_faults_say_what_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("robustcheck.toml").write_text(toml)
    with pytest.raises(ConfigError, match=re.escape(fault)):
        read_settings({"model": "m.keras", "data": "d.npz"}).audit("")


def test_a_number_may_be_written_as_a_text() -> None:
    for name, read in (
        ("target", lambda config: config.target),
        ("output", lambda c: c.model_options.output),
    ):
        assert read(made(AuditConfig, {"model": "m", "data": "d", name: "1"})) == 1
