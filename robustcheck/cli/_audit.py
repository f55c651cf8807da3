"""``robustcheck audit``: audit a model file on a data file."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich_argparse import RawDescriptionRichHelpFormatter

from robustcheck import intake
from robustcheck.cli._common import add_output_flags, add_search_flags, run_audit, search_options
from robustcheck.config import AuditConfig, Box, Target
from robustcheck.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = """\
Find for each sample the nearest input that the model misclassifies, check every
answer with the plain model, and write a report.

MODEL is a .keras or .h5 file, or package.module:factory, a function that returns
a built model. name=MODEL gives it a name for the report.
SOURCE is an .npz file, a folder with a sub-folder of images a class, or
package.module:function, which returns (x, y) or a tf.data.Dataset.
"""
_EPILOG = """\
examples:
  robustcheck audit model.keras --data digits.npz
  robustcheck audit new=v2.keras --data mnist.npz --reference old=v1.keras --limit 500
  robustcheck audit model.keras --data photos/ --box 0 255 --class-names names.txt
  robustcheck audit model.keras --data table.npz --box limits.npz --freeze mask.npz
"""


def add_to(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "audit",
        help="audit a model and write a report",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="the model to audit")
    parser.add_argument("--data", required=True, metavar="SOURCE", help="samples and labels")
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model, or a folder of models: do the examples fool it too? any number of times",
    )
    parser.add_argument(
        "--transfer",
        choices=("all", "one-way"),
        default="all",
        help="one-way: do not make examples for the references; default: %(default)s",
    )
    parser.add_argument(
        "--transfer-rms",
        action="append",
        type=float,
        default=[],
        metavar="RMS",
        help="also compare all models' examples scaled to this RMS; any number of times",
    )
    _add_data_flags(parser)
    add_search_flags(parser)
    add_output_flags(parser, "robustcheck-report")
    parser.add_argument("--force", action="store_true", help="replace a report that is there")
    parser.set_defaults(run=run)


def _add_data_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--box",
        default="0,1",
        metavar="LO HI | FILE.npz",
        help="values that the model takes: two numbers, or an .npz with arrays lower and upper; default: 0 1",
    )
    group.add_argument(
        "--data-range",
        nargs=2,
        type=float,
        metavar=("LO", "HI"),
        help="stored values that are mapped to the box; default: 0 255 for uint8, else the box",
    )
    group.add_argument("--x-key", metavar="K", help="array of samples in the .npz; default: x or x_test")
    group.add_argument("--y-key", metavar="K", help="array of labels in the .npz; default: y or y_test")
    group.add_argument("--limit", type=int, metavar="N", help="audit at most N samples")
    group.add_argument("--class-names", type=Path, metavar="FILE", help="names of the classes, one a line")
    group.add_argument(
        "--freeze",
        type=Path,
        metavar="FILE",
        help="mask of features that may not change: an .npy, or an .npz with an array freeze",
    )
    group.add_argument(
        "--labels",
        choices=("data", "model"),
        default="data",
        help="model: audit without labels, against the model's own predictions",
    )
    group.add_argument(
        "--target",
        metavar="random|least-likely|CLASS",
        help="class to reach; default: any other than the label",
    )


def run(arguments: argparse.Namespace) -> int:
    """Audit what the flags name."""
    low_high = arguments.data_range
    config = AuditConfig(
        model=arguments.model,
        data=arguments.data,
        references=tuple(arguments.reference),
        out=arguments.out,
        force=arguments.force,
        box=_box(arguments.box),
        data_range=None if low_high is None else (low_high[0], low_high[1]),
        x_key=arguments.x_key,
        y_key=arguments.y_key,
        class_names=arguments.class_names,
        freeze=arguments.freeze,
        labels=arguments.labels,
        target=_target(arguments.target),
        limit=arguments.limit,
        batch_size=arguments.batch_size,
        transfer=arguments.transfer,
        transfer_rms=tuple(arguments.transfer_rms),
        options=search_options(arguments),
        command=shlex.join(["robustcheck", *sys.argv[1:]]),
    )
    run_audit(config, arguments)
    return EXIT_OK


def _box(words: str) -> Box:
    if words.endswith(".npz"):
        lower, upper = intake.read_arrays(Path(words), "lower", "upper")
        return Box.of((lower, upper))
    try:
        low, high = map(float, words.split(","))
    except ValueError as error:
        raise ConfigError(f"--box: expected two numbers or one .npz file, got {words!r}") from error
    return Box.of((low, high))


def _target(word: str | None) -> Target:
    if word is None or word == "random" or word == "least-likely":
        return word  # type: ignore[return-value]  # narrowed by the comparison, which mypy does not see
    try:
        return int(word)
    except ValueError as error:
        raise ConfigError(f"--target: expected random, least-likely or a class, got {word!r}") from error
