"""Baselines of tests: files beside a test that hold an audit for a later model to be held against."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robustcheck.compare import against_baseline
from robustcheck.config import SearchedNorm
from robustcheck.errors import ReportRefused
from robustcheck.measures import MIN_SAMPLES, SEARCHED, Metric, column, parse_metric
from robustcheck.norms import NORMS
from robustcheck.report import interval
from robustcheck.results import BASELINE_SCHEMA, AuditReport, Baseline, Standing, Status
from robustcheck.stored import read_json
from robustcheck.testing._explain import ANYWHERE, ReportPlace, fell_lines, replay_line, text

if TYPE_CHECKING:
    from pydantic import TypeAdapter

REL, ACCURACY = 0.05, 0.01
_FIRST = "robustcheck.baseline/1"


def assert_baseline(
    report: AuditReport,
    file: Path,
    *,
    rel: float = REL,
    accuracy: float = ACCURACY,
    name: str = "audit",
    min_samples: int = MIN_SAMPLES,
    place: ReportPlace = ANYWHERE,
) -> Standing:
    """Assert that a model is no worse than the one whose audit a file holds.

    Args:
        report: of an audit on the same samples, under the same conditions.
        file: that :func:`write_baseline` wrote.
        rel: share by which distances may fall, in every norm that was searched: the median ratio over the
            samples, by a paired bootstrap.
        accuracy: share of the samples by which the clean accuracy may fall, by a paired bootstrap.
        name: which audit, where the file holds several.
        min_samples: that both must have.
        place: where the report is, for the message.

    Raises:
        AssertionError: it is worse, or nothing can be said.
        ReportRefused: the file is not a baseline.
        ConfigError: a tolerance that is no share.
    """
    __tracebackhide__ = True
    audits, standings = read_baselines(file), []
    lost = [norm for norm in SEARCHED if norm not in report.searches and _key(name, norm) in audits]
    if lost:
        searched = ", ".join(report.searches)
        reason = f"the baseline is in {', '.join(lost)} too, the audit searched {searched} alone"
        raise AssertionError(text(report, "cannot be held against the baseline", [reason]))
    for norm in report.searches:
        kept = audits.get(_key(name, norm))
        if kept is None:
            in_norm = "" if norm == "l2" else f" in {NORMS[norm].title}"
            raise AssertionError(f"no baseline: {file} holds none of {name!r}{in_norm}")
        found = against_baseline(kept, report, rel=rel, accuracy=accuracy, min_samples=min_samples)
        if found.reasons:
            first = f"worse than the baseline: {kept.model.name}, audited {kept.provenance.started[:10]}"
            if found.median_ratio.value is None:
                first = "cannot be held against the baseline"
            raise AssertionError(text(report, first, _lines(report, found, place)))
        standings.append(found)
    return replace(standings[0], further=standings[1:])


def _key(name: str, norm: str) -> str:
    """An audit in a file; those in L2, once the only ones, go without their norm."""
    return name if norm == "l2" else f"{name} {norm}"


def missing_norms(report: AuditReport, file: Path, *, name: str = "audit") -> list[SearchedNorm]:
    """The norms that a report searched and that a file holds no audit of that name in.

    Raises:
        ReportRefused: there is a file which is not a baseline.
    """
    kept = read_baselines(file) if file.exists() else {}
    return [norm for norm in report.searches if _key(name, norm) not in kept]


def _lines(report: AuditReport, found: Standing, place: ReportPlace) -> list[str]:
    lines = list(found.reasons)
    if found.median_ratio.value is not None:
        lines.append(
            f"{found.shared} samples in both: {NORMS[found.norm].title} distances "
            f"{interval(found.median_ratio)} of the old, "
            f"{found.newly_wrong} became wrong, {found.newly_right} right"
        )
    again = [replay_line(report, found.fell_most[0].index, place, found.norm)] if found.fell_most else []
    return [*lines, *fell_lines(found.fell_most, found.norm), *again]


def standing_line(found: Standing) -> str:
    """How a model stands, in a few words."""
    moved = 100 * (found.accuracy.value or 0.0)
    distances = f"distances {interval(found.median_ratio)} of the baseline's"
    for other in found.further:
        distances += f", in {NORMS[other.norm].title} {interval(other.median_ratio)}"
    return f"{distances}, clean accuracy {moved:+.1f} points, {found.shared} samples"


def write_baseline(
    report: AuditReport,
    file: Path,
    *,
    name: str = "audit",
    min_samples: int = MIN_SAMPLES,
    new_only: bool = False,
) -> bool:
    """Keep an audit in a file, beside what the file holds under other names.

    ``new_only``: in the norms alone that the file holds none of that name in; what is there stays.

    Returns:
        Whether anything changed; a file that holds the same audit of another day is left as it is.

    Raises:
        AssertionError: nothing could be held against it: a search that found too little, no sample right.
        ReportRefused: there is a file which is not a baseline.
    """
    __tracebackhide__ = True
    kept = read_baselines(file) if file.exists() else {}
    norms = missing_norms(report, file, name=name) if new_only else list(report.searches)
    written = {_key(name, norm): _kept_of(report, norm, min_samples) for norm in norms}
    # an audit that is in fewer norms now takes the place of all of the old
    stale = set() if new_only else {_key(name, norm) for norm in SEARCHED} - set(written)
    if not stale & set(kept) and all(
        key in kept and _same_audit(kept[key], new) for key, new in written.items()
    ):
        return False
    kept = {key: audit for key, audit in kept.items() if key not in stale} | written
    audits = ",\n".join(f"{json.dumps(key)}: {audit.to_json()}" for key, audit in sorted(kept.items()))
    file.parent.mkdir(parents=True, exist_ok=True)
    content = f'{{\n"schema": {json.dumps(BASELINE_SCHEMA)},\n"audits": {{\n{audits}\n}}\n}}\n'
    # under a name that nobody can know, and so put a link there
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as scratch:
        scratch.write(content)
    Path(scratch.name).chmod(0o644)
    Path(scratch.name).replace(file)
    return True


def _kept_of(report: AuditReport, norm: SearchedNorm, min_samples: int) -> Baseline:
    """What is kept of an audit in a norm, if another can be held against it."""
    __tracebackhide__ = True
    new = Baseline.of(report, norm)
    itself = against_baseline(new, report, rel=0.0, accuracy=0.0, min_samples=min_samples)
    if itself.reasons:
        raise AssertionError(text(report, "cannot be kept as a baseline", itself.reasons))
    return new


def _same_audit(old: Baseline, new: Baseline) -> bool:
    """Whether they differ in nothing but the day."""
    return replace(old, provenance=replace(old.provenance, started=new.provenance.started)) == new


def read_baselines(file: Path) -> dict[str, Baseline]:
    """The audits that a file holds, by name.

    Raises:
        ReportRefused: the file is missing or not one that robustcheck wrote.
    """
    audits = read_json(
        file,
        "a baseline",
        schema=BASELINE_SCHEMA,
        older={_FIRST: _of_first_schema},
        validate=lambda stored, _: _adapter().validate_json(json.dumps(stored.get("audits")), strict=True),
    )
    for kept in audits.values():
        _require_consistent(kept, file)
    return audits


def _of_first_schema(stored: dict[str, Any]) -> dict[str, Any]:
    """A file of the time when all searches were in L2."""
    audits = stored.get("audits")
    if isinstance(audits, dict):
        audits = {
            name: {**audit, "norm": "l2", "median": audit.get("median_l2")}
            if isinstance(audit, dict)
            else audit
            for name, audit in audits.items()
        }
    return {**stored, "schema": BASELINE_SCHEMA, "audits": audits}


def _require_consistent(baseline: Baseline, file: Path) -> None:
    """What a file says twice must be the same: one that was cut or edited is not whole."""
    rows = baseline.distances
    expected = {Status.FOUND: rows.distance >= 0, Status.ALREADY_WRONG: rows.distance == 0}
    fits = all(
        bool((good & np.isfinite(rows.distance))[rows.is_(status)].all()) for status, good in expected.items()
    )
    if not fits or not len(rows) or len(rows) != baseline.data.samples:
        raise ReportRefused(f"{file}: expected samples with distances that fit their status and number")
    median = Metric.distortion(baseline.norm, "median").name
    names = {"accuracy.clean": baseline.clean_accuracy, median: baseline.median}
    for name, stored in names.items():
        figures = column(parse_metric(name), rows)
        now = None if figures is None else figures.measure().value
        same = stored is now if stored is None or now is None else math.isclose(stored, now, rel_tol=1e-5)
        if not same:
            raise ReportRefused(f"{file}: says {name} = {stored}, its samples give {now}")


@cache
def _adapter() -> TypeAdapter[dict[str, Baseline]]:
    from pydantic import TypeAdapter

    return TypeAdapter(dict[str, Baseline])


def baseline_file(folder: Path, test_file: str, test: str) -> Path:
    """Where the baseline of a test is kept: ``FOLDER/FILE/TEST.json``.

    A name that a file cannot have is told apart by a digest.

    Args:
        folder: of the baselines.
        test_file: name of the test's file without its suffix.
        test: its name in the file, such as ``TestA::test_b[case]``.
    """
    plain = re.sub(r"[^\w.-]+", "_", test, flags=re.ASCII).strip("._")[:80]
    if plain != test:
        plain = f"{plain}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"
    return folder / test_file / f"{plain}.json"
