"""The networks of Szegedy et al. 2013, section 4, on MNIST, and their training.

Weight decay is ``lambda * sum w^2 / k`` for a layer of ``k`` units, as the paper has it. What the paper
does not give is chosen here: Adam with a cosine schedule, 128 samples a batch, the number of epochs; for the
sparse autoencoder sigmoid units, squared error and a penalty on the divergence of the mean activation from
0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

SPARSITY, SPARSITY_WEIGHT = 0.1, 0.1


@dataclass(frozen=True)
class Net:
    """A row of Table 1 or 3: hidden units, decay of each layer, seed of the weights, training images."""

    name: str
    hidden: tuple[int, ...]
    decay: tuple[float, ...]
    seed: int = 0
    part: str = "all"  # or "P1", "P2"
    autoencoder: bool = False


DEEP = (1e-5, 1e-5, 1e-6)
CROSS_MODEL = (
    Net("FC10(1e-4)", (), (1e-4,)),
    Net("FC10(1e-2)", (), (1e-2,)),
    Net("FC10(1)", (), (1.0,)),
    Net("FC100-100-10", (100, 100), DEEP),
    Net("FC200-200-10", (200, 200), DEEP),
    Net("AE400-10", (400,), (0.0, 1e-6), autoencoder=True),
    Net("FC100-100-10, seed 1", (100, 100), DEEP, seed=1),
)
CROSS_SET = (
    Net("FC100-100-10", (100, 100), DEEP, seed=2, part="P1"),
    Net("FC123-456-10", (123, 456), DEEP, seed=3, part="P1"),
    Net("FC100-100-10'", (100, 100), DEEP, seed=4, part="P2"),
)


def trained(net: Net, x: np.ndarray, y: np.ndarray, folder: Path, epochs: int) -> keras.Model:
    """The network trained on ``x`` ``[N, 28, 28]`` in [0, 1]; from ``folder`` if it is there already."""
    path = folder / f"{net.part} {net.name}.keras"
    if path.exists():
        return keras.saving.load_model(path, compile=False)
    keras.utils.set_random_seed(net.seed)
    encoder = _sparse_encoder(net, x, epochs) if net.autoencoder else None
    model = _classifier(net, encoder, x.shape[1:])
    steps = epochs * -(-len(x) // 128)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    model.save(path)
    return model


def _classifier(net: Net, encoder: Any, shape: Sequence[int]) -> keras.Model:
    units = (*net.hidden, 10)
    made = [layers.Flatten()]
    for i, (count, decay) in enumerate(zip(units, net.decay, strict=True)):
        last = i == len(units) - 1
        made.append(
            encoder
            if encoder is not None and not last
            else layers.Dense(
                count,
                None if last else "sigmoid",
                kernel_regularizer=keras.regularizers.l2(decay / count),
            )
        )
    return keras.Sequential([keras.Input(shape), *made])


class Sparse(layers.Layer):
    """Adds the divergence of each unit's mean activation from the wanted one to the loss."""

    def call(self, activation: Any) -> Any:
        """``[B, units]``, unchanged."""
        mean = ops.clip(ops.mean(activation, axis=0), 1e-6, 1 - 1e-6)
        divergence = SPARSITY * ops.log(SPARSITY / mean)
        divergence += (1 - SPARSITY) * ops.log((1 - SPARSITY) / (1 - mean))
        self.add_loss(SPARSITY_WEIGHT * ops.mean(divergence))
        return activation


def _sparse_encoder(net: Net, x: np.ndarray, epochs: int) -> layers.Layer:
    """The hidden layer of an autoencoder, frozen: it is not fine-tuned."""
    flat = x.reshape(len(x), -1)
    encoder = layers.Dense(net.hidden[0], "sigmoid", name="encoder")
    inputs = keras.Input(flat.shape[1:])
    decoded = layers.Dense(flat.shape[1], "sigmoid")(Sparse()(encoder(inputs)))
    autoencoder = keras.Model(inputs, decoded)
    autoencoder.compile("adam", "mse")
    autoencoder.fit(flat, flat, batch_size=128, epochs=epochs, verbose=0)
    encoder.trainable = False
    return encoder
