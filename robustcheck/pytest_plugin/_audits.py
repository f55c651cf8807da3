"""The audits of a session: one for each model, data and settings, however many tests ask for it.

The workers of pytest-xdist share them as stored reports, each made under a lock. Functions that a test names
(``package.module:function``) are taken to return the same each time in a session. What cannot be told apart
by its content, a classifier or a plain callable, is audited anew each time.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from filelock import FileLock

from robustcheck.config import AuditConfig
from robustcheck.errors import RobustcheckWarning
from robustcheck.identity import audit_key
from robustcheck.report import read_report, store_report
from robustcheck.results import AuditReport

_DONE = "done"


class Audits:
    """The audits made so far; ``shared`` is the folder that workers share."""

    def __init__(self, shared: Path | None) -> None:
        self._shared = shared
        self._known: dict[str, AuditReport] = {}

    def get(self, config: AuditConfig) -> AuditReport:
        """The audit of a configuration, made now or before, here or by another worker."""
        key = audit_key(config)
        if key is None:
            return _audit(config)
        if key not in self._known:
            self._known[key] = _audit(config) if self._shared is None else _shared(config, self._shared / key)
        return self._known[key]


def _audit(config: AuditConfig) -> AuditReport:
    from rich.console import Console

    from robustcheck.startup import import_tensorflow, keras_on_tensorflow

    warning = keras_on_tensorflow()
    if warning is not None:
        # told in the summary, whatever becomes of warnings: it is no fault of the test
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(warning, RobustcheckWarning, stacklevel=2)
    import_tensorflow(Console(quiet=True))
    from robustcheck.auditing import audit_config

    return audit_config(config, lambda *_: None)


def _shared(config: AuditConfig, folder: Path) -> AuditReport:
    """The audit in a folder of that name, or made now and put there; others wait for it."""
    with FileLock(f"{folder}.lock"):
        if (folder / _DONE).exists():
            return read_report(folder)
        report = _audit(config)
        # a worker that was killed on the way left files without the mark that they are whole
        store_report(report, folder)
        (folder / _DONE).touch()
        return report
