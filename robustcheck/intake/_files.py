"""What every loader needs: hashing, functions by name."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from robustcheck.errors import InputRefused, one_line


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 of the names and contents of files in a folder; what is no file has no content."""
    digest = hashlib.sha256()
    for path in files:
        content = sha256(path) if path.is_file() else "none"
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def is_function(spec: str) -> bool:
    """Whether a text is ``package.module:function``, and no path, address or drive."""
    module, colon, name = spec.partition(":")
    words = [*module.split("."), name]
    # one letter is a drive, and a file's name ends in .py
    looks = len(module) > 1 and not module.endswith(".py")
    return bool(colon) and looks and all(word.isidentifier() for word in words)


def is_address(spec: str) -> bool:
    """Whether a text is an address, such as ``https://...``, ``hf://...`` or ``s3:/...``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", spec) is not None


def current_folder_importable() -> None:
    """Let modules of the current folder be imported, as ``python -m`` does."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)


def import_function(spec: str, refuse: type[InputRefused]) -> Callable[[], Any]:
    """The function that ``package.module:function`` names; the current folder is importable."""
    module_name, _, name = spec.partition(":")
    current_folder_importable()
    try:
        function = getattr(importlib.import_module(module_name), name)
    except (Exception, SystemExit) as error:
        raise refuse(f"{spec}: expected an importable package.module:function: {one_line(error)}") from error
    if not callable(function):
        raise refuse(f"{spec}: expected a function, got {type(function).__name__}")
    chosen: Callable[[], Any] = function
    return chosen
