"""The names of measures, as policies write them, and the rows that each is made of."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from robustcheck.arrays import F64, I64, Mask
from robustcheck.config import SearchedNorm
from robustcheck.errors import ConfigError
from robustcheck.measures._statistics import LEVEL, QUANTILES, known, mean, quantile, share
from robustcheck.norms import NORMS
from robustcheck.results import CHECKS, Evidence, Measure, SampleTable, Status, TransferMatrix

Family = Literal[
    "accuracy", "robust", "distortion", "distortion8", "examples", "found", "transfer", "check", "doubling",
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
    """

    name: str
    family: Family
    norm: str = ""
    statistic: str = ""
    radius: float = math.nan

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
    def check(cls, check: str) -> Metric:
        """Whether a check passes."""
        return cls(f"check.{check}", "check")

    @property
    def higher_is_better(self) -> bool:
        """Whether a model is more robust where the figure is larger."""
        return self.family in ("accuracy", "robust", "distortion", "distortion8")

    @property
    def searched(self) -> SearchedNorm | None:
        """The norm that must have been searched; None where any will do."""
        of_a_norm = self.norm and self.family != "examples"
        return cast(SearchedNorm | None, NORMS[self.norm].searched) if of_a_norm else None

    @property
    def range(self) -> tuple[float, float]:
        """The values that the figure can take."""
        if self.family in ("distortion", "distortion8", "examples"):
            return 0.0, math.inf
        return (-1.0 if self.name == "transfer.max_excess" or self.family == "doubling" else 0.0), 1.0

    @property
    def needs_found(self) -> bool:
        """Whether a search that fails makes the model look better."""
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


@dataclass(frozen=True, eq=False)
class Column:
    """The rows that a figure is made of: a value a sample, and which samples count, both ``[N]``."""

    values: F64
    counted: Mask
    statistic: str

    def measure(self, level: float = LEVEL) -> Measure:
        """The figure over all rows."""
        values = self.values[self.counted]
        if self.statistic == "share":
            return share(int(values.sum()), len(values), level)
        if self.statistic == "mean":
            return mean(values, level)
        if self.statistic in QUANTILES:
            return quantile(values, QUANTILES[self.statistic], level)
        extreme = {"min": np.min, "max": np.max}[self.statistic]
        return Measure(known(extreme(values)) if len(values) else None, len(values))

    def take(self, rows: I64) -> Column:
        """Some of the rows."""
        return Column(self.values[rows], self.counted[rows], self.statistic)

    def weighted(self, weights: I64) -> F64:
        """The figure with each row repeated ``weights`` ``[R, N]`` times, for R resamples, ``[R]``.

        NaN of no row, infinite where the figure falls on a sample that nothing was found for.
        """
        rows = np.flatnonzero(self.counted)
        rows = rows[np.argsort(self.values[rows])]
        values, counted = self.values[rows], weights[:, rows]
        n = counted.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.statistic in ("share", "mean"):
                finite = np.where(np.isfinite(values), values, 0.0)
                lost = counted @ ~np.isfinite(values) > 0
                return np.where(lost, math.inf, counted @ finite / n)
            position = {**QUANTILES, "min": 0.0, "max": 1.0}[self.statistic] * (n - 1)
            upto = np.cumsum(counted, axis=1)
            below, above = (_at_rank(values, upto, side) for side in (np.floor(position), np.ceil(position)))
            weight = position - np.floor(position)
            between = np.where(np.isfinite(above), below + weight * (above - below), math.inf)
            return np.where(n == 0, math.nan, np.where(weight == 0, below, between))


def _at_rank(values: F64, upto: I64, rank: F64) -> F64:
    """The order statistic of each rank ``[R]``: values sorted ``[n]``, counted up to each in ``upto``."""
    if not len(values):
        return np.full(len(rank), math.nan)
    place = [int(np.searchsorted(row, at, side="right")) for row, at in zip(upto, rank, strict=True)]
    return values[np.minimum(place, len(values) - 1)]


def column(metric: Metric, samples: SampleTable) -> Column | None:
    """The rows of a metric, of what a search left; None where they do not tell it."""
    if metric.searched not in (None, samples.norm):
        return None
    correct, finite = samples.correct, ~samples.is_(Status.NON_FINITE)
    if metric.family == "accuracy":
        return Column(correct.astype(float), finite, "share")
    if metric.family == "robust":
        return Column((correct & (samples.distance > metric.radius)).astype(float), finite, "share")
    if metric.family == "found":
        return Column(samples.found.astype(float), correct, "share")
    values = _lengths(metric, samples)
    if values is None:
        return None
    if metric.statistic == "mean_found":
        return Column(values, correct & np.isfinite(values), "mean")
    return Column(values, correct, metric.statistic)


def _lengths(metric: Metric, samples: SampleTable) -> F64 | None:
    """The lengths ``[N]`` that a figure is of; None where it is of none, or they are not told."""
    # what a test keeps of an audit has the distances alone
    own = metric.norm == samples.norm
    if metric.family == "distortion8":
        on_levels: F64 | None = getattr(samples, "distance8", None)
        return None if on_levels is None or np.isnan(on_levels[samples.correct]).any() else on_levels
    # the length in the norm that they were made for is their distance
    is_the_distance = metric.family == "examples" and NORMS[metric.norm].searched == samples.norm
    if metric.family not in ("distortion", "examples") or is_the_distance:
        return None
    lengths: F64 | None = samples.distance if own else getattr(samples, metric.norm, None)
    return lengths


def measure(metric: Metric, evidence: Evidence, level: float = LEVEL) -> Measure | None:
    """A figure of a report with its interval at ``level``; None where the report has not what it takes."""
    samples = evidence.rows(metric.searched or evidence.document.norm)
    rows = None if samples is None else column(metric, samples)
    if rows is not None:
        return rows.measure(level)
    transfer = evidence.document.transfer
    if metric.family == "transfer" and transfer is not None:
        return transfer_measures(transfer, level).get(metric.name)
    name = metric.name
    if metric.family == "doubling" and metric.norm:
        name = doubling_name(metric.norm, evidence.document.norm)
    stored = evidence.document.measures.get(name)
    # what a report holds is at 95 %; without the rows there is no other
    return stored if stored is None or level == LEVEL else Measure(stored.value, stored.n)


def doubling_name(norm: str, first: str) -> str:
    """What the last doubling of a search is stored as: that of the first norm goes without its name."""
    return "search.last_doubling" if norm == first else f"search.{norm}.last_doubling"


def transfer_measures(transfer: TransferMatrix, level: float = LEVEL) -> dict[str, Measure]:
    """``transfer.A->B`` for each pair of different models, and ``transfer.max``, ``mean``, ``max_excess``.

    The three sum up what the examples made for the audited model, the first, do to the others.
    """
    measures: dict[str, Measure] = {}
    for row in transfer.rows:
        for name, errors in zip(transfer.models, row.errors, strict=True):
            if name != row.made_for and errors is not None:
                measures[Metric.transfer(row.made_for, name).name] = share(errors, row.n, level)
    if not transfer.rows:
        return measures
    subject = transfer.rows[0]
    excess = [more for more in subject.excess[1:] if more is not None]
    if excess:
        shares = [share(errors, subject.n, level) for errors in subject.errors[1:] if errors is not None]
        measures["transfer.max"] = max(shares, key=lambda figure: figure.value or 0.0)
        measures["transfer.mean"] = Measure(
            sum(figure.value or 0.0 for figure in shares) / len(shares), subject.n
        )
        measures["transfer.max_excess"] = Measure(max(excess), subject.n)
    return measures
