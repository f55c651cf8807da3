"""What settings are made of: checks, the types of their values, and how a field is set from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ConfigError
from robustcheck.text import brief

Method: TypeAlias = Literal["boundary", "szegedy", "decision"]
SearchedNorm: TypeAlias = Literal["l2", "linf", "l1"]
Bound: TypeAlias = float | Sequence[float] | NDArray[Any]
HeadKind: TypeAlias = Literal["logits", "softmax", "sigmoid", "tanh", "binary_logit"]
Draw: TypeAlias = Literal["first", "random", "stratified"]
# groups of settings that decide what becomes of a report, and what is believed for it, which no plan of an
# audit may say; and all groups that decide no figure
AFTERWARDS = ("gate", "output", "trust")
NO_FIGURES = (*AFTERWARDS, "work")
# one for all inputs, or one for each by name
DataRange: TypeAlias = tuple[float, float] | Mapping[str, tuple[float, float]] | None
Target: TypeAlias = int | Literal["random", "least-likely"] | None


def require(condition: bool, name: str, expected: str, got: object) -> None:
    """Refuse a value."""
    if not condition:
        raise ConfigError(f"{name}: expected {expected}, got {brief(got)}")


def whole(value: object, least: int, most: int | None = None) -> bool:
    """Whether a value is a whole number in a range."""
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return number and bool(value >= least) and (most is None or bool(value <= most))  # type: ignore[operator]


def number_or_word(value: str | int) -> str | int:
    """A number that was written as a text, as a number."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def said(help: str, group: str, **more: Any) -> dict[str, Any]:  # noqa: A002  # argparse's word
    """Metadata of a field that flags and files set; :mod:`robustcheck.settings` makes both of it.

    Args:
        help: of the flag.
        group: of flags that it stands in.
        more: ``key``, its name outside, where that is not the field's; ``flag``, where that is not the key's;
            ``metavar``; ``written``, the type that it is written as, where that is not the field's; ``read``,
            which makes the field's value of what is written; ``several``, for a flag that takes all its
            values at once; ``default``, told where the default of the field does not tell it; ``flag_only``,
            for what no file may set.
    """
    return {"help": help, "group": group, **more}


def nested(owner: type) -> dict[str, Any]:
    """Metadata of a field that holds settings of its own."""
    return {"nested": owner}
