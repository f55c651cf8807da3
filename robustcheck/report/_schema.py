"""The JSON Schema of ``report.json``, and reading one back."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from robustcheck.errors import ReportRefused
from robustcheck.results import SCHEMA, ReportDocument


@cache
def _adapter() -> TypeAdapter[ReportDocument]:
    return TypeAdapter(ReportDocument)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``report.json``, made from the dataclasses it is written from."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **_adapter().json_schema(),
    }


def read_document(path: Path) -> ReportDocument:
    """Read a ``report.json``, or that of a report folder.

    Raises:
        ReportRefused: the file is missing, not JSON, or not of this schema.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        stored = json.loads(file.read_text("utf-8"))
        if not isinstance(stored, dict) or stored.get("schema") != SCHEMA:
            raise ReportRefused(f"{file}: expected a report of schema {SCHEMA}")
        return _adapter().validate_python(stored)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ReportRefused(
            f"{file}: expected a report of schema {SCHEMA}: {where}: {first['msg']}"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReportRefused(f"{file}: expected a report: {error}") from error
