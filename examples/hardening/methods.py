"""The networks and the ways of training them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import keras
from keras import layers

from robustcheck import PoolOptions


@dataclass(frozen=True)
class Method:
    """A way of training; ``decay`` is the paper's lambda: ``lambda * sum w^2 / k`` for k units."""

    name: str
    layers: str | tuple[str, ...] = "all"
    pool: PoolOptions = field(default_factory=PoolOptions)
    decay: float = 1e-3
    dropout: float = 0.0
    rate: float = 5e-3
    batch_size: int = 128


# never: no step on a pool is taken, so that training is plain
NEVER = PoolOptions(every=10**9, warmup=10**9)
POOLS = PoolOptions(size=6000, fresh=512, interval=24, cap=0.15, warmup=1000)

# rate and decay of each are the better of a few on the validation split
METHODS = (
    Method("decay", pool=NEVER),
    Method("dropout", pool=NEVER, dropout=0.1),
    # one pool has every turn, so it is renewed as often as each of three
    Method("input pool", layers="input", pool=replace(POOLS, interval=72), rate=2e-3, decay=3e-3),
    Method("pools at all layers", pool=POOLS, rate=2e-3, decay=3e-3),
    Method("noise pools", pool=replace(POOLS, kind="noise"), rate=2e-3, decay=3e-3),
    Method("clean steps", pool=replace(POOLS, kind="clean"), rate=2e-3, decay=3e-3),
)


def network(method: Method, seed: int, steps: int) -> Any:
    """100-100-10 with sigmoid hidden units, compiled with Adam and a cosine schedule of the rate."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((28, 28))
    flow = layers.Flatten()(inputs)
    for i, (units, decay) in enumerate(((100, method.decay), (100, method.decay), (10, method.decay / 10))):
        if method.dropout and i:
            flow = layers.Dropout(method.dropout)(flow)
        last = units == 10
        flow = layers.Dense(
            units,
            None if last else "sigmoid",
            kernel_regularizer=keras.regularizers.l2(decay / units),
            name="logits" if last else f"hidden{i + 1}",
        )(flow)
    model = keras.Model(inputs, flow)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(method.rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model
