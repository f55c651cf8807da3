"""A report without the places of the machine that it was made on: folders tell of users and systems."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeVar

from robustcheck.results._document import ModelFacts, ReportDocument
from robustcheck.results._plan import PlanDocument

Document = TypeVar("Document", bound=ReportDocument)


def without_places(report: Document) -> Document:
    """The same report, where of absolute paths the last name is left; relative ones stay as they are."""
    provenance, policy, baseline = report.provenance, report.policy, report.baseline
    return replace(
        report,
        model=_model(report.model),
        references=[_model(model) for model in report.references],
        data=replace(report.data, path=_source(report.data.path)),
        deployed=[replace(form, path=_source(form.path)) for form in report.deployed],
        provenance=replace(provenance, command=_command(provenance.command)),
        policy=None if policy is None else replace(policy, path=_source(policy.path)),
        baseline=None if baseline is None else replace(baseline, path=_source(baseline.path)),
    )


def plan_without_places(plan: PlanDocument) -> PlanDocument:
    """The plan of a finished audit, which no process has to find its files by any more."""
    return replace(
        plan,
        models=[_model(model) for model in plan.models],
        data=replace(plan.data, path=_source(plan.data.path)),
        command=_command(plan.command),
        settings=None,
    )


def _model(facts: ModelFacts) -> ModelFacts:
    return replace(facts, path=_source(facts.path))


def _source(text: str | None) -> str | None:
    """A path, or two with a comma between."""
    return None if text is None else _last(text)


def _last(path: str) -> str:
    """The last name of an absolute path, or of each of two; a relative one as it is."""
    if ",/" in path:
        return ",".join(map(_last, re.split(",(?=/)", path)))
    windows = PureWindowsPath(path)
    if PurePosixPath(path).is_absolute():
        return PurePosixPath(path).name
    return windows.name if windows.drive or path.startswith("\\") else path


def _command(command: str | None) -> str | None:
    """What was typed, word by word; of ``--flag=PATH`` and ``name=PATH`` the path."""
    if command is None:
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return shlex.join(map(_word, words))


def _word(word: str) -> str:
    head, equals, path = word.partition("=")
    if not equals or PurePosixPath(word).is_absolute():
        return _last(word)
    return f"{head}={_last(path)}"
