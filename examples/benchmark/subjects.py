"""The models of the benchmark and their images: other people's, and softmax regressions trained here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

# weight decay of the softmax regressions, lambda * sum w^2 / units, as in table 1 of Szegedy et al. 2013
DECAYS = ("1e-4", "1e-2", "1")
REGRESSION_IMAGES = 500
# nets whose distances are known, and where they are
EXACT_NETS = ("wide", "deep")
EXACT = Path(__file__).parents[2] / "tests" / "exact_nets.npz"
# images that the attacks in other norms were tried on
NORM_IMAGES = 50


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model and its images.

    Attributes:
        name: of the model.
        path: its file.
        x, y: correctly classified images ``[n, ...]`` in [0, 1] and their classes ``[n]``.
        known: distances ``[n]`` by the name of what found them.
        norm: that they are in.
    """

    name: str
    path: Path
    x: np.ndarray
    y: np.ndarray
    known: dict[str, np.ndarray]
    norm: Any = "l2"

    def load(self) -> Any:
        """The Keras model."""
        from keras.saving import load_model

        return load_model(self.path, compile=False)


def shared(asked: argparse.Namespace, only: set[str] | None = None) -> Iterator[Subject]:
    """A subject for each ``NAME.npz`` of stored distances; ``NAME`` begins with its data set.

    Distances in other norms than L2 are in the folder ``norms`` there, under ``NORM.ATTACK``; of these the
    first 50 images count, and the attacks that were tried on all of them.
    """
    folder = asked.reference if asked.norm == "l2" else asked.reference / "norms"
    for stored in sorted(folder.glob("*.npz")):
        if only and stored.stem not in only:
            continue
        with np.load(stored) as archive:
            known = {key: archive[key] for key in archive.files}
        limit, index = asked.limit, known.pop("index")
        if asked.norm != "l2":
            limit = min(limit or NORM_IMAGES, NORM_IMAGES)
            of_norm = {key: known[key] for key in known if key.startswith(f"{asked.norm}.")}
            known = {key.partition(".")[2]: distance for key, distance in of_norm.items()}
        known = {key: distance[:limit] for key, distance in known.items()}
        x, y = _mnist(asked.mnist) if stored.stem.startswith("mnist") else _cifar10(asked.cifar10)
        index = index[:limit]
        yield Subject(
            name=stored.stem,
            path=asked.models / f"{stored.stem}.keras",
            x=x[index],
            y=y[index],
            known={key: distance for key, distance in known.items() if not np.isnan(distance).any()},
            norm=asked.norm,
        )


def regressions(asked: argparse.Namespace, only: set[str] | None = None) -> Iterator[Subject]:
    """Softmax regressions on MNIST, with the exact distances of the first test images they get right."""
    for decay in DECAYS:
        path = asked.out / f"softmax_regression_{decay}.keras"
        if only and path.stem not in only:
            continue
        if not path.exists():
            _train_regression(asked.mnist, float(decay), path)
        x, y = (part[:REGRESSION_IMAGES][: asked.limit] for part in _mnist(asked.mnist))
        subject = Subject(name=path.stem, path=path, x=x, y=y, known={}, norm=asked.norm)
        weights, bias = subject.load().get_weights()
        right = (x.reshape(len(x), -1) @ weights + bias).argmax(axis=1) == y
        exact = [
            _linear_distance(weights, bias, *pair, asked.norm)
            for pair in zip(x[right], y[right], strict=True)
        ]
        yield replace(subject, x=x[right], y=y[right], known={"exact": np.array(exact)})


def exact_nets(asked: argparse.Namespace, only: set[str] | None = None) -> Iterator[Subject]:
    """Small nets of ReLUs on the digits of the package, with distances by mixed-integer programming.

    They are stored with the tests of the package, solved in Linf and L1.
    """
    for name in EXACT_NETS if asked.norm != "l2" else ():
        path = asked.out / f"exact_{name}.keras"
        if only and path.stem not in only:
            continue
        with np.load(EXACT) as stored:
            arrays = {key: stored[key] for key in stored.files if key.startswith(f"{name}.")}
        if not path.exists():
            _store_net(arrays, name, path)
        x, y, answers = (arrays[f"{name}.{key}"][: asked.limit] for key in ("x", "y", asked.norm))
        known = {"exact": answers[:, 0]}
        yield Subject(name=path.stem, path=path, x=x, y=y.astype(np.int64), known=known, norm=asked.norm)


