"""All that a user can set: frozen, keyword-only dataclasses, checked when they are made.

The metadata of a field says how it is set from a flag or a file.
"""

from robustcheck.config._audit import AuditConfig
from robustcheck.config._box import Box, BoxLike
from robustcheck.config._harden import RUN_FILES, HardenConfig, PoolOptions
from robustcheck.config._options import (
    DEFAULT_BUDGET,
    DeployedOptions,
    FileOptions,
    Layout,
    ModelOptions,
    Precision,
    SearchOptions,
    TransferOptions,
)
from robustcheck.config._values import (
    AFTERWARDS,
    NO_FIGURES,
    DataRange,
    Draw,
    HeadKind,
    Method,
    SearchedNorm,
    Target,
)

__all__ = [
    "AFTERWARDS",
    "DEFAULT_BUDGET",
    "NO_FIGURES",
    "RUN_FILES",
    "AuditConfig",
    "Box",
    "BoxLike",
    "DataRange",
    "DeployedOptions",
    "Draw",
    "FileOptions",
    "HardenConfig",
    "HeadKind",
    "Layout",
    "Method",
    "ModelOptions",
    "PoolOptions",
    "Precision",
    "SearchOptions",
    "SearchedNorm",
    "Target",
    "TransferOptions",
]
