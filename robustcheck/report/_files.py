"""The report folder."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from robustcheck.errors import ConfigError, ReportRefused, one_line
from robustcheck.report._attestation import attestation
from robustcheck.report._csv import rows_csv, samples_csv
from robustcheck.report._html import html_page
from robustcheck.report._junit import junit_xml
from robustcheck.report._markdown import markdown_summary
from robustcheck.results import AuditReport, SampleOutcomes, SearchResult
from robustcheck.stored import DROPPINGS, MOST_JSON, read_limited
from robustcheck.text import option

# what is made of a report as a text, by file; None = there is nothing to say. The page is made beside these,
# since it may have files of its own
FORMATS: Mapping[str, Callable[[AuditReport], str | None]] = {
    "report.json": AuditReport.to_json,
    "summary.md": markdown_summary,
    "junit.xml": junit_xml,
    "samples.csv": samples_csv,
    "attestation.json": attestation,
}
# files of a report
_REPORT = re.compile(
    "|".join(
        map(re.escape, (*FORMATS, "report.html", "samples.npz", "box.npz", "transfer", "deployed", "assets"))
    )
    + r"|samples\.(l2|linf|l1)\.(npz|csv)"
    + r"|(transfer|deployed)/[\w.-]+\.npz|assets/style\.css"
    + r"|assets/((l2|linf|l1|form\d+)-)?\d{3}-(original|perturbation|adversarial)\.png",
    re.ASCII,
)
# what else a report folder may hold, of an audit under way; anything else is somebody else's
_WORK = re.compile(
    r"plan\.json|shards|\.writing-plan\.json|shards/(\.writing-)?\d{5,}-[0-9a-f]{32}\.npz", re.ASCII
)
_SCRATCH = ".writing-"
# a folder that was being written when its process was killed; what is in it are files of a report
_LEFT = re.compile(r"\.writing-[a-z0-9_]{8}", re.ASCII)


def prepare_folder(out: Path, *, force: bool, resume: bool = False) -> Path:
    """Check, before any work, that the report can be written to ``out``; the folder with links resolved.

    A link in the folder is refused: nothing is written through one.

    ``resume``: go on with what an audit left there that was stopped.

    Raises:
        ConfigError: something is there that must not be replaced, or nothing can be written there.
    """
    folder = out.resolve()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{out}: expected a folder for the report, got a file")
    linked = [entry.relative_to(folder).as_posix() for entry in folder.rglob("*") if entry.is_symlink()]
    if linked:
        raise ConfigError(
            f"{out}: expected a report, got a link in it, {linked[0]}: nothing is written through"
        )
    there = [
        entry.relative_to(folder).as_posix() for entry in folder.rglob("*") if entry.name not in DROPPINGS
    ]
    # what an audit leaves that was stopped before anything was done
    ours = _is_report(folder)
    begun = ("shards", "plan.json") if ours else ("shards",)
    there = [name for name in there if not _is_left(name)]
    foreign = sorted(name for name in there if not _is_own(folder, name))
    there = [] if all(name in begun for name in there) else there
    if foreign:
        raise ConfigError(
            f"{out}: expected a folder with nothing but a report, got files that are not a report's: "
            f"{', '.join(foreign[:3])}{' and more' if len(foreign) > 3 else ''}"
        )
    if there and not ours:
        raise ConfigError(f"{out}: expected a report, got files that are not a report's: {there[0]}")
    _require_asked(out, there, force=force, resume=resume)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{out}: expected a place to write a report to: {one_line(error)}") from error
    finally:
        if not there and folder.is_dir():
            with contextlib.suppress(OSError):
                folder.rmdir()
    return folder


def _is_left(name: str) -> bool:
    """Whether a path in a folder is what a process left that was killed while it wrote a report."""
    first, _, rest = name.partition("/")
    return _LEFT.fullmatch(first) is not None and (not rest or _REPORT.fullmatch(rest) is not None)


def _is_own(folder: Path, name: str) -> bool:
    """Whether a path is what a report or the work of an audit is called, and is of that kind."""
    if _REPORT.fullmatch(name) or _WORK.fullmatch(name):
        return (folder / name).is_dir() == (name in ("shards", "transfer", "deployed", "assets"))
    return False


def _require_asked(out: Path, there: list[str], *, force: bool, resume: bool) -> None:
    """Refuse to go on, or to begin anew, where that was not asked for."""
    if not there or force:
        return
    if resume and "plan.json" not in there:
        raise ConfigError(
            f"{out}: expected an audit to go on with, got a report without its plan; {option('force')} "
            f"replaces it, {option('out')} writes elsewhere"
        )
    if not resume and "shards" in there:
        raise ConfigError(
            f"{out}: holds an audit that was stopped; {option('resume')} goes on with it, {option('force')} "
            "begins anew"
        )
    if not resume:
        raise ConfigError(
            f"{out}: holds a report already; {option('force')} replaces it, {option('out')} writes elsewhere"
        )


def _is_report(folder: Path) -> bool:
    """Whether a folder holds a report or the plan of one."""
    for name in ("report.json", "plan.json"):
        with contextlib.suppress(ReportRefused, ValueError, KeyError, TypeError, RecursionError):
            content = read_limited(folder / name, "a report", ReportRefused, most=MOST_JSON)
            schema = json.loads(content)["schema"]
            if str(schema).startswith("robustcheck."):
                return True
    return False


def write_report(report: AuditReport, folder: Path, *, assets: bool = False) -> None:
    """Write all files elsewhere, then put them in place of those of an older report.

    The folder itself stays, since somebody may stand in it. With ``assets`` the page's styles and images are
    files of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in [entry for entry in folder.iterdir() if _LEFT.fullmatch(entry.name) and entry.is_dir()]:
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        made = Path(scratch)
        for name, content in _documents(report, assets=assets).items():
            (made / name).parent.mkdir(exist_ok=True)
            (made / name).write_bytes(content)
        _save_arrays(report, made)
        _swap(folder, made)


