"""``robustcheck harden``: train a model on pools of adversarial examples, and audit it before and after."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from robustcheck.cli._common import ResultConsole, add_json_flag, log_console, print_json, working
from robustcheck.cli._flags import add_head_flag, add_import_flag
from robustcheck.config import AuditConfig, ModelOptions, PoolOptions
from robustcheck.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from robustcheck.cli._progress import ProgressDisplay
    from robustcheck.hardening import Hardened

_DESCRIPTION = """\
Go on training a model beside pools of adversarial examples, made at its layers
and renewed all the time, and audit it before and after.

DIR gets hardened.keras, the reports before/ and after/, and compare.html. A run
that is started again with the same flags goes on where it was stopped. The
training data are audited if no --test-data are given: then say nothing of new
data.
"""
_EPILOG = """\
examples:
  robustcheck harden model.keras --data train.npz --test-data test.npz
  robustcheck harden model.keras --data mnist.npz --x-key x_train --y-key y_train \\
      --test-data mnist.npz --epochs 20
  robustcheck harden model.keras --data train.npz --layers input --layers dense_1
"""
# flags of the pools, each a field of PoolOptions
_POOL = {
    "pool-size": ("size", "examples that a pool holds at most"),
    "fresh": ("fresh", "training samples searched when a pool is renewed"),
    "interval": ("interval", "turns of a pool between two renewals"),
    "budget": ("budget", "gradient evaluations of a sample at most, in making an example"),
    "cap": ("cap", "leave out examples further away, in shares of the spread of the activations"),
    "weight": ("weight", "factor on the loss of a step on a pool"),
    "warmup": ("warmup", "training batches before the first step on a pool"),
    "seed": ("seed", "of all that is drawn"),
}


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "harden",
        usage="robustcheck harden MODEL --data SOURCE [flags]",
        help="train on adversarial examples, audit before and after",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("model", metavar="MODEL", help="the model to train: .keras, .h5 or a factory")
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="SOURCE", required=True, help="what it is trained on")
    data.add_argument("--test-data", metavar="SOURCE", help="what it is audited on; default: DATA")
    data.add_argument("--limit", type=int, default=200, metavar="N", help="samples of an audit; default: 200")
    data.add_argument("--x-key", metavar="K", help="array of training samples; default: x or x_test")
    data.add_argument("--y-key", metavar="K", help="array of training labels; default: y or y_test")
    data.add_argument(
        "--data-range", nargs=2, type=float, metavar=("LO", "HI"), help="stored values mapped to the box"
    )
    data.add_argument("--box", metavar="LO,HI", default="0,1", help="values the model takes; default: 0 1")
    add_head_flag(data)
    add_import_flag(data)
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int, default=10, metavar="N", help="default: 10")
    training.add_argument("--batch-size", type=int, default=128, metavar="N", help="default: 128")
    training.add_argument("--rate", type=float, default=1e-3, metavar="R", help="of Adam; default: 0.001")
    pools = parser.add_argument_group("pools")
    pools.add_argument(
        "--layers",
        action="append",
        metavar="NAME",
        help="all, input, or the name of a layer, any number of times; default: all",
    )
    defaults = PoolOptions()
    for flag, (name, text) in _POOL.items():
        value = getattr(defaults, name)
        pools.add_argument(
            f"--{flag}", dest=f"pool_{name}", type=type(value), default=value, metavar="N",
            help=f"{text}; default: {value}",
        )  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, default=Path("hardened"), metavar="DIR", help="default: hardened")
    output.add_argument("--force", action="store_true", help="replace what an earlier run left")
    add_json_flag(output)
    output.add_argument("--quiet", action="store_true", help="no progress, no tables")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit, train, audit, compare."""
    pool = PoolOptions(**{name: getattr(arguments, f"pool_{name}") for name, _ in _POOL.values()})
    for name in ("epochs", "batch_size"):
        if getattr(arguments, name) < 1:
            raise ConfigError(
                f"--{name.replace('_', '-')}: expected 1 or more, got {getattr(arguments, name)}"
            )
    out: Path = arguments.out
    made = out / "hardened.keras"
    if made.exists() and not arguments.force:
        raise ConfigError(
            f"{out}: holds a hardened model already; --force replaces it, --out writes elsewhere"
        )
    with working(log_console(quiet=arguments.quiet)) as display:
        # what is wrong with model, data or layers is told before any work
        train = _prepare(arguments, pool)
        _audit(arguments, arguments.model, out / "before", display)
        done = train(display)
        _audit(arguments, str(made), out / "after", display)
    _tell(arguments, done)
    return EXIT_OK


