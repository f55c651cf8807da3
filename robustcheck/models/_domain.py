"""Where the rows of a model may lie, what a change of each feature costs, and rows to try a model on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustcheck.arrays import F32, Mask
from robustcheck.config import Box, BoxLike
from robustcheck.errors import ConfigError
from robustcheck.models._layout import InputLayout
from robustcheck.text import brief, option

_PROBES = 16
# of a cost: its square is a number in float32
_LEAST_COST, _MOST_COST = 1e-15, 1e15
# values for inputs that are not perturbed and have no box: a mask of ones lets everything through, and every
# table has an entry 1
_FILLS = ("ones", "uniform", "zeros")


@dataclass(frozen=True, eq=False)
class Domain:
    """Where the rows of a layout may lie.

    Attributes:
        lower, upper: sides of the box, ``[D]``; 0 and 1 for inputs without a box.
        free: features that may change, ``[D]``.
        text: the box for reports.
        filled: features of inputs that have no box, ``[D]``.
        cost: of a change of each feature by 1, ``[D]``; 1 where not ``free``.
    """

    lower: F32
    upper: F32
    free: Mask
    text: str
    filled: Mask
    cost: F32

    def probes(self) -> list[F32]:
        """Sets of seeded rows ``[P, D]`` to try a model on, none outside the box; the likeliest first.

        Uniform in the box, half-normal from the side that is finite where one is not. Sets differ in the
        inputs that have no box, so there is one where all have.
        """
        draw = np.random.default_rng(0)
        shape = (_PROBES, len(self.lower))
        share, normal = draw.random(shape, np.float32), draw.standard_normal(shape, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            inside = self.lower + (self.upper - self.lower) * share
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        inside = np.where(low & ~high, self.lower + np.abs(normal), inside)
        inside = np.where(~low & high, self.upper - np.abs(normal), inside)
        inside = np.where(~low & ~high, normal, inside)
        inside = np.clip(inside, self.lower, self.upper).astype(np.float32)
        if not self.filled.any():
            return [inside]
        fills = {"ones": np.ones_like(share), "uniform": share, "zeros": np.zeros_like(share)}
        return [np.where(self.filled, fills[name], inside).astype(np.float32) for name in _FILLS]


def random_rows(classifier: Any) -> F32:
    """Seeded rows ``[P, D]`` in the box of a classifier; inputs without a box are ones."""
    moves = np.repeat(classifier.layout.perturbed, classifier.layout.sizes)
    domain = Domain(classifier.lower, classifier.upper, classifier.free, "", ~moves, classifier.cost)
    return domain.probes()[0]


def domain_of(layout: InputLayout, box: BoxLike, freeze: Any, cost: Any = None) -> Domain:
    """Where the rows of a layout may lie.

    Args:
        layout: of the model.
        box: one for all inputs that are perturbed; or one for each of those that a mapping names, or a list
            in the order of the inputs.
        freeze: mask of features that may not change, broadcast to a sample; by input where there are several.
        cost: of a change of each feature by 1, in the same way.

    Raises:
        ConfigError: a box, a mask or costs that do not fit.
    """
    boxes, text = _by_input(layout, box)
    sides = []
    for name, shape, size in zip(layout.names, layout.shapes, layout.sizes, strict=True):
        own = boxes.get(name)
        sides.append(
            (np.zeros(size, np.float32), np.ones(size, np.float32)) if own is None else own.rows(shape)
        )
    lower, upper = (layout.spread([side[i] for side in sides]) for i in (0, 1))
    filled = [
        np.full(size, boxes.get(name) is None) for name, size in zip(layout.names, layout.sizes, strict=True)
    ]
    free = _free(layout, freeze) & (lower < upper)
    return Domain(lower, upper, free, text, layout.spread(filled), _cost(layout, cost, free))


def _by_input(layout: InputLayout, box: BoxLike) -> tuple[dict[str, Box], str]:
    """The box of each input that has one, and all as a text."""
    moving = [name for name, moves in zip(layout.names, layout.perturbed, strict=True) if moves]
    if isinstance(box, Mapping):
        given = dict(box)
    elif isinstance(box, list) and layout.kind != "single" and len(box) == len(layout.names):
        given = dict(zip(layout.names, box, strict=True))
    else:
        whole = Box.of(box)
        if layout.kind != "single" and whole.lower.shape == whole.upper.shape == (layout.width,):
            # feature by feature over all inputs, as another classifier or a report has it
            return _cut(layout, whole), whole.describe()
        return dict.fromkeys(moving, whole), whole.describe()
    unknown = [name for name in given if name not in layout.names]
    missing = [name for name in moving if name not in given]
    if unknown or missing:
        raise ConfigError(
            f"{option('box')}: expected a box for each of the inputs {moving} that may change, got some for "
            f"{list(given)}"
        )
    boxes = {name: Box.of(value) for name, value in given.items() if value is not None}
    return boxes, ", ".join(f"{name} {boxes[name].describe()}" for name in moving)


def _cut(layout: InputLayout, whole: Box) -> dict[str, Box]:
    ends = np.cumsum(layout.sizes)
    parts = zip(layout.names, layout.perturbed, ends - layout.sizes, ends, strict=True)
    return {name: Box(whole.lower[i:j], whole.upper[i:j]) for name, moves, i, j in parts if moves}


def _free(layout: InputLayout, freeze: Any) -> Mask:
    moving = [np.full(size, moves) for size, moves in zip(layout.sizes, layout.perturbed, strict=True)]
    free: Mask = layout.spread(moving)
    if freeze is None:
        return free
    frozen = _by_feature(layout, freeze, "freeze", np.zeros((), bool))
    if (frozen | ~free).all():
        raise ConfigError(f"{option('freeze')}: expected at least one feature that may change, got none")
    rest: Mask = free & ~frozen
    return rest


def _cost(layout: InputLayout, cost: Any, free: Mask) -> F32:
    if cost is None:
        return np.ones(layout.width, np.float32)
    if isinstance(cost, np.ndarray) and cost.dtype.kind == "b":
        raise ConfigError(f"{option('cost')}: expected costs, got a mask: is {option('freeze')} meant?")
    costs: F32 = _by_feature(layout, cost, "cost", np.ones((), np.float32))
    counted = costs[free]
    if not ((counted >= _LEAST_COST) & (counted <= _MOST_COST)).all():
        raise ConfigError(
            f"{option('cost')}: expected finite costs from {_LEAST_COST:g} to {_MOST_COST:g}, got "
            f"{counted.min():g} to {counted.max():g}; {option('freeze')} holds features that may not change"
        )
    return np.where(free, costs, np.float32(1.0))


def _by_feature(layout: InputLayout, given: Any, name: str, usual: NDArray[Any]) -> NDArray[Any]:
    """What is set for each feature ``[D]``: one array for a single input, else by input or of the whole row.

    ``usual``: what holds for inputs that a mapping leaves out, of the type that all are given.
    """
    if isinstance(given, Mapping):
        unknown = set(map(str, given)) - set(layout.names)
        if unknown:
            raise ConfigError(
                f"{option(name)}: expected some of the inputs {list(layout.names)}, got {sorted(unknown)}"
            )
        shapes = zip(layout.names, layout.shapes, strict=True)
        return layout.spread(
            [_flat(given.get(each, usual), shape, name, usual.dtype) for each, shape in shapes]
        )
    if layout.kind == "single" or np.shape(given) == (layout.width,):
        shape = layout.shapes[0] if layout.kind == "single" else (layout.width,)
        return _flat(given, shape, name, usual.dtype)
    raise ConfigError(
        f"{option(name)}: expected an array by input, {{name: array}} or in a file INPUT.{name}, for the "
        f"inputs {list(layout.names)}; {option('perturb')} freezes whole inputs"
    )


def _flat(given: Any, shape: tuple[int, ...], name: str, dtype: Any) -> NDArray[Any]:
    """What is set for one input, broadcast to it and flat."""
    try:
        array = np.asarray(given)
    except ValueError:  # a list of lists of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"{option(name)}: expected numbers, got {brief(given)}")
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    if array.shape == (int(np.prod(shape)),):
        return array
    try:
        return np.broadcast_to(array, shape).reshape(-1).copy()
    except ValueError as error:
        raise ConfigError(
            f"{option(name)}: expected an array that broadcasts to {shape}, got shape {np.shape(given)}"
        ) from error
