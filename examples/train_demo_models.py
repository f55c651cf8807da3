"""Make the digits and the three models that come with robustcheck.

    pip install scikit-learn
    python examples/train_demo_models.py --out robustcheck/assets

Two dense nets that differ in width and seed, with a softmax head as most classifiers have, and one
convolutional net that ends in logits. Prints the accuracy of each on the 500 test digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

Digits = dict[str, np.ndarray]


def load_digits() -> Digits:
    """The UCI digits, shuffled with a fixed seed and split 1297 to 500."""
    from sklearn import datasets

    digits = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x = digits.images[order].astype(np.uint8)
    y = digits.target[order].astype(np.uint8)
    return {"x_train": x[:-500], "y_train": y[:-500], "x_test": x[-500:], "y_test": y[-500:]}


def dense(width: int) -> keras.Model:
    """One hidden layer; softmax head."""
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name=f"digits_dense_{width}",
    )


def convolutional() -> keras.Model:
    """Two small convolutions; ends in logits."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(12, 3, activation="relu"),
            keras.layers.Conv2D(24, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ],
        name="digits_conv",
    )


def train(
    build: Callable[[], keras.Model], seed: int, data: Digits, epochs: int
) -> tuple[keras.Model, float]:
    """Build and train a model; returns it with its test accuracy."""
    keras.utils.set_random_seed(seed)
    model = build()
    from_logits = model.layers[-1].activation.__name__ == "linear"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile("adam", loss, metrics=["accuracy"])
    shape = (-1, *model.input_shape[1:])
    x_train, x_test = (data[key].reshape(shape) / 16.0 for key in ("x_train", "x_test"))
    model.fit(x_train, data["y_train"], epochs=epochs, batch_size=32, verbose=0)
    return model, float(model.evaluate(x_test, data["y_test"], verbose=0)[1])


def main() -> None:
    """Write digits.npz and the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = load_digits()
    np.savez_compressed(arguments.out / "digits.npz", **data)
    for seed, build in enumerate((lambda: dense(64), lambda: dense(96), convolutional)):
        model, accuracy = train(build, seed, data, arguments.epochs)
        # without the optimiser's state the files are a third of the size
        slim = keras.Model(model.inputs, model.outputs, name=model.name)
        slim.save(arguments.out / f"{model.name}.keras")
        size = (arguments.out / f"{model.name}.keras").stat().st_size
        print(f"{model.name}: test accuracy {accuracy:.3f}, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
