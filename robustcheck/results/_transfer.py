"""What the examples made for each model do to every other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ScalePoint:
    """Error of every model on examples whose perturbations are scaled by ``scale``, then clipped."""

    scale: float
    rms: float
    error: list[float]


@dataclass(frozen=True, kw_only=True)
class TransferRow:
    """What the examples made for one model do to every model, a list entry a model.

    Attributes:
        made_for: the model.
        n: samples with an example for it; fractions are of these unless said otherwise.
        rms: mean RMS of the perturbations after clipping; None of nothing.
        clean_error: error on the samples themselves.
        errors, error: number and fraction of the examples that are misclassified.
        low, high: 95 % Wilson interval of the fraction.
        excess: ``error - clean_error``.
        right, error_of_right: samples that the column's model classifies right, and the fraction of their
            examples that it gets wrong.
        noise_rms, noise_error: mean RMS after clipping, and error, of Gaussian noise that had each
            perturbation's length before clipping; over several draws.
        curve: the error over the scale of the perturbations.
    """

    made_for: str
    n: int
    rms: float | None
    clean_error: list[float | None]
    errors: list[int | None]
    error: list[float | None]
    low: list[float | None]
    high: list[float | None]
    excess: list[float | None]
    right: list[int | None]
    error_of_right: list[float | None]
    noise_rms: float | None
    noise_error: list[float | None]
    curve: list[ScalePoint] = field(default_factory=list)

    @staticmethod
    def empty(made_for: str, models: int) -> TransferRow:
        """The row of a model that no example was found for."""
        lists = {
            "clean_error": [None], "errors": [None], "error": [None], "low": [None], "high": [None],
            "excess": [None], "right": [None], "error_of_right": [None], "noise_error": [None],
        }  # fmt: skip
        nothing: dict[str, Any] = {name: value * models for name, value in lists.items()}
        return TransferRow(made_for=made_for, n=0, rms=None, noise_rms=None, **nothing)


@dataclass(frozen=True, kw_only=True)
class EqualDistortion:
    """The rows at one RMS: all perturbations scaled to it, then clipped; a row's ``rms`` is what was left."""

    rms: float
    rows: list[TransferRow]


@dataclass(frozen=True, kw_only=True)
class TransferMatrix:
    """Error of every model (columns) on the examples made for every model (rows).

    ``clean_error`` is each model's error on all samples; each row holds the clean error on its own samples
    (those found for the row's model) beside the error on their examples. ``equal`` holds the same for
    examples of one size.
    """

    models: list[str]
    clean_error: list[float]
    rows: list[TransferRow]
    equal: list[EqualDistortion] = field(default_factory=list)
