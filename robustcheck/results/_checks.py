"""What an audit checks: each check's name, question and limits, in one place.

``robustcheck.checks`` has a module for each; the table in the manual's page ``numbers`` is made of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from robustcheck.errors import ConfigError
from robustcheck.text import brief

CheckOutcome: TypeAlias = Literal["PASS", "WARN", "FAIL", "SKIP"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A sign that a number can or cannot be trusted."""

    id: str
    outcome: CheckOutcome
    detail: str


@dataclass(frozen=True, kw_only=True)
class CheckFacts:
    """What a check asks, and where it draws the line.

    Attributes:
        asks: the question that PASS answers with yes.
        advice: what to do where it does not pass.
        warn, fail: limits of the figure that is judged, shares: above it is WARN or FAIL, or below it
            where ``less_is_worse``; NaN = never by this figure.
        warns, fails: what that means, with ``{}`` in the place of the limit; None = never.
        each: asked of the search in each norm; else once.
        flatters: whether distances come out too long where it fails.
        doubts: whether figures of distances are not believed where it fails; else it is judged by a rule of
            its own.
    """

    asks: str
    advice: str
    warn: float = math.nan
    fail: float = math.nan
    warns: str | None = None
    fails: str | None = None
    less_is_worse: bool = False
    each: bool = False
    flatters: bool = False
    doubts: bool = True

    @property
    def lines(self) -> str:
        """When it is WARN and when FAIL, with the limits."""
        pairs = (("WARN", self.warns, self.warn), ("FAIL", self.fails, self.fail))
        return "; ".join(f"{what}: {_with(text, limit)}" for what, text, limit in pairs if text is not None)

    def outcome(self, figure: float) -> CheckOutcome:
        """How a figure is judged."""
        if self._beyond(figure, self.fail):
            return "FAIL"
        return "WARN" if self._beyond(figure, self.warn) else "PASS"

    def _beyond(self, figure: float, limit: float) -> bool:
        return figure < limit if self.less_is_worse else figure > limit


def _with(text: str, limit: float) -> str:
    return text.format("" if math.isnan(limit) else f"{100 * limit:g} %")


