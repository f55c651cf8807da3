"""Flags that commands share: which samples, and how a model is read."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from robustcheck.config import Draw, HeadKind


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Which samples, and what their values mean."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--box",
        metavar="LO HI | FILE.npz",
        help="values that the model takes: two numbers, or an .npz with arrays lower and upper (of several "
        "inputs: INPUT.lower and INPUT.upper); default: 0 1",
    )
    group.add_argument(
        "--data-range",
        nargs=2,
        type=float,
        metavar=("LO", "HI"),
        help="stored values that are mapped to the box; default: 0 255 for uint8, else the box",
    )
    group.add_argument("--x-key", metavar="K", help="array of samples in the .npz; default: x or x_test")
    group.add_argument(
        "--y-key",
        metavar="K",
        help="array of labels in the .npz, or the label meant of several; default: y or y_test",
    )
    group.add_argument("--limit", type=int, metavar="N", help="audit at most N samples")
    group.add_argument(
        "--sample",
        choices=get_args(Draw),
        help="how these are drawn: the first rows, at random, or at random with the classes in proportion; "
        "default: stratified",
    )
    group.add_argument("--class-names", metavar="FILE", help="names of the classes, one a line")
    group.add_argument(
        "--freeze",
        metavar="FILE",
        help="mask of features that may not change: an .npy, or an .npz with an array freeze (of several "
        "inputs: INPUT.freeze)",
    )
    group.add_argument(
        "--labels",
        choices=("data", "model"),
        help="model: audit without labels, against the model's own predictions; default: data",
    )
    group.add_argument(
        "--target",
        metavar="random|least-likely|CLASS",
        help="class to reach; default: any other than the label",
    )


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """How a model is read, where it does not tell by itself."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--input-shape",
        nargs="+",
        type=int,
        metavar="N",
        help="shape of one sample, for a model whose input sizes are open",
    )
    group.add_argument(
        "--output", metavar="NAME", help="which output holds the classes, where there are several"
    )
    group.add_argument(
        "--perturb",
        action="append",
        metavar="NAME",
        help="input that may change, where there are several; any number of times",
    )
    add_head_flag(group)
    add_import_flag(group)


def add_head_flag(parser: Any) -> None:
    """What the model ends in."""
    parser.add_argument(
        "--head",
        choices=("auto", *get_args(HeadKind)),
        help="what the output is, where the model's graph does not show it",
    )


def add_import_flag(parser: Any) -> None:
    """The user's own layers."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        metavar="MODULE",
        help="package.module with your own layers, for a model file that is saved with them; it is run; any "
        "number of times",
    )
