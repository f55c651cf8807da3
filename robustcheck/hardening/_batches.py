"""Training batches whose order, and augmentation, depend on the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Augment = Callable[[Any, np.random.Generator], Any]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Shuffled anew each epoch; an epoch can be begun anywhere.

    Args:
        x, y: samples and labels.
        batch_size: the last batch of an epoch may be smaller.
        seed: of the order.
        first_epoch: where to begin.
        augment: called with a batch ``[B, *shape]`` and a generator; gives the batch that is trained on.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        batch_size: int,
        *,
        seed: int,
        first_epoch: int = 0,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._x, self._y, self._size, self._seed, self._augment = x, y, batch_size, seed, augment
        self._begin(first_epoch)

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._order = np.random.default_rng((self._seed, 1, epoch)).permutation(len(self._x))

    def __len__(self) -> int:
        return -(-len(self._x) // self._size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self._order[index * self._size : (index + 1) * self._size]
        x = self._x[rows]
        if self._augment is not None:
            x = self._augment(x, np.random.default_rng((self._seed, 2, self._epoch, index)))
        return x, self._y[rows]

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._begin(self._epoch + 1)
