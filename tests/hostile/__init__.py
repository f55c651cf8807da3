"""Inputs that are hostile, broken or merely odd, and what robustcheck is to say of each."""

from __future__ import annotations

from collections.abc import Iterator

from hostile._case import CANARY, MOST_LINES, Case
from hostile._data import data
from hostile._models import models
from hostile._odd import harmless
from hostile._stored import reports, settings

__all__ = ["CANARY", "MOST_LINES", "Case", "cases", "harmless"]


def cases() -> Iterator[Case]:
    """All that are to be refused."""
    yield from models()
    yield from data()
    yield from settings()
    yield from reports()
