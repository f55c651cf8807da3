"""All that a user can set: frozen, keyword-only dataclasses, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from robustcheck.errors import ConfigError
from robustcheck.text import brief, option

__all__ = ["AuditConfig", "Box", "ModelOptions", "PoolOptions", "SearchOptions", "TransferOptions"]

Method: TypeAlias = Literal["boundary", "szegedy"]
DEFAULT_BUDGET: dict[Method, int] = {"boundary": 300, "szegedy": 1000}
Bound: TypeAlias = float | Sequence[float] | NDArray[Any]
# one for all inputs, or one for each: by name, or a list in their order
BoxLike: TypeAlias = "Box | tuple[Bound, Bound] | Mapping[str, Any] | list[Any]"
HeadKind: TypeAlias = Literal["logits", "softmax", "sigmoid", "tanh", "binary_logit"]
Draw: TypeAlias = Literal["first", "random", "stratified"]
# one for all inputs, or one for each by name
DataRange: TypeAlias = "tuple[float, float] | Mapping[str, tuple[float, float]] | None"
Target: TypeAlias = "int | Literal['random', 'least-likely'] | None"


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ConfigError(f"{name}: expected {expected}, got {brief(got)}")


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search for the nearest misclassified input.

    Attributes:
        method: ``"boundary"``, many starts refined along the decision boundary; or ``"szegedy"``, the penalty
            method of Szegedy et al. 2013, section 4.1.
        budget: gradient evaluations of a sample at most; None = 300 for ``boundary``, 1000 for ``szegedy``.
            A larger budget extends the schedule of a smaller one, so it never gives a longer distortion.
        candidates: classes tried for a sample in an untargeted search: those whose linearised boundary is
            nearest.
        tolerance: relative precision with which the decision boundary is located on the way from the
            sample to its example.
        history: pairs of steps that L-BFGS remembers.
        loss_scale: factor on the logits inside the loss of ``szegedy``. ``"auto"`` sharpens each sample's
            loss so that the answer depends neither on the scale of the logits nor on third classes; ``1.0``
            is the paper's letter.
        seed: seed of everything drawn at random.
    """

    method: Method = "boundary"
    budget: int | None = None
    candidates: int = 3
    tolerance: float = 1e-4
    history: int = 10
    loss_scale: float | Literal["auto"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _require(
            self.method in get_args(Method), option("method"), f"one of {list(get_args(Method))}", self.method
        )
        fewest = 20 if self.method == "boundary" else 60
        # the upper ends are far beyond any use, and keep a stored report from asking for a search without end
        for name, least, most in (("budget", fewest, 10**6), ("candidates", 1, 10**5), ("history", 1, 1000)):
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and bool(least <= value <= most)
            fits = whole or (name == "budget" and value is None)
            _require(
                fits,
                option(name) if name == "budget" else name,
                f"a whole number from {least} to {most}",
                value,
            )
        _require(
            isinstance(self.seed, int) and self.seed >= 0, "seed", "a whole number, 0 or more", self.seed
        )
        _require(0 < self.tolerance <= 0.1, "tolerance", "a number above 0 and at most 0.1", self.tolerance)
        scale = self.loss_scale
        positive = isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0
        _require(scale == "auto" or positive, "loss_scale", "'auto' or a positive number", scale)

    @property
    def evaluations(self) -> int:
        """The budget in force."""
        return self.budget or DEFAULT_BUDGET[self.method]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is to be read, where it does not tell by itself.

    Attributes:
        input_shape: shape of one sample; open dimensions need it, and models that were never called.
        output: which output holds the classes, by name or position.
        perturb: names of the inputs that may change.
        head: what the output is: ``"logits"``, ``"softmax"``; or of a single one ``"sigmoid"`` (above 0.5 is
            class 1), ``"tanh"`` or ``"binary_logit"`` (positive is class 1).

    Raises:
        ConfigError: a value outside its range.
    """

    input_shape: tuple[int, ...] | None = None
    output: str | int | None = None
    perturb: tuple[str, ...] | None = None
    head: HeadKind | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        kinds = ("auto", *get_args(HeadKind))
        _require(self.head in kinds, option("head"), f"one of {list(kinds)}", self.head)
        shape = self.input_shape
        sizes = shape is None or all(isinstance(n, int | np.integer) and n >= 1 for n in shape)
        _require(sizes, option("input_shape"), "whole numbers of 1 or more", shape)


@dataclass(frozen=True, eq=False)
class Box:
    """The values an input may take: ``lower <= x <= upper``, feature by feature.

    Both sides broadcast to a sample: a scalar, one value a channel, or one a feature. Infinite sides are
    allowed. Distances are measured in these units.
    """

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]

    @classmethod
    def of(cls, box: BoxLike) -> Box:
        """A checked box from a pair of scalars or arrays."""
        if isinstance(box, Box):
            return box
        try:
            low, high = box
            lower, upper = np.asarray(low, np.float32), np.asarray(high, np.float32)
            # a feature whose sides are equal cannot change, as a constant column of a table cannot
            ordered = bool(np.all(lower <= upper) and np.any(lower < upper))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{option('box')}: expected a pair (lower, upper), got {brief(box)}") from error
        if not ordered:
            raise ConfigError(f"{option('box')}: expected lower < upper, got {brief((low, high))}")
        return cls(lower, upper)

    def rows(self, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both sides broadcast to a sample of ``shape`` and flattened, each ``[D]``.

        A side of ``D`` values is taken as flat already.
        """
        try:
            lower, upper = (
                side if side.shape == (math.prod(shape),) else np.broadcast_to(side, shape).reshape(-1)
                for side in (self.lower, self.upper)
            )
        except ValueError as error:
            got = f"{self.lower.shape} and {self.upper.shape}"
            raise ConfigError(
                f"{option('box')}: expected sides that broadcast to a sample of shape {shape}, "
                f"got shapes {got}"
            ) from error
        return lower, upper

    def describe(self) -> str:
        """Short text for a table: ``[0, 1]``, or how the sides range."""
        lower, upper = (
            f"{side.min():g}" if side.min() == side.max() else f"{side.min():g}..{side.max():g}"
            for side in (self.lower, self.upper)
        )
        return f"[{lower}, {upper}]"


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

    size: int = 6000
    fresh: int = 512
    interval: int = 8
    every: int = 1
    batch_size: int = 128
    weight: float = 1.0
    budget: int = 20
    cap: float = 0.15
    warmup: int = 0
    kind: Literal["adversarial", "noise", "clean"] = "adversarial"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"size": 1, "fresh": 1, "interval": 1, "every": 1, "batch_size": 1, "budget": 20, "warmup": 0}
        for name, smallest in (least | {"seed": 0}).items():
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and bool(value >= smallest)
            _require(whole, name, f"a whole number of {smallest} or more", value)
        for name in ("weight", "cap"):
            value = getattr(self, name)
            _require(value > 0 and not math.isnan(value), name, "a number above 0", value)
        kinds = ("adversarial", "noise", "clean")
        _require(self.kind in kinds, "kind", f"one of {list(kinds)}", self.kind)


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """How examples are tried on other models.

    Attributes:
        rms: sizes at which all models' examples are compared besides their own, RMS in units of the box.
        draws: of Gaussian noise for the control.
        seed: of the noise.

    Raises:
        ConfigError: a value outside its range.
    """

    rms: tuple[float, ...] = ()
    draws: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for rms in self.rms:
            _require(math.isfinite(rms) and rms > 0, "transfer rms", "a finite number above 0", rms)
        _require(self.draws >= 1, "draws", "a whole number of at least 1", self.draws)


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditConfig:
    """One audit, as the command line, Python or a test asks for it.

    Attributes:
        model: the subject: a file or ``package.module:factory``, perhaps ``name=`` before it; or a live
            model or classifier.
        data: an ``.npz``, a folder of images or ``package.module:function``; or ``(x, y)`` or a
            ``tf.data.Dataset``.
        references: models that the examples are tried on, and that are attacked themselves; by name, or as
            the subject is given.
        out: the report folder; must not exist unless ``force``, and then only if robustcheck made it. None =
            nothing is written.
        box: the values a model takes; classifiers bring their own.
        data_range: the stored values that are mapped to the box.
        x_key, y_key: arrays of the ``.npz``.
        class_names: file with one name a line, or the names.
        freeze: mask of features that may not change, or the file with it; by input of a model with several.
        labels: ``"data"``, or ``"model"`` to audit against the subject's own predictions.
        target: None, ``"random"``, ``"least-likely"`` or the number of a class.
        limit: samples at most.
        sample: how these are drawn of the source: ``"first"`` rows, ``"random"``, or ``"stratified"``, at
            random with the classes in proportion.
        model_options: how the models are to be read, where they do not tell. References with one input or
            output need no word on which.
        imports: modules with the user's own layers, for model files that are saved with them.
        batch_size: samples searched at once, None = chosen.
        transfer: ``"all"`` attacks the references too, ``"one-way"`` the subject alone.
        transfer_rms: sizes at which all models' examples are compared besides their own.
        options: how to search.
        policy: rules that the report is judged by, or the file with them.
        baseline: report that changes are measured against, or its folder.
        report_assets: write styles and images as files beside the page.
        command: what was typed, for the report.
    """

    model: Any
    data: Any
    references: tuple[Any, ...] | Mapping[str, Any] = ()
    out: Path | None = None
    force: bool = False
    box: BoxLike = (0.0, 1.0)
    data_range: DataRange = None
    x_key: str | None = None
    y_key: str | None = None
    class_names: Path | tuple[str, ...] | None = None
    freeze: Any = None
    labels: Literal["data", "model"] = "data"
    target: Target = None
    limit: int | None = None
    sample: Draw = "stratified"
    model_options: ModelOptions = field(default_factory=ModelOptions)
    imports: tuple[str, ...] = ()
    batch_size: int | None = None
    transfer: Literal["all", "one-way"] = "all"
    transfer_rms: tuple[float, ...] = ()
    options: SearchOptions = field(default_factory=SearchOptions)
    policy: Any = None
    baseline: Any = None
    report_assets: bool = False
    command: str | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "batch_size"):
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and bool(value >= 1)
            _require(value is None or whole, option(name), "a whole number of at least 1", value)
        for name, known in (("labels", ("data", "model")), ("transfer", ("all", "one-way"))):
            value = getattr(self, name)
            _require(value in known, option(name), f"one of {list(known)}", value)
        _require(isinstance(self.options, SearchOptions), "options", "SearchOptions", self.options)
        _require(
            self.sample in get_args(Draw), option("sample"), f"one of {list(get_args(Draw))}", self.sample
        )
        given = self.data_range
        for low, high in given.values() if isinstance(given, Mapping) else [] if given is None else [given]:
            finite = math.isfinite(low) and math.isfinite(high)
            _require(finite and low < high, option("data_range"), "finite low < high", (low, high))
        # refused before models and data are loaded
        TransferOptions(rms=self.transfer_rms)
        alone = self.transfer_rms and not self.references
        _require(not alone, option("transfer_rms"), "a reference to compare with", "none")
        _require(
            self.baseline is None or self.policy is not None, option("baseline"), "a policy beside it", "none"
        )
