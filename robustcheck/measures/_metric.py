"""The names of measures, as policies write them."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, replace
from typing import Literal, cast

from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError
from robustcheck.measures._statistics import QUANTILES
from robustcheck.norms import NORMS
from robustcheck.results import CHECKS

Family = Literal[
    "accuracy", "robust", "distortion", "distortion8", "examples", "found", "transfer", "check", "doubling",
    "deployed",
]  # fmt: skip

# norms that a search is made in, and those that it measures distances in
SEARCHED = tuple(norm.name for norm in NORMS.values() if norm.name == norm.searched)
MEASURED = tuple(norm.name for norm in NORMS.values() if norm.searched)
STATISTICS = ("mean", "mean_found", *QUANTILES, "min", "max")
GRAMMAR = (
    "accuracy.clean",
    "accuracy.robust.NORM@RADIUS",
    "distortion.NORM.STATISTIC",
    "distortion8.NORM.STATISTIC",
    "examples.NORM.STATISTIC",
    "transfer.max",
    "transfer.mean",
    "transfer.max_excess",
    "transfer.A->B",
    "deployed.NAME.agreement",
    "deployed.NAME.holds",
    "deployed.NAME.weaker",
    "deployed.NAME.ratio.STATISTIC",
    "deployed.NAME.robust@RADIUS",
    "accuracy.deployed.NAME",
    "attack.found",
    "check.ID",
    "search.last_doubling",
    "search.NORM.last_doubling",
)
_PLAIN: dict[str, Family] = {
    "accuracy.clean": "accuracy",
    "attack.found": "found",
    "search.last_doubling": "doubling",
    "transfer.max": "transfer",
    "transfer.mean": "transfer",
    "transfer.max_excess": "transfer",
}


@dataclass(frozen=True)
class Metric:
    """A checked name.

    Attributes:
        name: as policies write it.
        family: what kind of figure.
        norm: that lengths are in; "" where the name has none, and the first that was searched is meant.
        statistic: of lengths.
        radius: of a robust accuracy.
        form: deployed form that it is of.
    """

    name: str
    family: Family
    norm: str = ""
    statistic: str = ""
    radius: float = math.nan
    form: str = ""

    @classmethod
    def distortion(cls, norm: str, statistic: str) -> Metric:
        """A statistic of the distances in a norm that was searched."""
        return cls(f"distortion.{norm}.{statistic}", "distortion", norm, statistic)

    @classmethod
    def distortion8(cls, norm: str, statistic: str) -> Metric:
        """The same of the examples on 256 levels of the box."""
        return cls(f"distortion8.{norm}.{statistic}", "distortion8", norm, statistic)

    @classmethod
    def examples(cls, norm: str, statistic: str) -> Metric:
        """A statistic of the lengths of the examples in a norm that they were not made for."""
        return cls(f"examples.{norm}.{statistic}", "examples", norm, statistic)

    @classmethod
    def robust_accuracy(cls, radius: float | str, norm: str = "l2") -> Metric:
        """The share that is right and stays so within a radius; a text may be a fraction, such as 8/255.

        Raises:
            ConfigError: a text that is no radius.
        """
        written = radius if isinstance(radius, str) else repr(float(radius))
        value = float(radius) if not isinstance(radius, str) else _radius(radius)
        if value is None:
            expected = "a number or a fraction such as '8/255'"
            raise ConfigError(f"radius: expected {expected}, got {radius!r}")
        return cls(f"accuracy.robust.{norm}@{written}", "robust", norm, radius=value)

    @classmethod
    def transfer(cls, made_for: str, to: str) -> Metric:
        """The share of the examples made for one model that another gets wrong."""
        return cls(f"transfer.{made_for}->{to}", "transfer")

    @classmethod
    def deployed(cls, form: str, what: str, statistic: str = "", radius: float = math.nan) -> Metric:
        """What a deployed form does: a share, a statistic of ``ratio``, or ``robust`` within a radius."""
        name = f"accuracy.deployed.{form}" if what == "accuracy" else f"deployed.{form}.{what}"
        name += f".{statistic}" if statistic else ""
        return cls(name, "deployed", statistic=statistic or what, radius=radius, form=form)

    @classmethod
    def check(cls, check: str) -> Metric:
        """Whether a check passes."""
        return cls(f"check.{check}", "check")

    @property
    def higher_is_better(self) -> bool:
        """Whether a model is more robust where the figure is larger."""
        if self.family == "deployed":
            return self.statistic not in ("holds", "weaker")
        return self.family in ("accuracy", "robust", "distortion", "distortion8")

    @property
    def searched(self) -> SearchedNorm | None:
        """The norm that must have been searched; None where any will do."""
        of_a_norm = self.norm and self.family != "examples"
        return cast(SearchedNorm | None, NORMS[self.norm].searched) if of_a_norm else None

    @property
    def range(self) -> tuple[float, float]:
        """The values that the figure can take."""
        lengths = ("distortion", "distortion8", "examples")
        if self.family in lengths or (self.family == "deployed" and ".ratio." in self.name):
            return 0.0, math.inf
        return (-1.0 if self.name == "transfer.max_excess" or self.family == "doubling" else 0.0), 1.0

    @property
    def needs_found(self) -> bool:
        """Whether a search that fails makes the model look better."""
        if self.family == "deployed":
            return self.statistic not in ("accuracy", "agreement")
        return self.family in ("distortion", "distortion8", "examples", "robust", "transfer")


def parse_metric(name: str) -> Metric:
    """A metric from its name.

    Raises:
        ConfigError: a name outside the grammar.
    """
    if name in _PLAIN:
        return Metric(name, _PLAIN[name])
    kind, _, rest = name.partition(".")
    norm, _, last = rest.partition(".")
    if kind in ("distortion", "distortion8", "examples") and norm in NORMS and last in STATISTICS:
        return _of_lengths(name, kind, norm, last)
    of_radius = re.fullmatch(r"robust\.(l2|linf|l1)@(.+)", rest, re.DOTALL)
    if kind == "accuracy" and of_radius:
        if _radius(of_radius[2]) is not None:
            return Metric.robust_accuracy(of_radius[2], of_radius[1])
        raise ConfigError(
            f"expected a metric, got {name!r}: its radius must be a number of 0 or more, or a fraction such "
            "as 8/255"
        )
    if (form := _of_deployed(kind, rest)) is not None:
        return form
    if kind == "search" and norm in SEARCHED and last == "last_doubling":
        return Metric(name, "doubling", norm)
    made_for, arrow, to = rest.partition("->")
    if kind == "transfer" and made_for and arrow and to and "->" not in to:
        return Metric.transfer(made_for, to)
    if kind == "check" and rest in CHECKS:
        return Metric.check(rest)
    near = difflib.get_close_matches(name, _known_names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f" ({', '.join(GRAMMAR)})"
    raise ConfigError(f"expected a metric, got {name!r}{hint}")


def _of_deployed(kind: str, rest: str) -> Metric | None:
    """A figure of a deployed form, whose name may have dots; None where it is none."""
    if kind == "accuracy" and rest.startswith("deployed.") and rest != "deployed.":
        return Metric.deployed(rest.removeprefix("deployed."), "accuracy")
    known = "|".join(STATISTICS)
    found = re.fullmatch(
        rf"(.+)\.(?:(agreement|holds|weaker)|ratio\.({known})|(robust)@(.+))", rest, re.DOTALL
    )
    if kind != "deployed" or found is None:
        return None
    form, share_of, statistic, robust, written = found.groups()
    if robust:
        radius = _radius(written)
        if radius is None:
            return None
        return replace(Metric.deployed(form, f"robust@{written}", radius=radius), statistic="robust")
    return Metric.deployed(form, share_of or "ratio", statistic or "")


def _of_lengths(name: str, kind: str, norm: str, statistic: str) -> Metric:
    if kind == "examples":
        return Metric.examples(norm, statistic)
    if kind == "distortion" and NORMS[norm].searched:
        return Metric.distortion(norm, statistic)
    if kind == "distortion8" and norm in SEARCHED:
        return Metric.distortion8(norm, statistic)
    raise ConfigError(
        f"expected a metric, got {name!r}: {norm} is not searched; 'examples.{norm}.{statistic}' is that of "
        "the examples that were found"
    )


_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE]-?[0-9]{1,2})?"


def _radius(text: str) -> float | None:
    """A number or a fraction; None where it is neither."""
    if re.fullmatch(f"{_NUMBER}(/{_NUMBER})?", text) is None:
        return None
    above, _, below = text.partition("/")
    radius = float(above) / float(below or 1) if float(below or 1) else math.inf
    return radius if math.isfinite(radius) else None


def _known_names() -> list[str]:
    """The names that there are without a report."""
    distances = [Metric.distortion(norm, statistic) for norm in MEASURED for statistic in STATISTICS]
    distances += [Metric.distortion8(norm, statistic) for norm in SEARCHED for statistic in STATISTICS]
    examples = [Metric.examples(norm, statistic) for norm in NORMS for statistic in STATISTICS]
    doublings = [f"search.{norm}.last_doubling" for norm in SEARCHED]
    return [
        *_PLAIN,
        *doublings,
        *(metric.name for metric in (*distances, *examples, *map(Metric.check, CHECKS))),
    ]
