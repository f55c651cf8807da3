"""Train the digit classifier that this project ships, and write the digits it is tested on.

    python train.py [--seed 0] [--epochs 60] [--samples 1297]

Writes ``model.keras`` and ``digits.npz``. Fewer samples and many epochs overfit it on purpose: the tests of
this project are there to notice.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np

from robustcheck import assets

Digits = tuple[np.ndarray, np.ndarray]


def load() -> tuple[Digits, Digits]:
    """Training and test digits ``[N, 8, 8]`` in [0, 1] with their classes: the UCI digits."""
    with np.load(assets.path(assets.DIGITS)) as stored:
        train, test = ((stored[f"x_{part}"], stored[f"y_{part}"]) for part in ("train", "test"))
    return tuple(((x / 16).astype(np.float32), y) for x, y in (train, test))


def train(digits: Digits, *, seed: int, epochs: int) -> keras.Model:
    """One hidden layer of 64 units; ends in logits."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8))
    hidden = keras.layers.Dense(64, "relu")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10)(hidden), name="digits")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*digits, batch_size=64, epochs=epochs, verbose=0)
    return keras.Model(model.inputs, model.outputs, name=model.name)  # without the optimiser's state


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--samples", type=int, default=1297)
    asked = parser.parse_args()
    (x, y), (x_test, y_test) = load()
    model = train((x[: asked.samples], y[: asked.samples]), seed=asked.seed, epochs=asked.epochs)
    model.save("model.keras")
    np.savez_compressed("digits.npz", x=x_test, y=y_test)


if __name__ == "__main__":
    main()
