"""robustcheck: how small a change of an input makes a Keras classifier wrong.

Names are imported when first used, so that ``import robustcheck`` does not import TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustcheck.auditing import audit
    from robustcheck.config import Box, ModelOptions, PoolOptions, SearchOptions, TransferOptions
    from robustcheck.distortion import minimal_distortion
    from robustcheck.hardening import PoolTraining, harden
    from robustcheck.models import Classifier, Predictor, predictor, wrap
    from robustcheck.results import AuditReport, Measure, SearchResult, Status, TransferMatrix
    from robustcheck.transfer import split_halves, transfer_matrix

__version__ = "0.1.0"

_HOME = {
    "AuditReport": "results",
    "Box": "config",
    "Classifier": "models",
    "Measure": "results",
    "ModelOptions": "config",
    "PoolOptions": "config",
    "PoolTraining": "hardening",
    "Predictor": "models",
    "SearchOptions": "config",
    "SearchResult": "results",
    "Status": "results",
    "TransferMatrix": "results",
    "TransferOptions": "config",
    "audit": "auditing",
    "harden": "hardening",
    "minimal_distortion": "distortion",
    "predictor": "models",
    "split_halves": "transfer",
    "transfer_matrix": "transfer",
    "wrap": "models",
}

_WITH_KERAS = {"auditing", "distortion", "hardening", "models", "transfer"}

__all__ = [
    "AuditReport",
    "Box",
    "Classifier",
    "Measure",
    "ModelOptions",
    "PoolOptions",
    "PoolTraining",
    "Predictor",
    "SearchOptions",
    "SearchResult",
    "Status",
    "TransferMatrix",
    "TransferOptions",
    "audit",
    "harden",
    "minimal_distortion",
    "predictor",
    "split_halves",
    "transfer_matrix",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOME[name] in _WITH_KERAS:
        _require_tensorflow()
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def _require_tensorflow() -> None:
    """Keras on TensorFlow, before anything imports it."""
    from robustcheck.startup import keras_on_tensorflow

    warning = keras_on_tensorflow()
    if warning is not None:
        import warnings

        from robustcheck.errors import RobustcheckWarning

        warnings.warn(warning, RobustcheckWarning, stacklevel=3)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
