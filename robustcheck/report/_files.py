"""The report folder."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from robustcheck.errors import ConfigError
from robustcheck.report._html import html_page
from robustcheck.report._markdown import markdown_summary
from robustcheck.results import AuditReport


def prepare_folder(out: Path, *, force: bool) -> Path:
    """Check, before any work, that the report can be written to ``out``.

    Raises:
        ConfigError: something is there that must not be replaced.
    """
    if not out.exists():
        return out
    if not out.is_dir():
        raise ConfigError(f"{out}: expected a folder for the report, got a file")
    if any(out.iterdir()) and not (out / "report.json").is_file():
        raise ConfigError(
            f"{out}: expected a new or empty folder, got one with files that are not a report's"
        )
    if any(out.iterdir()) and not force:
        raise ConfigError(f"{out}: holds a report already; --force replaces it, --out writes elsewhere")
    return out


def write_report(report: AuditReport, folder: Path) -> None:
    """Write the files beside each other, then put the finished folder in place of an older one."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        (made / "report.json").write_text(report.to_json(), "utf-8")
        report.samples.save(made / "samples.npz")
        if report.made_for:
            (made / "transfer").mkdir()
        for name, result in report.made_for.items():
            result.save(made / "transfer" / f"{file_name(name)}.npz")
        (made / "report.html").write_text(html_page(report), "utf-8")
        (made / "summary.md").write_text(markdown_summary(report), "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


def file_name(name: str) -> str:
    """A model's name as a file name: anything but letters, digits, dot, dash and underscore becomes ``_``."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".")[:100] or "_"
