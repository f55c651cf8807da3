"""Whether two audits are the same work: known by the content of what is audited and how.

Content is the bytes of files, the weights and some outputs of live models, the values of arrays.
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

from robustcheck import intake
from robustcheck.config import NO_FIGURES, AuditConfig

# what a classifier is made of
_OF_A_CLASSIFIER = ("model", "lower", "upper", "free", "cost", "options")


def audit_key(config: AuditConfig) -> str | None:
    """Digest of all that decides the figures of an audit; None where that cannot be told.

    What becomes of the report, where it goes and by what it is judged, is no part of it.
    """
    digest = hashlib.sha256()
    try:
        for field in fields(config):
            # what has no metadata nobody sets, such as the command that was typed; how the work is shared out
            # changes no figure
            if field.metadata and field.metadata.get("group") not in NO_FIGURES:
                digest.update(f"{field.name}={_content(getattr(config, field.name))}\n".encode())
    except _UnknownError:
        return None
    return digest.hexdigest()


def content_of(value: Any) -> str | None:
    """Digest of a live model, by its architecture, weights and some outputs; None where it cannot be told."""
    try:
        return hashlib.sha256(_content(value).encode()).hexdigest()
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """Something whose content cannot be told."""


def _content(value: Any) -> str:
    """A value as a text that is the same for the same content."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str | Path):
        path = Path(value)
        behind = Path(str(value).partition("=")[2])
        if not path.exists() and behind.is_file():
            path = behind  # name=FILE
        return f"{json.dumps(str(value))} {intake.sha256(path) if path.is_file() else _stamps(path)}"
    if isinstance(value, Mapping):
        return (
            f"{{{', '.join(f'{json.dumps(str(name))}: {_content(item)}' for name, item in value.items())}}}"
        )
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_content, value))}]"
    if callable(getattr(value, "logits", None)) and is_dataclass(value):
        # a classifier: the model that was wrapped, and how
        return _content({name: getattr(value, name, None) for name in _OF_A_CLASSIFIER})
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return f"{type(value).__name__}{_content(named)}"
    if hasattr(value, "get_weights"):
        return f"{_architecture(value)} {_content(value.get_weights())} {_behaviour(value)}"
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
        shapes = [tuple(tensor.shape)[1:] for tensor in model.inputs]
        rows = [draw.random((4, *shape), np.float32) for shape in shapes]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of a list of one input that is not in a list
            out = np.asarray(model(rows if len(rows) > 1 else rows[0], training=False), np.float64)
        # the last digits differ from call to call
        return _content(np.round(out / max(np.abs(out).max(), 1e-30), 3))
    except Exception as error:  # open dimensions, dictionaries, what is not there
        raise _UnknownError(type(model).__name__) from error