def _store_net(arrays: dict[str, np.ndarray], name: str, path: Path) -> None:
    import keras

    count = sum(".bias" in key for key in arrays)
    layers = [(arrays[f"{name}.weights{k}"], arrays[f"{name}.bias{k}"]) for k in range(count)]
    model = keras.Sequential([keras.Input(layers[0][0].shape[:1])])
    for k, (_, bias) in enumerate(layers):
        model.add(keras.layers.Dense(len(bias), "relu" if k + 1 < count else None))
    model.set_weights([array for layer in layers for array in layer])
    model.save(path)


def _mnist(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as stored:
        x = stored["x_test"]
        scale = 255.0 if x.dtype == np.uint8 else 1.0
        return (x[..., None] / scale).astype(np.float32), stored["y_test"].astype(np.int64)


def _cifar10(path: Path) -> tuple[np.ndarray, np.ndarray]:
    parts = ("sdp200", "first100")
    with np.load(path) as stored:
        x, y = (np.concatenate([stored[f"{part}_{axis}"] for part in parts]) for axis in "xy")
    return (x / 255.0).astype(np.float32), y.reshape(-1).astype(np.int64)


def _train_regression(mnist: Path, decay: float, path: Path) -> None:
    import keras

    with np.load(mnist) as stored:
        x, y = stored["x_train"][..., None] / np.float32(255), stored["y_train"]
    keras.utils.set_random_seed(0)
    layers = keras.layers
    penalty = keras.regularizers.l2(decay / 10)
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.Flatten(), layers.Dense(10, kernel_regularizer=penalty)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, 2400)), loss)
    model.fit(x, y, batch_size=256, epochs=10, verbose=0)
    model.save(path)


def _linear_distance(weights: np.ndarray, bias: np.ndarray, x: np.ndarray, label: int, norm: str) -> float:
    """Exact distance in float64: the nearest of the half-spaces ``w_t . z + b_t >= w_y . z + b_y``.

    In L2 and Linf the nearest point of one is ``clip(x - s a)`` or ``clip(x - s sign(a))`` at the least s
    that reaches it, found by bisection for all classes at once. In L1 the features go to their bound from the
    one with the largest slope on.
    """
    w, start = weights.astype(np.float64), x.reshape(-1).astype(np.float64)
    others = np.delete(np.arange(w.shape[1]), label)
    normal = (w[:, [label]] - w[:, others]).T
    offset = bias[label].astype(np.float64) - bias[others]
    if norm == "l1":
        return min(map(_l1_distance, normal, normal @ start + offset, [start] * len(others)))
    direction = normal if norm == "l2" else np.sign(normal)

    def at(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = np.clip(start - s[:, None] * direction, 0, 1)
        return z, np.sum(normal * z, axis=1) + offset

    low, high = np.zeros(len(others)), np.full(len(others), 1e6)
    reached = at(high)[1] <= 0
    for _ in range(100):
        middle = 0.5 * (low + high)
        far = at(middle)[1] > 0
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    away = np.linalg.norm(at(high)[0] - start, ord=2 if norm == "l2" else np.inf, axis=1)
    return float(np.min(np.where(reached, away, np.inf)))


def _l1_distance(normal: np.ndarray, gap: float, start: np.ndarray) -> float:
    order = np.argsort(-np.abs(normal))
    slope, room = np.abs(normal[order]), np.where(normal > 0, start, 1 - start)[order]
    bought = np.cumsum(slope * room)
    last = int(np.searchsorted(bought, gap))
    if last == len(order):
        return np.inf
    before = bought[last] - slope[last] * room[last]
    return float(room[:last].sum() + (gap - before) / slope[last])
