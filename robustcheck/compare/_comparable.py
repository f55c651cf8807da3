"""Which report is which, and whether the figures of two mean the same."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

from robustcheck.config import SearchedNorm, SearchOptions
from robustcheck.measures import Metric
from robustcheck.results import DataFacts, Evidence, ModelFacts, Provenance, ReportDocument, ReportFacts

# where the search may go and what it looks for, and how it looks: distances mean the same where these agree.
# What a report is too old to know of was as it is where nobody says otherwise
_THREAT = ("box", "box_sha256", "labels", "target", "frozen")
_SEARCH = {field.name: field.default for field in fields(SearchOptions) if field.name not in ("seed", "norm")}


def facts(evidence: Evidence) -> ReportFacts:
    """Which report this is."""
    document = evidence.document
    return ReportFacts(
        path=evidence.path,
        model=document.model.name,
        model_sha256=document.model.sha256,
        started=document.provenance.started,
    )


@dataclass(frozen=True)
class Differences:
    """What differs between two reports besides the model, a sentence each.

    ``distances``, ``accuracy``, ``transfer`` and ``examples`` say whether these mean the same in both, and
    ``norms`` in which norms distances do, those that both searched.
    """

    notes: list[str]
    distances: bool
    accuracy: bool
    transfer: bool
    examples: bool
    norms: list[SearchedNorm]

    def allows(self, metric: Metric) -> bool:
        """Whether a measure means the same in both."""
        if metric.family in ("accuracy", "transfer", "examples"):
            return bool(getattr(self, metric.family))
        return self.distances and metric.searched in (None, *self.norms)


class Audited(Protocol):
    """A report, or what is kept of one."""

    @property
    def data(self) -> DataFacts: ...
    @property
    def references(self) -> list[ModelFacts]: ...
    @property
    def provenance(self) -> Provenance: ...
    @property
    def complete(self) -> bool: ...
    @property
    def norm(self) -> SearchedNorm: ...


def differences(old: Audited, new: Audited) -> Differences:
    """What differs between two reports besides the model."""
    threat = [(name, getattr(old.data, name), getattr(new.data, name)) for name in _THREAT]
    ones = [1.0, 1.0]
    threat.append(("cost of a feature", old.data.cost or ones, new.data.cost or ones))
    was, now = old.provenance.options, new.provenance.options
    search = [(name, was.get(name, usual), now.get(name, usual)) for name, usual in _SEARCH.items()]
    hard = [
        f"{name} was {_short(before)}, is {_short(after)}"
        for name, before, after in threat + search
        # the digest differs wherever the costs do, which are told
        if before != after and not (name == "box_sha256" and old.data.cost != new.data.cost)
    ]
    soft = [
        f"{name} was {before}, is {after}"
        for name in ("seed", "robustcheck")
        if (before := getattr(old.provenance, name)) != (after := getattr(new.provenance, name))
    ]
    references = [
        sorted(reference.sha256 or reference.path or reference.name for reference in side.references)
        for side in (old, new)
    ]
    if references[0] != references[1]:
        how = "differ" if all(references) else "are there in one report only"
        soft.append(f"the reference models {how}, so transfer rates are not compared")
    was_in, now_in = norms_of(old), norms_of(new)
    shared = [norm for norm in now_in if norm in was_in]
    if was_in != now_in:
        soft.append(f"searched was {', '.join(was_in)}, is {', '.join(now_in)}")
    if old.norm != new.norm and all(references):
        soft.append(
            "the examples that were tried on references are of two norms, so transfer rates are not compared"
        )
    same_examples = not hard and old.norm == new.norm
    return Differences(
        notes=[*hard, *soft],
        distances=not hard and bool(shared),
        accuracy=old.data.labels == new.data.labels == "data",
        transfer=same_examples and references[0] == references[1],
        examples=same_examples,
        norms=shared,
    )


def norms_of(audited: Audited) -> list[SearchedNorm]:
    """The norms that were searched, the first one first."""
    return list(audited.searches) if isinstance(audited, ReportDocument) else [audited.norm]


def _short(value: object) -> str:
    """A setting in a sentence; of a digest its beginning."""
    text = " to ".join(f"{end:g}" for end in value) if isinstance(value, list) else str(value)
    return text if len(text) < 40 else f"{text[:12]}..."
