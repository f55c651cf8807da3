"""``robustcheck harden``: train a model on pools of adversarial examples, and audit it before and after."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rich.text import Text

from robustcheck import intake
from robustcheck.cli._common import ResultConsole, log_console, look_before, print_json, working
from robustcheck.cli._flags import (
    add_flags,
    add_result_flags,
    audit_flags,
    groups_of_audit,
    with_default,
)
from robustcheck.cli._settings import read_harden_settings, read_settings
from robustcheck.config import HardenConfig
from robustcheck.errors import EXIT_INTERRUPTED, EXIT_OK, ConfigError
from robustcheck.settings import harden_settings, made

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.auditing import Hardening

_DESCRIPTION = """\
Go on training a model beside pools of adversarial examples, made at its layers
and renewed all the time, and audit it before and after.

DIR gets hardened.keras, the reports before/ and after/, and compare.html. A run
that is started again with the same flags goes on where it was stopped. The
training data are audited if no --test-data are given: then say nothing of new
data.

What robustcheck.toml says of audits holds for both, but for policy and out; its
table [harden] holds the flags of training, such as epochs = 20.
"""
_EPILOG = """\
examples:
  robustcheck harden model.keras --data train.npz --test-data test.npz
  robustcheck harden model.keras --data mnist.npz --x-key x_train --y-key y_train \\
      --test-data mnist.npz --epochs 20
  robustcheck harden model.keras --data train.npz --layers input --layers dense_1
"""
# settings of an audit that have a flag here; the others stand in files
_TRUST = [setting.name for setting in groups_of_audit("trust")]
_OF_AUDIT = ("limit", "data_range", "box", "head", "imports", "norm", *_TRUST)
_LIMIT = 200


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "harden",
        usage="robustcheck harden MODEL --data SOURCE [flags]",
        help="train on adversarial examples, audit before and after",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="the model to train: .keras, .h5 or a factory"
    )
    own = list(harden_settings().values())
    add_flags(parser, [setting for setting in own if setting.group == "data"])
    data = next(group for group in parser._action_groups if group.title == "data")
    data.add_argument("--test-data", metavar="SOURCE", help="what it is audited on; default: DATA")
    add_flags(parser, with_default(audit_flags(*_OF_AUDIT), "limit", _LIMIT))
    add_flags(parser, [setting for setting in own if setting.group != "data"])
    add_result_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit, train, audit, compare."""
    config = _config(arguments)
    config.require_free()
    look_before(intake.model_sources(config.audit.model, (), config.audit.files), config.audit.imports)
    try:
        with working(log_console(quiet=arguments.quiet)) as display:
            from robustcheck.auditing import harden_and_audit

            done = harden_and_audit(config, display)
    except KeyboardInterrupt:
        log_console().print("interrupted: the same command goes on from here", style="bold red")
        return EXIT_INTERRUPTED
    _show(arguments, config, done)
    return EXIT_OK


def _config(arguments: argparse.Namespace) -> HardenConfig:
    """What is asked for: flags over the settings of audits and of training in files."""
    own = read_harden_settings(arguments)
    given = {name: getattr(arguments, name) for name in ("model", *_OF_AUDIT)}
    audit = read_settings(given | {"data": arguments.test_data})
    data = own.get("data")
    if data is None:
        raise ConfigError("expected --data SOURCE, on the command line or in [harden] of robustcheck.toml")
    over: dict[str, Any] = {} if audit.get("limit") else {"limit": _LIMIT}
    if audit.get("data") is None:
        # audited on what it is trained on
        keys = {name: own.get(name) for name in ("x_key", "y_key") if own.get(name) is not None}
        over |= {"data": data, **keys}
    config = replace(audit.audit("", **over), out=None, force=False, policy=None, baseline=None, command=None)
    return made(HardenConfig, own.values, audit=config)


def _show(arguments: argparse.Namespace, config: HardenConfig, done: Hardening) -> None:
    from robustcheck.report import comparison
    from robustcheck.results import plain

    trained = done.trained
    if arguments.json:
        training: dict[str, Any] = asdict(trained)
        print_json("hardening", {"training": plain(training), "comparison": plain(done.comparison)})
    elif not arguments.quiet:
        console = ResultConsole()
        console.print(comparison(done.comparison))
        console.print()
        for pool in trained.pools:
            mean = "-" if pool.distortion is None else f"{pool.distortion:.4g}"
            held = f"{pool.held} of {pool.size} examples held, mean L2 {mean}"
            console.print(Text(f"pool at {pool.layer}: {held}, {pool.tried} samples tried"), soft_wrap=True)
        share = trained.making_seconds / trained.seconds if trained.seconds else 0.0
        console.print(f"{trained.seconds:.0f} s of training, {share:.0%} of it for making examples")
        console.print(Text.assemble(("model  ", "bold"), str(done.model)), soft_wrap=True)
        page = str(config.out / "compare.html")
        console.print(Text.assemble(("page   ", "bold"), page), soft_wrap=True)
