"""The classifier that searches work on, and how to ask for its logits."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from robustcheck.arrays import F32, F64
from robustcheck.config import HeadKind, ModelOptions
from robustcheck.models._predictor import Predictor, in_batches
from robustcheck.models._votes import Votes

Tensor = Any
# which gradient searches follow: the one that the model declares, or that of what it computes
Slope = Literal["declared", "computed"]
# operations whose values jump, which no slope shows
JUMPS = (
    "Round", "Rint", "Floor", "Ceil", "Sign", "ArgMax", "Greater", "GreaterEqual", "Less", "LessEqual",
    "OneHot", "Bucketize",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Preprocessing:
    """The Rescaling or Normalization that a model begins with: ``x * scale + offset``, on the last axes."""

    kind: str
    scale: F64
    offset: F64

    @property
    def text(self) -> str:
        """The layer in words."""
        if self.kind == "Normalization" or self.scale.size > 1:
            return f"{self.kind} layer"
        inverse = 1.0 / float(self.scale.reshape(-1)[0])
        return f"{self.kind}(1/{inverse:g})"


@dataclass(frozen=True)
class Head:
    """What a model ends in, and how its scores were had.

    Attributes:
        kind: logits, softmax; or of one output sigmoid, tanh, binary_logit.
        recovered: whether the scores are those before the softmax, sigmoid or tanh; None without one.
        left_out: operations at the end without which the decision is the same and the scores are taken, the
            last first.
    """

    kind: HeadKind
    recovered: bool | None
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For reports."""
        plain = ("Softmax",) if self.kind == "softmax" else ()
        before = f", taken before {', '.join(self.left_out)}" if self.left_out not in ((), plain) else ""
        if self.recovered is None:
            return ("one logit" if self.kind == "binary_logit" else "logits") + before
        what = "logits" if self.kind == "softmax" else "logit"
        return f"{self.kind}, {f'{what} recovered' if self.recovered else 'log of probabilities'}{before}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier(Predictor):
    """A model that decides and can be differentiated; made by :func:`robustcheck.wrap`.

    Attributes:
        logits: ``[B, D] float32 -> [B, K] float32``, in inference mode, differentiable and traced once.
        computed: makes the same function with the gradient of what it computes, whatever the model declares.
        slope: which gradient searches follow.
        differentiable: whether there is one: where not, only searches by decisions can be made.
        ends_in: the model's head, and how its logits were had.
        rounding: lead that a decision needs because the head rounds, in logits.
        votes: how draws of a random model decide, where it is asked several times.
        options: how the model was read, as was said to :func:`robustcheck.wrap`.
        preprocessing: the layer that scales its input, if it begins with one.
        model: that was wrapped, for what asks whether it is the same.
        traces: functions that searches have traced for this model, kept as long as it lives.
    """

    logits: Callable[[Tensor], Tensor]
    computed: Callable[[], Callable[[Tensor], Tensor]]
    slope: Slope = "declared"
    differentiable: bool = True
    ends_in: Head
    rounding: float
    votes: Votes | None = None
    options: ModelOptions = field(default_factory=ModelOptions)
    preprocessing: Preprocessing | None = None
    model: Any = field(default=None, repr=False)
    traces: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def head(self) -> str:
        """What the model ends in and how its logits were had, as a text."""
        return str(self.ends_in)

    @property
    def sloped(self) -> Callable[[Tensor], Tensor]:
        """The logits as searches differentiate them: where that is not ``logits``, values may differ."""
        if self.slope == "declared":
            return self.logits
        made: Callable[[Tensor], Tensor] = self.traced("sloped", self.computed)
        return made

    @property
    def jumps(self) -> bool:
        """Whether the graph of the scores has operations whose values jump; of those that are in sight."""
        return any(kind in JUMPS for kind, _ in getattr(self.logits, "operations", ()))

    def by(self, slope: Slope) -> Classifier:
        """The same classifier, of which searches follow another gradient."""
        if slope == self.slope:
            return self
        made: Classifier = self.traced(("by", slope), lambda: replace(self, slope=slope, traces={}))
        return made

    def traced(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The function kept under ``key``, made on first use."""
        if key not in self.traces:
            self.traces[key] = make()
        return self.traces[key]


def logits_of(classifier: Classifier, rows: F32, *, batch_size: int = 256) -> F32:
    """Logits ``[N, K]`` of rows ``[N, D]``."""
    return np.concatenate(in_batches(classifier.logits, rows, batch_size))
