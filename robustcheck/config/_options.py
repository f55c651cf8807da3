"""How to search, how to read a model, and how examples are tried on others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from robustcheck.config._values import HeadKind, Method, SearchedNorm, number_or_word, require, said, whole
from robustcheck.text import option

DEFAULT_BUDGET: dict[Method, int] = {"boundary": 300, "szegedy": 1000, "decision": 5000}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search for the nearest misclassified input.

    Attributes:
        method: ``"boundary"``, many starts refined along the decision boundary; ``"szegedy"``, the penalty
            method of Szegedy et al. 2013, section 4.1, in L2 and Linf; or ``"decision"``, a walk along the
            boundary that asks for decisions alone.
        norm: in which the distance is to be the shortest: ``"l2"``, ``"linf"`` or ``"l1"``. An audit takes
            several, as its ``norms``.
        budget: gradient evaluations of a sample at most, forward evaluations for ``decision``; None = 300 for
            ``boundary``, 1000 for ``szegedy``, 5000 for ``decision``. A larger budget extends the schedule
            of a smaller one, so it never gives a longer distortion.
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

    method: Method = field(default="boundary", metadata=said("how to search", "search"))
    norm: SearchedNorm = "l2"
    budget: int | None = field(
        default=None,
        metadata=said(
            "gradient evaluations of a sample at most, forward ones for decision",
            "search",
            default=", ".join(f"{budget} for {method}" for method, budget in DEFAULT_BUDGET.items()),
        ),
    )
    candidates: int = field(
        default=3, metadata=said("classes tried for a sample, those whose boundary is nearest", "search")
    )
    tolerance: float = field(
        default=1e-4, metadata=said("relative precision with which the boundary is located", "search")
    )
    history: int = field(default=10, metadata=said("pairs of steps that L-BFGS remembers", "search"))
    loss_scale: float | Literal["auto"] = field(
        default="auto",
        metadata=said("factor on the logits in the loss of szegedy", "search", metavar="auto|X"),
    )
    seed: int = field(default=0, metadata=said("of all that is drawn", "search"))

    def __post_init__(self) -> None:
        methods = list(get_args(Method))
        require(self.method in methods, option("method"), f"one of {methods}", self.method)
        norms = list(get_args(SearchedNorm))
        require(self.norm in norms, option("norm"), f"one of {norms}", self.norm)
        own = self.method != "szegedy" or self.norm != "l1"
        expected = (
            "'l2' or 'linf' with the method szegedy: L-BFGS minimises what is smooth, an L1 length is not"
        )
        require(own, option("norm"), expected, self.norm)
        fewest = {"boundary": 20, "szegedy": 60, "decision": 200}[self.method]
        # the upper ends are far beyond any use, and keep a stored report from asking for a search without end
        for name, least, most in (("budget", fewest, 10**6), ("candidates", 1, 10**5), ("history", 1, 1000)):
            value = getattr(self, name)
            fits = whole(value, least, most) or (name == "budget" and value is None)
            require(fits, option(name), f"a whole number from {least} to {most}", value)
        seeded = isinstance(self.seed, int) and self.seed >= 0
        require(seeded, option("seed"), "a whole number, 0 or more", self.seed)
        precise = isinstance(self.tolerance, int | float) and 0 < self.tolerance <= 0.1
        require(precise, option("tolerance"), "a number above 0 and at most 0.1", self.tolerance)
        scale = self.loss_scale
        positive = isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0
        require(scale == "auto" or positive, option("loss_scale"), "'auto' or a positive number", scale)

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
        votes: of a random model: how many draws decide by their majority.

    Raises:
        ConfigError: a value outside its range.
    """

    input_shape: tuple[int, ...] | None = field(
        default=None,
        metadata=said("shape of one sample, for a model whose input sizes are open", "model", several=True),
    )
    output: str | int | None = field(
        default=None,
        metadata=said(
            "which output holds the classes, where there are several",
            "model",
            metavar="NAME",
            read=number_or_word,
        ),
    )
    perturb: tuple[str, ...] | None = field(
        default=None, metadata=said("input that may change, where there are several", "model", metavar="NAME")
    )
    head: Literal["auto"] | HeadKind = field(
        default="auto", metadata=said("what the output is, where the model's graph does not show it", "model")
    )
    votes: int | None = field(
        default=None,
        metadata=said("draws of a random model that decide by their majority; 16 is a start", "model"),
    )

    def __post_init__(self) -> None:
        kinds = ("auto", *get_args(HeadKind))
        require(self.head in kinds, option("head"), f"one of {list(kinds)}", self.head)
        shape = self.input_shape
        drawn = self.votes is None or whole(self.votes, 3, 1000)
        require(drawn, option("votes"), "a whole number from 3 to 1000", self.votes)
        sizes = shape is None or all(whole(n, 1) for n in shape)
        require(sizes, option("input_shape"), "whole numbers of 1 or more", shape)


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How far a model file is believed before it is loaded.

    Attributes:
        trust_model: run the code that a file brings: Lambda layers, SavedModel folders.
        expect_sha256: digest that the subject's file must have, 64 hexadecimal digits.
        max_params: parameters that a file may declare.
        preflight: whether a file is first loaded in a process of its own, with limits: ``"auto"`` does it for
            files that were not seen before.

    Raises:
        ConfigError: a value outside its range.
    """

    trust_model: bool = field(
        default=False,
        metadata=said(
            "run the code that a model file brings (Lambda layers, SavedModel folders); the report says so",
            "trust",
            flag_only=True,
        ),
    )
    expect_sha256: str | None = field(
        default=None, metadata=said("digest that the model's file must have", "trust", metavar="HEX")
    )
    max_params: int = field(
        default=10**9, metadata=said("parameters that a model file may declare", "trust", default="1e9")
    )
    preflight: Literal["auto", "always", "never"] = field(
        default="auto",
        metadata=said(
            "load model files first in a process of its own, with limits; auto: those not seen before",
            "trust",
        ),
    )

    def __post_init__(self) -> None:
        digest = self.expect_sha256
        hexadecimal = digest is None or (len(digest) == 64 and set(digest.lower()) <= set("0123456789abcdef"))
        require(hexadecimal, option("expect_sha256"), "64 hexadecimal digits", digest)
        require(
            whole(self.max_params, 1), option("max_params"), "a whole number of at least 1", self.max_params
        )
        words = ("auto", "always", "never")
        require(self.preflight in words, option("preflight"), f"one of {list(words)}", self.preflight)


Layout: TypeAlias = Literal["auto", "same", "channels-first", "transposed", "flipped"]
Precision: TypeAlias = Literal["float16", "bfloat16", "int8"]


@dataclass(frozen=True, kw_only=True)
class DeployedOptions:
    """Forms of the subject that are to be deployed, and how they take its samples.

    Attributes:
        forms: ``.tflite``, ``.onnx`` or Keras files, ``package.module:factory``, models or predictors; by
            name, or as the subject is given.
        precision: forms that are made of the subject on the spot: its layers in this type.
        takes: the values that files take in place of the box, mapped affinely; None = those of the box.
        layout: how an image ``[H, W, C]`` is handed to a file: ``"same"``; ``"channels-first"``,
            ``[C, H, W]``; ``"transposed"``, ``[W, H, C]``; ``"flipped"``, with the channels the other way
            round; ``"auto"`` sees by the shape whether channels come first.
        max_calls: rows that each form may be asked about; each is then asked about once.

    Raises:
        ConfigError: a value outside its range.
    """

    forms: tuple[Any, ...] | Mapping[str, Any] = field(
        default=(),
        metadata=said(
            "what the model is deployed as: .tflite, .onnx or a Keras file, or package.module:factory",
            "deployed",
            key="deployed",
            metavar="MODEL",
            written=tuple[str, ...],
        ),
    )
    precision: tuple[Precision, ...] = field(
        default=(), metadata=said("also a form of the model made on the spot, in this type", "deployed")
    )
    takes: tuple[float, float] | None = field(
        default=None,
        metadata=said(
            "values that deployed files take in place of the box",
            "deployed",
            key="deployed_range",
            metavar=("LO", "HI"),
            written=tuple[float, float],
            default="the box",
        ),
    )
    layout: Layout = field(
        default="auto",
        metadata=said(
            "how deployed files take an image; auto: channels first where the shape says so",
            "deployed",
            key="deployed_layout",
        ),
    )
    max_calls: int | None = field(
        default=None,
        metadata=said("rows that each deployed form may be asked about, each once", "deployed"),
    )

    def __post_init__(self) -> None:
        given = self.takes
        numbers = isinstance(given, tuple | list) and all(isinstance(side, int | float) for side in given)
        pair = given is None or (numbers and len(given) == 2 and all(map(math.isfinite, given)))
        fits = pair and (given is None or given[0] < given[1])
        require(fits, option("deployed_range"), "two finite numbers, low < high", given)
        require(
            self.layout in get_args(Layout), option("deployed_layout"), f"one of {list(get_args(Layout))}",
            self.layout,
        )  # fmt: skip
        known = set(self.precision) <= set(get_args(Precision))
        require(known, option("precision"), f"some of {list(get_args(Precision))}", self.precision)
        limited = self.max_calls is None or whole(self.max_calls, 1)
        require(limited, option("max_calls"), "a whole number of at least 1", self.max_calls)


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
            require(math.isfinite(rms) and rms > 0, option("transfer_rms"), "a finite number above 0", rms)
        require(whole(self.draws, 1), option("noise_draws"), "a whole number of at least 1", self.draws)
