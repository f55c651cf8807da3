"""Exact minimal distortions of small nets of ReLUs, by mixed-integer programming (Tjeng et al. 2019).

A net of ReLUs is piecewise linear: with a binary for each unit whose sign is open within a radius, the
nearest point that it gives a class is a mixed-integer linear programme, which HiGHS solves and bounds. Run as
a script it trains the nets of ``exact_nets.npz`` on the digits of the package and solves some samples of
each; the tests read the answers, and solve a few again.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import lil_matrix

FILE = Path(__file__).with_name("exact_nets.npz")
Layers = list[tuple[np.ndarray, np.ndarray]]
# relative gap at which a programme counts as solved
_GAP = 1e-4


@dataclass(frozen=True)
class Exact:
    """The least distance found and the solver's proven lower bound of it."""

    distance: float
    bound: float


@dataclass(frozen=True)
class ExactNet:
    """A stored net: samples ``[N, D]``, labels, and by norm the distance and bound of each, ``[N, 2]``."""

    layers: Layers
    x: np.ndarray
    y: np.ndarray
    answers: dict[str, np.ndarray]


def stored_net(name: str) -> ExactNet:
    """One of the nets of ``exact_nets.npz``: ``"wide"``, 64-24-10, or ``"deep"``, 64-16-16-10."""
    with np.load(FILE) as stored:
        count = sum(key.startswith(f"{name}.bias") for key in stored)
        layers = [(stored[f"{name}.weights{k}"], stored[f"{name}.bias{k}"]) for k in range(count)]
        answers = {norm: stored[f"{name}.{norm}"] for norm in ("linf", "l1")}
        return ExactNet(layers, stored[f"{name}.x"], stored[f"{name}.y"], answers)


def forward(layers: Layers, x: np.ndarray) -> np.ndarray:
    """Logits of rows, in float64."""
    for weights, bias in layers[:-1]:
        x = np.maximum(x @ weights + bias, 0.0)
    return np.asarray(x @ layers[-1][0] + layers[-1][1])


def exact_distance(
    layers: Layers, x: np.ndarray, label: int, norm: str, radius: float, *, seconds: float = 60.0
) -> Exact:
    """Least distance in a norm from ``x`` in the unit box to where any other class wins.

    ``radius``: within which there is such a point for certain; the smaller, the fewer signs are open.
    """
    best, bound = radius, radius
    ranges = _ranges(layers, x, norm, radius)
    for target in range(len(layers[-1][1])):
        if target == label or _out_of_reach(layers, ranges, label, target):
            continue
        found = _nearest(layers, x, label, target, norm, best, ranges, seconds)
        best, bound = min(best, found.distance), min(bound, found.bound)
    return Exact(best, min(bound, best))


def _first_range(
    weights: np.ndarray, bias: np.ndarray, x: np.ndarray, norm: str, radius: float
) -> np.ndarray:
    """Least and largest value of each unit of the first layer within the radius and the box, ``[2, H]``."""
    middle, ends = x @ weights + bias, []
    for sign in (-1.0, 1.0):
        slope = sign * weights
        room = np.where(slope > 0, (1.0 - x)[:, None], x[:, None])
        if norm == "linf":
            gain = (np.abs(slope) * np.minimum(room, radius)).sum(axis=0)
        else:
            order = np.argsort(-np.abs(slope), axis=0)
            sorted_room = np.take_along_axis(room, order, axis=0)
            left = np.clip(radius - np.cumsum(sorted_room, axis=0) + sorted_room, 0.0, sorted_room)
            gain = (np.take_along_axis(np.abs(slope), order, axis=0) * left).sum(axis=0)
        ends.append(middle + sign * gain)
    return np.array(ends)


def _ranges(layers: Layers, x: np.ndarray, norm: str, radius: float) -> list[np.ndarray]:
    """Bounds of the values before each ReLU, and of the logits, by interval arithmetic."""
    ranges = [_first_range(*layers[0], x, norm, radius)]
    for weights, bias in layers[1:]:
        low, high = np.maximum(ranges[-1], 0.0)
        up, down = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
        ranges.append(np.array([low @ up + high @ down + bias, high @ up + low @ down + bias]))
    return ranges


def _out_of_reach(layers: Layers, ranges: list[np.ndarray], label: int, target: int) -> bool:
    """Whether the target's lead is negative by the bounds of the last hidden layer alone."""
    weights, bias = layers[-1]
    slope = weights[:, target] - weights[:, label]
    low, high = np.maximum(ranges[-2], 0.0)
    most = high @ np.maximum(slope, 0.0) + low @ np.minimum(slope, 0.0) + bias[target] - bias[label]
    return bool(most < 0)


