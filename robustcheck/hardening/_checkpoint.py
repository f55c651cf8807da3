"""A run on disk: weights, optimiser, pools and how far it came, in one file without pickles."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from robustcheck.config import RUN_FILES
from robustcheck.errors import ConfigError, one_line
from robustcheck.hardening._callback import PoolTraining
from robustcheck.stored import open_arrays

_FILE, _NEW = RUN_FILES


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Writes the run at the end of each epoch; the file is whole or not there.

    Args:
        folder: where the file is.
        pools: the callback whose pools are kept.
        settings: what must be the same for a run to go on.
    """

    def __init__(self, folder: Path, pools: PoolTraining, settings: dict[str, Any]) -> None:
        super().__init__()
        self.file = folder / _FILE
        self._pools = pools
        self._settings = hashlib.sha256(
            json.dumps(settings, sort_keys=True, default=str).encode()
        ).hexdigest()
        # of all epochs done, those before a restart too
        self.history: list[dict[str, float]] = []
        # of the run until the last restart, without what was lost with it
        self.seconds = 0.0
        self._begun = time.perf_counter()

    def restore(self, model: Any) -> int:
        """Put model, optimiser and pools where the file left them; returns the epochs that are done.

        Raises:
            ConfigError: the file is damaged, or of another run.
        """
        if not self.file.is_file():
            return 0
        arrays, meta = self._read()
        if meta["settings"] != self._settings:
            raise ConfigError(
                f"{self.file}: expected a checkpoint of the same run, got one of other settings, model or "
                "data; name another folder or remove it"
            )
        variables = _variables(model)
        if len(variables) != sum(name.startswith("variable/") for name in arrays):
            raise ConfigError(f"{self.file}: expected a checkpoint of this model, got other variables")
        try:
            for i, variable in enumerate(variables):
                variable.assign(arrays[f"variable/{i}"])
            self._pools.restore(arrays)
            self.history, self.seconds = list(meta["history"]), float(meta["seconds"])
            epoch = int(meta["epoch"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigError(f"{self.file}: expected a checkpoint of this run: {one_line(error)}") from error
        self._begun = time.perf_counter()
        return epoch

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arrays of the file, and what it says of itself."""
        with open_arrays(self.file, "a checkpoint of a run", ConfigError) as stored:
            arrays: dict[str, Any] = {name: stored[name] for name in stored}
        try:
            meta = json.loads(str(arrays.pop("meta")))
            if not isinstance(meta, dict):
                raise TypeError(f"got {type(meta).__name__}")
            _ = meta["settings"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{self.file}: expected a checkpoint of a run: {one_line(error)}") from error
        return arrays, meta

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write."""
        self.history.append({name: float(value) for name, value in (logs or {}).items()})
        meta = {
            "settings": self._settings,
            "epoch": epoch + 1,
            "history": self.history,
            "seconds": self.seconds + time.perf_counter() - self._begun,
        }
        arrays: dict[str, Any] = {
            f"variable/{i}": variable.numpy() for i, variable in enumerate(_variables(self.model))
        }
        arrays |= self._pools.arrays() | {"meta": np.array(json.dumps(meta))}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.file.with_name(_NEW)
        with scratch.open("wb") as stream:
            np.savez(stream, **arrays)
        scratch.replace(self.file)


def _variables(model: Any) -> list[Any]:
    """All that training changes: weights, states of random layers, and the optimiser's own."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in metrics] + list(
        model.optimizer.variables
    )
