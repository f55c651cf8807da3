"""The audits of a session: one for each model, data and settings, however many tests ask for it.

The workers of pytest-xdist share them as stored reports, each made under a lock. An audit is known by the
content of what is audited: the bytes of files, the weights and some outputs of live models, the values of
arrays. Functions that a test names (``package.module:function``) are taken to return the same each time in a
session. What has neither, a classifier or a plain callable, is audited anew each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from robustcheck import intake
from robustcheck.config import AuditConfig
from robustcheck.errors import RobustcheckWarning
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

    told = keras_on_tensorflow()
    if told is not None:
        # told in the summary, whatever becomes of warnings: it is no fault of the test
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(told, RobustcheckWarning, stacklevel=2)
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


def audit_key(config: AuditConfig) -> str | None:
    """Digest of all that decides how an audit ends; None where that cannot be told."""
    digest = hashlib.sha256()
    try:
        for one in fields(config):
            digest.update(f"{one.name}={_told(getattr(config, one.name))}\n".encode())
    except _UnknownError:
        return None
    return digest.hexdigest()


class _UnknownError(Exception):
    """Something whose content cannot be told."""


def _told(value: Any) -> str:
    """A value as a text that is the same for the same content."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str | Path):
        path = Path(value)
        return f"{json.dumps(str(value))} {intake.sha256(path) if path.is_file() else _stamps(path)}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(str(name))}: {_told(one)}' for name, one in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_told, value))}]"
    if is_dataclass(value) and not isinstance(value, type) and not callable(getattr(value, "logits", None)):
        return f"{type(value).__name__}{_told({one.name: getattr(value, one.name) for one in fields(value)})}"
    if hasattr(value, "get_weights"):
        return f"{_architecture(value)} {_told(value.get_weights())} {_behaviour(value)}"
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        array = np.asarray(value)
        content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return f"{array.dtype}{array.shape}{content}"
    raise _UnknownError(type(value).__name__)


def _stamps(folder: Path) -> str:
    """Names, sizes and times of the files of a folder; empty where there is none."""
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        stat = os.stat(path)
        digest.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _architecture(model: Any) -> str:
    """What a Keras model is besides its weights."""
    try:
        return str(model.to_json())
    except Exception as error:  # a subclassed model need not have one
        raise _UnknownError(type(model).__name__) from error


def _behaviour(model: Any) -> str:
    """What a Keras model gives for some inputs: layers may have state of their own, in Python."""
    draw = np.random.default_rng(0)
    try:
        shapes = [tuple(one.shape)[1:] for one in model.inputs]
        rows = [draw.random((4, *shape), np.float32) for shape in shapes]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of a list of one input that is not in a list
            out = np.asarray(model(rows if len(rows) > 1 else rows[0], training=False), np.float64)
        # the last digits differ from call to call
        return _told(np.round(out / max(np.abs(out).max(), 1e-30), 3))
    except Exception as error:  # open dimensions, dictionaries, what is not there
        raise _UnknownError(type(model).__name__) from error