def _nearest(
    layers: Layers, x: np.ndarray, label: int, target: int, norm: str, radius: float,
    ranges: list[np.ndarray], seconds: float,
) -> Exact:  # fmt: skip
    """The programme of one target: variables are the point, its lengths, and each unit with its binary."""
    n, hidden = len(x), [len(bias) for _, bias in layers[:-1]]
    sizes = [n, 1 if norm == "linf" else n, *hidden, *hidden]
    at = np.concatenate([[0], np.cumsum(sizes)])
    total, rows, low, high = int(at[-1]), [], [], []

    def require(entries: dict[int, float], least: float, most: float) -> None:
        rows.append(entries)
        low.append(least)
        high.append(most)

    for i in range(n):
        length = int(at[1]) + (0 if norm == "linf" else i)
        require({i: 1.0, length: -1.0}, -np.inf, x[i])
        require({i: -1.0, length: -1.0}, -np.inf, -x[i])
    for k, (weights, bias) in enumerate(layers[:-1]):
        before = 0 if k == 0 else int(at[1 + k])
        for j in range(hidden[k]):
            unit, binary = int(at[2 + k]) + j, int(at[2 + len(hidden) + k]) + j
            least, most = ranges[k][:, j]
            into = {before + i: -float(w) for i, w in enumerate(weights[:, j])}
            require(into | {unit: 1.0}, bias[j], np.inf)
            require(into | {unit: 1.0, binary: -min(least, 0.0)}, -np.inf, bias[j] - min(least, 0.0))
            require({unit: 1.0, binary: -max(most, 0.0)}, -np.inf, 0.0)
    weights, bias = layers[-1]
    last = int(at[1 + len(hidden)])
    lead = {last + j: float(w) for j, w in enumerate(weights[:, target] - weights[:, label])}
    require(lead, bias[label] - bias[target], np.inf)

    matrix = lil_matrix((len(rows), total))
    for row, entries in enumerate(rows):
        for column, value in entries.items():
            matrix[row, column] = value
    lengths = slice(int(at[1]), int(at[2]))
    cost = np.zeros(total)
    cost[lengths] = 1.0
    lower, upper = np.zeros(total), np.ones(total)
    upper[lengths] = min(radius, 1.0)
    if norm == "linf":
        lower[:n], upper[:n] = np.maximum(x - radius, 0.0), np.minimum(x + radius, 1.0)
    whole = np.zeros(total)
    for k in range(len(hidden)):
        units = slice(int(at[2 + k]), int(at[3 + k]))
        binaries = slice(int(at[2 + len(hidden) + k]), int(at[3 + len(hidden) + k]))
        upper[units] = np.maximum(ranges[k][1], 0.0)
        # a unit whose sign is known within the radius needs no binary
        lower[binaries], upper[binaries] = ranges[k][0] > 0, ranges[k][1] > 0
        whole[binaries] = 1
    found = milp(
        cost,
        constraints=LinearConstraint(matrix.tocsr(), low, high),
        bounds=(lower, upper),
        integrality=whole,
        options={"time_limit": seconds, "mip_rel_gap": _GAP},
    )
    if found.status == 2:  # nothing within the radius
        return Exact(np.inf, np.inf)
    bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound)
    return Exact(np.inf if found.x is None else float(found.fun), bound)


def _main(nets: dict[str, tuple[int, ...]], samples: int) -> None:
    """Train, search for a radius to start from, solve, and store."""
    import keras

    import robustcheck as rc
    from robustcheck import assets

    with np.load(assets.path(assets.DIGITS)) as digits:
        x, y = (np.concatenate([digits[f"{part}_{kind}"] for kind in ("test", "train")]) for part in "xy")
    x = x.reshape(len(x), -1).astype(np.float32) / 16
    stored: dict[str, np.ndarray] = {}
    for name, hidden in nets.items():
        keras.utils.set_random_seed(sum(hidden))
        model = keras.Sequential([keras.Input((64,)), *(keras.layers.Dense(k, "relu") for k in hidden)])
        model.add(keras.layers.Dense(10))
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x[500:], y[500:], epochs=60, batch_size=32, verbose=0)
        layers = [tuple(w.numpy() for w in layer.weights) for layer in model.layers]
        wide = [(w.astype(float), b.astype(float)) for w, b in layers]
        right = np.flatnonzero(forward(wide, x[:500]).argmax(axis=1) == y[:500])[:samples]
        print(name, "accuracy", np.mean(forward(wide, x[:500]).argmax(axis=1) == y[:500]), flush=True)
        for k, (weights, bias) in enumerate(layers):
            stored |= {f"{name}.weights{k}": weights, f"{name}.bias{k}": bias}
        stored |= {f"{name}.x": x[right], f"{name}.y": y[right]}
        classifier = rc.wrap(model, head="logits")
        for norm in ("linf", "l1"):
            options = rc.SearchOptions(norm=norm, budget=300)
            known = rc.minimal_distortion(classifier, x[right], y[right], options=options).distance
            answers = []
            for row, label, radius in zip(x[right].astype(float), y[right], known, strict=True):
                begun = time.perf_counter()
                found = exact_distance(wide, row, int(label), norm, 1.0001 * radius)
                answers.append((found.distance, found.bound))
                print(norm, len(answers), f"{radius / found.distance:.5f} {found.bound / found.distance:.5f}"
                      f" {time.perf_counter() - begun:.1f} s", flush=True)  # fmt: skip
            stored[f"{name}.{norm}"] = np.array(answers)
            np.savez_compressed(FILE, **stored)


if __name__ == "__main__":
    _main({"wide": (24,), "deep": (16, 16)}, int(sys.argv[1]) if len(sys.argv) > 1 else 40)