def _box(arguments: argparse.Namespace) -> tuple[float, float]:
    try:
        low, high = map(float, arguments.box.split(","))
    except ValueError as error:
        raise ConfigError(f"--box: expected two numbers, got {arguments.box!r}") from error
    return low, high


def _range(arguments: argparse.Namespace) -> tuple[float, float] | None:
    return None if arguments.data_range is None else tuple(arguments.data_range)


def _audit(arguments: argparse.Namespace, model: str, out: Path, display: ProgressDisplay) -> None:
    from robustcheck.auditing import audit_config

    own = arguments.test_data is None
    audit_config(
        AuditConfig(
            model=model,
            data=arguments.data if own else arguments.test_data,
            x_key=arguments.x_key if own else None,
            y_key=arguments.y_key if own else None,
            box=_box(arguments),
            data_range=_range(arguments),
            limit=arguments.limit,
            model_options=ModelOptions(head=arguments.head or "auto"),
            imports=tuple(arguments.imports or ()),
            out=out,
            # what an interrupted run left is its own
            force=True,
        ),
        display,
    )


def _prepare(arguments: argparse.Namespace, pool: PoolOptions) -> Callable[[ProgressDisplay], Hardened]:
    """Load and check; what is returned trains, and writes the model."""
    import keras

    from robustcheck import intake
    from robustcheck.hardening import compile_for, find_cuts, harden
    from robustcheck.models import wrap
    from robustcheck.samples import as_samples

    own = intake.import_layers(arguments.imports or ())
    model, box = intake.load_model(arguments.model, custom_objects=own).model, _box(arguments)
    head = ModelOptions(head=arguments.head or "auto").head
    classifier = wrap(model, box=box, head=head)
    layers = [cut.name for cut in find_cuts(model, _layers(arguments.layers), box)]
    data = intake.load_data(
        arguments.data,
        intake.Wanted(
            shapes=(classifier.input_shape,),
            classes=classifier.classes,
            x_key=arguments.x_key,
            y_key=arguments.y_key,
        ),
    )
    samples = as_samples(classifier, data.x, data.y, data_range=_range(arguments))
    whole = samples.take(samples.finite)
    compile_for(model, classifier, arguments.rate)

    def train(display: ProgressDisplay) -> Hardened:
        total = arguments.epochs
        display("train", 0, total)
        progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda at, _: display("train", at + 1, total))
        done = harden(
            model,
            whole.rows.reshape(len(whole), *classifier.input_shape),
            whole.label,
            layers=layers,
            pool=pool,
            box=box,
            head=head,
            epochs=total,
            batch_size=arguments.batch_size,
            checkpoint=arguments.out / "run",
            callbacks=[progress],
        )
        # without the optimiser's state
        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        plain.save(arguments.out / "hardened.keras")
        shutil.rmtree(arguments.out / "run")  # the run is over
        return done

    return train


def _layers(given: list[str] | None) -> str | list[str]:
    if given is None or given == ["all"]:
        return "all"
    if "all" in given:
        raise ConfigError(f"--layers: expected all, or names, got {given}")
    return given


def _tell(arguments: argparse.Namespace, done: Hardened) -> None:
    from robustcheck.compare import compare
    from robustcheck.report import comparison, comparison_page, read_evidence
    from robustcheck.results import plain

    out: Path = arguments.out
    old, new = (read_evidence(out / name) for name in ("before", "after"))
    found = compare(old, new)
    (out / "compare.html").write_text(comparison_page(found, old, new), "utf-8")
    if arguments.json:
        training: dict[str, Any] = dataclasses.asdict(done)
        print_json("hardening", {"training": plain(training), "comparison": plain(found)})
    elif not arguments.quiet:
        console = ResultConsole()
        console.print(comparison(found))
        console.print()
        for pool in done.pools:
            mean = "-" if pool.distortion is None else f"{pool.distortion:.4g}"
            held = f"{pool.held} of {pool.size} examples held, mean L2 {mean}"
            console.print(Text(f"pool at {pool.layer}: {held}, {pool.tried} samples tried"), soft_wrap=True)
        share = done.making_seconds / done.seconds if done.seconds else 0.0
        console.print(f"{done.seconds:.0f} s of training, {share:.0%} of it for making examples")
        console.print(Text.assemble(("model  ", "bold"), str(out / "hardened.keras")), soft_wrap=True)
        console.print(Text.assemble(("page   ", "bold"), str(out / "compare.html")), soft_wrap=True)
