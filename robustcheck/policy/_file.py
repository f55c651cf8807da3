"""A policy file: read, with every fault fault_text at once; and one to start from."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from robustcheck.errors import ConfigError
from robustcheck.policy._rules import NO_BOUND, Limit, Policy, Rule
from robustcheck.results import Accept, PolicyFacts
from robustcheck.stored import read_toml
from robustcheck.text import brief, listed

TEMPLATE = """\
# What a model must show before it ships: robustcheck gate REPORT --policy THIS_FILE
# Every bound below is a starting point. Set it from a report on a model that you trust.
schema = 1

[[rule]]
metric = "accuracy.clean"
min = 0.9

[[rule]]
metric = "distortion.l2.median"        # a norm that --norm searched; also mean p05 p25 p75 p95 min max
min = 0.5                              # in the units of the box
min_found = 0.95                       # a search that finds less says nothing
min_samples = 30                       # of those classified right
# confidence = 0.95                    # judge the bound of the interval instead of the figure
# max_drop = { relative = 0.05 }       # against --baseline, sample by sample where the data are the same

[[rule]]
metric = "accuracy.robust.l2@0.3"      # right, and no misclassified input found within 0.3; or 8/255
min = 0.7
severity = "warning"                   # told, but does not fail the gate

[[rule]]
metric = "check.search"                # the search found what it should have

# A check that fails makes rules on distances INCOMPLETE, unless it is accepted by name:
# [[accept]]
# check = "noise"
# because = "the classes lie closer than the noise of our sensors"
"""
# and where --deployed held forms of the model against it
OF_FORMS = """
[[rule]]
metric = "check.deployed"              # every form that was held against the model is about as robust

# [[rule]]
# metric = "deployed.NAME.ratio.p05"   # also agreement holds weaker robust@0.3; accuracy.deployed.NAME
# min = 0.9
"""


@dataclass(frozen=True, kw_only=True)
class _File:
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    schema: Literal[1]
    rule: list[Rule]
    accept: list[Accept] = field(default_factory=list)


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(_File)


def read_policy(path: Path) -> Policy:
    """Read a policy from TOML.

    Raises:
        ConfigError: the file cannot be read, or holds what a policy may not; every fault with its place.
    """
    tables, content = read_toml(path, "a policy")
    # as JSON, since in strict mode objects become dataclasses only from there
    stored = json.loads(json.dumps(tables, default=str))
    file, faults = _checked(stored)
    if file is not None and not file.rule:
        faults = ["expected at least one [[rule]], got none"]
    if file is None or faults:
        raise ConfigError(*listed([f"{path}: {fault}" for fault in faults]))
    facts = PolicyFacts(
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        rules=len(file.rule),
        accept=file.accept,
    )
    try:
        return Policy(rules=tuple(file.rule), facts=facts)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _checked(stored: Any) -> tuple[_File | None, list[str]]:
    """The file, or all that is wrong with it.

    A value of the wrong type hides what else is wrong with its rule, so the rest is checked again.
    """
    from pydantic import ValidationError

    faults: list[str] = []
    dropped: set[tuple[Any, ...]] = set()
    for _ in range(3):
        try:
            file: _File = _adapter().validate_json(json.dumps(stored))
        except ValidationError as error:
            for fault in error.errors():
                place = tuple(fault["loc"])
                # what lacks only because it was taken out is no fault
                if place not in dropped:
                    lacks = any(key[:2] == place for key in dropped)
                    faults += [
                        fault_text
                        for fault_text in _fault(fault)
                        if not (lacks and fault_text.endswith(NO_BOUND))
                    ]
                _drop(stored, place, dropped)
        else:
            return (None if faults else file), list(dict.fromkeys(faults))
    return None, list(dict.fromkeys(faults))


def _drop(stored: Any, place: tuple[Any, ...], dropped: set[tuple[Any, ...]]) -> None:
    """Take a key of a rule out; a rule as a whole stays."""
    if len(place) < 3 or place[0] != "rule":
        return
    rule = stored["rule"][place[1]]
    if isinstance(rule, dict) and rule.pop(place[2], None) is not None:
        dropped.add(place[:3])


def _fault(error: Any) -> list[str]:
    """Faults with their place: ``rule 2: min_fuond: unknown key; did you mean 'min_found'?``."""
    loc = error["loc"][1:] if len(error["loc"]) > 1 and error["loc"][0] == "rule" else error["loc"]
    place = [f"rule {key + 1}" if isinstance(key, int) else str(key) for key in loc]
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        first = Accept if error["loc"][0] == "accept" else Rule
        owner: type = Limit if len(place) > 2 and first is Rule else first if len(place) > 1 else _File
        names = [known.name for known in fields(owner)]
        near = difflib.get_close_matches(place[-1], names, n=1)
        message = "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; expected one of {names}")
    elif error["type"] == "missing":
        message = "missing"
    elif "error" in error.get("ctx", {}):
        return [": ".join([*place, line]) for line in str(error["ctx"]["error"]).splitlines()]
    else:
        message = f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {brief(error['input'])}"
    return [": ".join([*place, message])]
