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
import tempfile
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


def small_net(mnist: Path) -> keras.Model:
    """A 100-100-10 net trained for two epochs."""
    with np.load(mnist) as stored:
        x, y = stored["x_train"] / np.float32(255), stored["y_train"]
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(100, "relu") for _ in range(2)]
    stack = [keras.Input(x.shape[1:]), layers.Flatten(), *hidden, layers.Dense(10)]
    model = keras.Sequential(stack, name="dense_100_100_10")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=2, batch_size=128, verbose=0)
    return model


def peak() -> float:
    """Largest memory of this process so far, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage begins with the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(model: keras.Model, x: np.ndarray, asked: argparse.Namespace) -> None:
    """Search, against the model's own labels, and print what it took."""
    before, begun = peak(), time.perf_counter()
    options = rc.SearchOptions(budget=asked.budget)
    result = rc.minimal_distortion(rc.wrap(model), x, None, options=options, batch_size=asked.batch_size)
    seconds = time.perf_counter() - begun
    arrays = x.nbytes + sum(array.nbytes for array in result.columns().values())
    print(
        f"{model.name}: {model.count_params():,} parameters, {len(x):,} samples of {x[0].size:,} features, "
        f"{model.output_shape[-1]:,} classes\n"
        f"  found {result.found.sum():,} of {len(x):,}; median L2 {np.median(result.l2):.4f}\n"
        f"  gradients a sample: mean {result.gradient_evaluations.mean():.0f}\n"
        f"  seconds {seconds:.0f}; peak memory {peak():,.0f} MiB ({before:,.0f} before the search; "
        f"arrays of data and results {arrays / 2**20:,.0f})",
        flush=True,
    )


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("alexnet", "model", "samples"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, help="an npz with images, uint8 or in [0, 1]")
    parser.add_argument("--key", default="x", help="their name in --data")
    parser.add_argument("--mnist", type=Path, help="x_train, y_train, x_test")
    parser.add_argument("--count", type=int, nargs="*", help="images; samples: in a process each")
    parser.add_argument("--budget", type=int, default=rc.SearchOptions().evaluations)
    parser.add_argument("--batch-size", type=int)
    asked = parser.parse_args()
    if asked.what == "alexnet":
        (count,) = asked.count or (4,)
        measure(alexnet(), smooth_images(count, 227), asked)
    elif asked.what == "model":
        with np.load(asked.data) as stored:
            x = stored[asked.key][: asked.count[0] if asked.count else None]
        x = x / np.float32(255) if x.dtype == np.uint8 else x
        measure(keras.saving.load_model(asked.model, compile=False), x, asked)
    else:
        samples(asked)


def samples(asked: argparse.Namespace) -> None:
    """The same net on more and more images; training would hide the peak, so it has its own process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.keras"
        small_net(asked.mnist).save(path)
        for count in asked.count or (1000, 10000):
            command = [sys.executable, __file__, "model", "--model", str(path), "--data", str(asked.mnist)]
            command += ["--key", "x_test", "--count", str(count), "--budget", str(asked.budget)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
