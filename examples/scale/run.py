"""How large may the model and the data be? Seconds and peak memory of searches at scale.

    python examples/scale/run.py alexnet
    python examples/scale/run.py model --model MODEL.keras --data photos.npz
    python examples/scale/run.py samples --mnist mnist.npz

``alexnet`` builds the network of Krizhevsky et al. 2012 (227 x 227 x 3, five convolutions, three dense
layers, 1000 classes) with random weights of a fixed seed and searches on smooth random images. ``model``
takes a model and the images ``x`` of a file, with the labels that the model gives them. ``samples`` trains a
100-100-10 net and searches 1,000 and 10,000 images, each in a process of its own, so that their peaks can be
compared. The README beside this file has the figures of one machine.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import robustcheck as rc


class LocalResponseNormalization(layers.Layer):
    """Krizhevsky et al. 2012, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75."""

    def call(self, x: Any) -> Any:
        """``[B, H, W, C]``; a radius of 2 on each side makes n = 5."""
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


def alexnet() -> keras.Model:
    """The original, with its two towers as halves of the channels; weights drawn with seed 0."""
    keras.utils.set_random_seed(0)

    def in_two(x: Any, filters: int, size: int) -> Any:
        half = x.shape[-1] // 2
        towers = [
            layers.Conv2D(filters // 2, size, padding="same", activation="relu")(part)
            for part in (x[..., :half], x[..., half:])
        ]
        return layers.Concatenate()(towers)

    inputs = keras.Input((227, 227, 3))
    x = layers.Conv2D(96, 11, strides=4, activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2)(LocalResponseNormalization()(x))
    x = in_two(x, 256, 5)
    x = layers.MaxPooling2D(3, 2)(LocalResponseNormalization()(x))
    x = layers.Conv2D(384, 3, padding="same", activation="relu")(x)
    x = in_two(x, 384, 3)
    x = in_two(x, 256, 3)
    x = layers.Flatten()(layers.MaxPooling2D(3, 2)(x))
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(4096, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(1000)(x), name="alexnet")


def smooth_images(count: int, size: int) -> np.ndarray:
    """Random colour gradients, ``[count, size, size, 3]`` in [0, 1]."""
    coarse = np.random.default_rng(0).random((count, 8, 8, 3), np.float32)
    return np.asarray(tf.image.resize(coarse, (size, size), method="bicubic")).clip(0, 1)


def small_net(mnist: Path) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A 100-100-10 net trained for two epochs, and the test images."""
    with np.load(mnist) as stored:
        x_train, y_train, x, y = (stored[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(100, "relu") for _ in range(2)]
    model = keras.Sequential([keras.Input(x.shape[1:]), layers.Flatten(), *hidden, layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x_train / np.float32(255), y_train, epochs=2, batch_size=128, verbose=0)
    return model, x / np.float32(255), y.astype(np.int64)


def peak() -> float:
    """Largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(model: keras.Model, x: np.ndarray, y: np.ndarray | None, asked: argparse.Namespace) -> None:
    """Search and print what it took."""
    before, begun = peak(), time.perf_counter()
    options = rc.SearchOptions(budget=asked.budget)
    result = rc.minimal_distortion(rc.wrap(model), x, y, options=options, batch_size=asked.batch_size)
    seconds = time.perf_counter() - begun
    of_results = sum(np.asarray(one).nbytes for one in vars(result).values()) + x.nbytes
    attacked = result.found | (result.status == "NOT_FOUND")
    median = np.median(result.l2[attacked])
    print(
        f"{model.name}: {model.count_params():,} parameters, {len(x):,} samples of {x[0].size:,} features, "
        f"{model.output_shape[-1]:,} classes\n"
        f"  found {result.found.sum():,} of {attacked.sum():,}; median L2 {median:.4f}\n"
        f"  gradients a sample: mean {result.gradient_evaluations[attacked].mean():.0f}\n"
        f"  seconds {seconds:.0f}; peak memory {peak():,.0f} MiB ({before:,.0f} before the search; "
        f"data and results {of_results / 2**20:,.0f})",
        flush=True,
    )


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("alexnet", "model", "samples"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, help="an npz with x, uint8 or in [0, 1]")
    parser.add_argument("--mnist", type=Path, help="x_train, y_train, x_test, y_test")
    parser.add_argument("--count", type=int, nargs="*", help="samples: how many images, each in a process")
    parser.add_argument("--budget", type=int, default=rc.SearchOptions().evaluations)
    parser.add_argument("--batch-size", type=int)
    asked = parser.parse_args()
    if asked.what == "alexnet":
        (count,) = asked.count or (4,)
        measure(alexnet(), smooth_images(count, 227), None, asked)
    elif asked.what == "model":
        with np.load(asked.data) as stored:
            x = stored["x"]
        x = x / np.float32(255) if x.dtype == np.uint8 else x
        measure(keras.saving.load_model(asked.model, compile=False), x, None, asked)
    else:
        counts = asked.count or (1000, 10000)
        if len(counts) == 1:
            model, x, y = small_net(asked.mnist)
            measure(model, x[: counts[0]], y[: counts[0]], asked)
            return
        for count in counts:
            command = [sys.executable, __file__, "samples", "--mnist", str(asked.mnist)]
            subprocess.run([*command, "--count", str(count), "--budget", str(asked.budget)], check=True)


if __name__ == "__main__":
    main()