# in the order of a report
CHECKS: Mapping[str, CheckFacts] = {
    "labels": CheckFacts(
        asks="Is the model better than chance on these labels?",
        warn=0.05,
        warns="guessing gives as many right in more than {} of the cases, or they are at most twice as many "
        "as guessing gives",
        fails="the first, of 30 samples or more",
        advice="are the labels, the order of the classes, the range of the data right?",
    ),
    "inputs": CheckFacts(
        asks="Do the samples fill the box, and the range that the model's first layer is made for?",
        warn=0.2,
        fail=0.05,
        warns="they fill less than {}",
        fails="less than {}",
        less_is_worse=True,
        advice="`--box`, `--data-range`",
    ),
    "sample": CheckFacts(
        asks="Are the classes of the samples those of the whole source?",
        warn=0.1,
        warns="their shares differ by {} more than twice what a random draw gives, in total variation",
        advice="`--sample stratified`",
    ),
    "stable": CheckFacts(
        asks="Is an answer a sample's own: the same again, alone, in another order and in other company?",
        fails="scores of one of 128 samples differ by more than 0.1 % of the largest when asked again, or by "
        "5 % in other company",
        advice="dropout or noise is on in inference: rebuild the model without, or `--votes 16`",
    ),
    "search": CheckFacts(
        asks="Was an example found for every sample?",
        warn=1.0,
        fail=0.95,
        warns="for fewer than {}",
        fails="for fewer than {}",
        less_is_worse=True,
        each=True,
        # a rule's min_found asks the same
        doubts=False,
        advice="a larger `--budget`; see `stable` and `gradient`",
    ),
    "budget": CheckFacts(
        asks="Would more budget find the same distances?",
        warn=0.01,
        fail=0.5,
        warns="its last doubling shortened the median by more than {}",
        fails="by more than {}",
        each=True,
        flatters=True,
        advice="a larger `--budget`",
    ),
    "starts": CheckFacts(
        asks="Do several starts of the search end at the nearest distance?",
        warn=0.5,
        warns="for more than {} of the samples no second start came within 1 % of it",
        each=True,
        advice="a larger `--budget`; see `gradient`",
    ),
    "verified": CheckFacts(
        asks="Does the plain model misclassify every stored example?",
        fail=1.0,
        fails="one is not misclassified",
        less_is_worse=True,
        each=True,
        advice="see `stable`",
    ),
    "saturated": CheckFacts(
        asks="Are scores those before any saturation, and do they decide as the output does?",
        warn=0.0,
        fail=0.1,
        warns="probabilities that scores are made of are rounded to 1 for some of the samples, or scores "
        "decide otherwise for more than 2 %",
        fails="for more than {} of them",
        flatters=True,
        advice="return logits",
    ),
    "finite": CheckFacts(
        asks="Are scores numbers on the way from samples to their examples?",
        warn=0.0,
        warns="somewhere on the way to one of 64 they are not",
        each=True,
        advice="what is no number is not taken for a mistake: what makes it so?",
    ),
    "gradient": CheckFacts(
        asks="Are the slopes that the search followed those of the scores?",
        warn=0.0,
        fail=0.1,
        warns="they are not and the walk by decisions took over, scores jump, or some samples have none",
        fails="they are not and nothing took over, or more than {} of the samples have none",
        flatters=True,
        advice="the page `trust`",
    ),
    "gradient_free": CheckFacts(
        asks="Does a walk by decisions alone come no nearer than the search?",
        warn=0.05,
        warns="it shortens the median by more than {}; where it was given all samples, its second half does",
        each=True,
        flatters=True,
        advice="the page `trust`",
    ),
    "other_class": CheckFacts(
        asks="Is no example further than the boundary towards the nearest sample of another class?",
        warn=0.0,
        fail=0.05,
        warns="one of 64 is, by more than 5 %",
        fails="more than {} of them are",
        each=True,
        flatters=True,
        advice="a larger `--budget`",
    ),
    "transferred": CheckFacts(
        asks="Is no example made for a reference nearer than the model's own?",
        warn=0.0,
        fail=0.05,
        warns="one is, by more than 1 %",
        fails="for more than {} of the samples",
        flatters=True,
        advice="a larger `--budget`",
    ),
    "noise": CheckFacts(
        asks="Does random noise as long as an example leave the model right?",
        warn=0.1,
        fail=0.5,
        warns="it fools the model for more than {} of the samples, or one of up to 10,000 draws of 0.95 of "
        "that length does",
        fails="for more than {}, or draws of 0.95 for more than 5 % of up to 20 samples",
        each=True,
        flatters=True,
        advice="the search found little that noise does not: see `gradient`",
    ),
    "curve": CheckFacts(
        asks="Does robust accuracy fall to zero, and stay below accuracy under noise as long?",
        warn=0.01,
        fail=0.05,
        warns="it is more than {} above accuracy under noise somewhere, or it ends above zero",
        fails="more than {} above accuracy under noise",
        each=True,
        flatters=True,
        advice="see `search` and `noise`",
    ),
    "eight_bit": CheckFacts(
        asks="Do the examples have others on 256 levels of the box beside them?",
        warn=0.9,
        warns="fewer than {} do",
        less_is_worse=True,
        each=True,
        advice="`distortion8.NORM.STATISTIC` has their lengths",
    ),
    "float16": CheckFacts(
        asks="Do the examples have others in half precision beside them, at most 5 % longer?",
        warn=0.9,
        warns="fewer than {} of up to 256 do",
        less_is_worse=True,
        each=True,
        advice="a model that is served in half precision may not be fooled by what is stored",
    ),
    "png": CheckFacts(
        asks="Are the 8-bit examples misclassified after they were written as PNG and read again?",
        warn=1.0,
        warns="one of 64 is not",
        less_is_worse=True,
        each=True,
        advice="report it: what is on levels is what a file holds",
    ),
    "deployed": CheckFacts(
        asks="Is every deployed form about as robust as the model?",
        warn=0.9,
        fail=0.75,
        warns="for one sample in 20 it errs below {} of the model's distance, or half of them err at lengths "
        "that differ by more than 10 %",
        fails="below {}, or it agrees with the model on a smaller share of the samples than the interval of "
        "the model's accuracy begins at",
        less_is_worse=True,
        doubts=False,
        advice="the page `deployed`",
    ),
}


def judged(check: str, figure: float, detail: str) -> Check:
    """A check whose figure decides."""
    return Check(id=check, outcome=CHECKS[check].outcome(figure), detail=detail)


def not_asked(check: str, reason: str) -> Check:
    """A check that cannot be made."""
    return Check(id=check, outcome="SKIP", detail=reason)


@dataclass(frozen=True, kw_only=True)
class Accept:
    """A check that may fail, and why that is no reason to doubt the figures.

    Raises:
        ConfigError: a check that is none, or no reason.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    check: str
    because: str

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise ConfigError(f"check: expected one of {list(CHECKS)}, got {brief(self.check)}")
        if not self.because.strip():
            raise ConfigError("because: expected the reason in words, got none")
