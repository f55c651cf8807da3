"""Training with pools, and an audit before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robustcheck.config._audit import AuditConfig
from robustcheck.config._values import nested, require, said, whole
from robustcheck.errors import ConfigError
from robustcheck.text import option

# what a run keeps in a folder of its own
RUN_FILES = ("hardening.npz", "hardening.new.npz")


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How pools of examples are kept in training; the paper gives none of these.

    Attributes:
        size: examples that a pool holds at most; fewer where they would take more than 256 MiB.
        fresh: training samples that are searched when a pool is renewed.
        interval: turns of a pool between two renewals.
        every: training batches between two steps on a pool; the pools take turns.
        batch_size: examples of a step.
        weight: factor on the loss of a step.
        budget: gradient evaluations a sample at most, in making an example.
        cap: examples further away are left out, in shares of the activations' spread: the root of their mean
            squared distance from their mean.
        warmup: training batches before the first step on a pool; a model that is not trained yet needs some.
        kind: "adversarial"; or a control: "noise", Gaussian noise as long as the adversarial examples would
            be; "clean", the activations themselves, for as many gradient steps.
        seed: of everything drawn at random.

    Raises:
        ConfigError: a value outside its range.
    """

    size: int = field(
        default=6000, metadata=said("examples that a pool holds at most", "pools", key="pool_size")
    )
    fresh: int = field(
        default=512, metadata=said("training samples searched when a pool is renewed", "pools")
    )
    interval: int = field(default=8, metadata=said("turns of a pool between two renewals", "pools"))
    every: int = field(default=1, metadata=said("training batches between two steps on a pool", "pools"))
    batch_size: int = field(
        default=128, metadata=said("examples of a step on a pool", "pools", key="pool_batch_size")
    )
    weight: float = field(default=1.0, metadata=said("factor on the loss of a step on a pool", "pools"))
    budget: int = field(
        default=20,
        metadata=said("gradient evaluations of a sample at most, in making an example", "pools"),
    )
    cap: float = field(
        default=0.15,
        metadata=said("leave out examples further away, in shares of the spread of the activations", "pools"),
    )
    warmup: int = field(default=0, metadata=said("training batches before the first step on a pool", "pools"))
    kind: Literal["adversarial", "noise", "clean"] = field(
        default="adversarial",
        metadata=said("what pools hold; noise and clean steps are controls", "pools", key="pool_kind"),
    )
    seed: int = field(default=0, metadata=said("of all that is drawn in training", "pools"))

    def __post_init__(self) -> None:
        least = {"size": 1, "fresh": 1, "interval": 1, "every": 1, "batch_size": 1, "budget": 20, "warmup": 0}
        for name, smallest in (least | {"seed": 0}).items():
            value = getattr(self, name)
            require(whole(value, smallest), name, f"a whole number of {smallest} or more", value)
        for name in ("weight", "cap"):
            value = getattr(self, name)
            require(value > 0 and not math.isnan(value), name, "a number above 0", value)
        kinds = ("adversarial", "noise", "clean")
        require(self.kind in kinds, "kind", f"one of {list(kinds)}", self.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class HardenConfig:
    """Training a model with pools, and an audit before and after.

    Attributes:
        audit: of the model before; the same settings are those of the audit after.
        data: what it is trained on, as for an audit.
        x_key, y_key: arrays of the training ``.npz``.
        layers: ``("all",)``, or the input and layers by name.
        epochs, batch_size: of the training samples.
        rate: of Adam, for a model that is not compiled.
        pool: size, renewal, mixing, search and cap of the pools.
        out: folder of the hardened model and of both reports.
        force: replace what an earlier run left.

    Raises:
        ConfigError: a value outside its range.
    """

    audit: AuditConfig
    data: Any = field(metadata=said("what it is trained on", "data", written=str, metavar="SOURCE"))
    x_key: str | None = field(
        default=None, metadata=said("array of training samples", "data", metavar="K", default="x or x_test")
    )
    y_key: str | None = field(
        default=None, metadata=said("array of training labels", "data", metavar="K", default="y or y_test")
    )
    layers: tuple[str, ...] = field(
        default=("all",),
        metadata=said("all, input, or the name of a layer", "pools", metavar="NAME", default="all"),
    )
    epochs: int = field(default=10, metadata=said("passes over the training samples", "training"))
    batch_size: int = field(default=128, metadata=said("of the training samples", "training"))
    rate: float = field(default=1e-3, metadata=said("of Adam", "training", metavar="R"))
    pool: PoolOptions = field(default_factory=PoolOptions, metadata=nested(PoolOptions))
    out: Path = field(
        default=Path("hardened"),
        metadata=said("folder of the result", "output", metavar="DIR", written=str, read=Path),
    )
    force: bool = field(default=False, metadata=said("replace what an earlier run left", "output"))

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            require(whole(value, 1), option(name), "1 or more", value)
        require(self.rate > 0 and math.isfinite(self.rate), option("rate"), "a number above 0", self.rate)
        alone = len(self.layers) == 1 or "all" not in self.layers
        require(bool(self.layers) and alone, option("layers"), "all, or names", list(self.layers))

    @property
    def model(self) -> Path:
        """The file that the hardened model is written to."""
        return self.out / "hardened.keras"

    @property
    def run(self) -> Path:
        """The folder that a run is kept in until it is over."""
        return self.out / "run"

    def require_free(self) -> None:
        """Refuse, before any work, to write over what an earlier run left, or over what is somebody's own.

        Raises:
            ConfigError: there is a hardened model, and ``force`` was not asked for; a link, or other files
                where a run is kept.
        """
        linked = [
            path for path in (self.out, self.model, self.out / "compare.html", self.run) if path.is_symlink()
        ]
        kept = sorted(self.run.iterdir()) if self.run.is_dir() else [self.run] if self.run.exists() else []
        foreign = linked + [
            path for path in kept if path.name not in RUN_FILES or not path.is_file() or path.is_symlink()
        ]
        if foreign:
            raise ConfigError(
                f"{self.out}: expected a folder of a hardened model, got {foreign[0]}, which is not its own: "
                f"{option('out')} writes elsewhere"
            )
        if self.model.exists() and not self.force:
            raise ConfigError(
                f"{self.out}: holds a hardened model already; {option('force')} replaces it, {option('out')} "
                "writes elsewhere"
            )