def _swap(folder: Path, made: Path) -> None:
    """Put new files in place of the old; nothing of the old is gone before all of the new is there."""
    old = [entry for entry in folder.iterdir() if _REPORT.fullmatch(entry.name)]
    new = list(made.iterdir())
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as aside:
        moved: list[tuple[Path, Path]] = []
        try:
            for source, target in [(entry, Path(aside) / entry.name) for entry in old] + [
                (entry, folder / entry.name) for entry in new
            ]:
                source.rename(target)
                moved.append((source, target))
        except OSError:
            for source, target in reversed(moved):
                target.rename(source)
            raise


def store_report(report: AuditReport, folder: Path) -> None:
    """Write to an empty folder only what ``read_report`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.to_json(), "ascii")
    _save_arrays(report, folder)


def _save_arrays(report: AuditReport, folder: Path) -> None:
    def kept(samples: SearchResult) -> SampleOutcomes:
        return samples if report.examples else samples.only(SampleOutcomes)

    for norm, samples in report.results.items():
        kept(samples).save(folder / report.samples_file(norm))
    report.conditions.save(folder / "box.npz")
    if report.made_for:
        (folder / "transfer").mkdir()
    for file, result in zip(file_names(report.made_for), report.made_for.values(), strict=True):
        kept(result).save(folder / "transfer" / f"{file}.npz")
    if report.deployed_rows:
        (folder / "deployed").mkdir()
    for file, rows in zip(file_names(report.deployed_rows), report.deployed_rows.values(), strict=True):
        rows.save(folder / "deployed" / f"{file}.npz")


def _documents(report: AuditReport, *, assets: bool) -> dict[str, bytes]:
    """The files that are made of the report, by their path in the folder."""
    page = html_page(report, assets=assets)
    texts = {name: write(report) for name, write in FORMATS.items()} | {"report.html": page.text}
    texts |= {
        report.samples_file(norm, "csv"): rows_csv(report, rows)
        for norm, rows in report.further_samples.items()
    }
    return {
        name: text.encode("utf-8", "replace") for name, text in texts.items() if text is not None
    } | page.assets


def file_names(names: Iterable[str]) -> list[str]:
    """Models' names as different file names.

    Anything but letters, digits, dot, dash and underscore becomes ``_``; a name taken already gets a number.
    """
    files: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".")[:100] or "_"
        number, file = 2, plain
        while file.lower() in (taken.lower() for taken in files):
            file, number = f"{plain}-{number}", number + 1
        files.append(file)
    return files
