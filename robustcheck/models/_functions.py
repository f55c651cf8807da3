"""Whatever takes a batch as an array and decides, as a predictor: an interpreter, a service, another library.

It has no gradient, so examples are tried on it and it is searched by decisions alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from robustcheck.arrays import F32, I64
from robustcheck.config import BoxLike, HeadKind, ModelOptions
from robustcheck.errors import ConfigError, Incomplete, ModelRefused, RobustcheckError, one_line
from robustcheck.models._classifier import Classifier, Head
from robustcheck.models._domain import domain_of
from robustcheck.models._layout import InputLayout
from robustcheck.models._predictor import Predictor
from robustcheck.text import brief

Tensor = Any
Predict: TypeAlias = Callable[[NDArray[Any]], Any]
# how one output decides between two classes
_THRESHOLD: dict[HeadKind, float] = {"sigmoid": 0.5}


@dataclass(eq=False)
class Asked:
    """A function that is asked for decisions, and what it was asked.

    Attributes:
        predict: ``[B, *shape] float32`` to scores ``[B, K]``, ``[B, 1]`` or labels ``[B]``.
        shape: of a sample.
        classes: ``K``.
        name: for messages.
        returns: what it gives.
        batch: the number of rows that it is asked about at once, filled up with copies; None = any.
        most: rows that it may be asked about; each is then asked about once, and remembered by its digest.
        head: how one score decides between two classes.
        count: rows that it was asked about so far.
        unknown: of these that got scores which are no numbers: their class is -1, which is nobody's.
    """

    predict: Predict
    shape: tuple[int, ...]
    classes: int
    name: str
    returns: Literal["scores", "labels"] = "scores"
    batch: int | None = None
    most: int | None = None
    head: HeadKind = "logits"
    count: int = 0
    unknown: int = 0
    known: dict[bytes, int] = field(default_factory=dict, repr=False)

    def labels(self, rows: F32) -> I64:
        """Decisions ``[B]`` for rows ``[B, D]``.

        Raises:
            ModelRefused: the function failed, or gave something else.
            Incomplete: it may not be asked about more rows.
        """
        if not len(rows):
            return np.zeros(0, np.int64)
        if self.most is None:
            return self._in_batches(rows)
        keys = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
        new = {key: at for at, key in enumerate(keys) if key not in self.known}
        if self.count + len(new) > self.most:
            raise Incomplete(
                f"{self.name}: {self.count} rows were asked about, and {len(new)} more exceed the limit of "
                f"{self.most} (max_calls=, --max-calls)"
            )
        if new:
            answers = self._in_batches(rows[list(new.values())])
            self.known |= dict(zip(new, answers.tolist(), strict=True))
        return np.array([self.known[key] for key in keys], np.int64)

    def _in_batches(self, rows: F32) -> I64:
        self.count += len(rows)
        size = self.batch or len(rows)
        parts = [self._once(rows[start : start + size], size) for start in range(0, len(rows), size)]
        return np.concatenate(parts)

    def _once(self, rows: F32, size: int) -> I64:
        missing = size - len(rows)
        filled = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
        try:
            given = self.predict(filled.reshape(len(filled), *self.shape))
        except RobustcheckError:
            raise
        except Exception as error:
            raise ModelRefused(
                f"{self.name}: failed on a batch of {len(filled)}: {one_line(error)}"
            ) from error
        return self._decided(np.asarray(given), len(filled))[: len(rows)]

    def _decided(self, given: NDArray[Any], count: int) -> I64:
        if self.returns == "labels":
            return self._as_labels(given, count)
        if given.shape not in ((count, self.classes), (count, 1)) or given.dtype.kind not in "fiu":
            raise ModelRefused(
                f"{self.name}: expected scores of shape {(count, self.classes)}, got {given.dtype} of shape "
                f"{given.shape}"
            )
        if given.shape[1] != self.classes and (given.shape[1], self.classes) != (1, 2):
            raise ModelRefused(f"{self.name}: expected {self.classes} scores a sample, got {given.shape[1]}")
        alone = given.shape[1] == 1
        decided = given[:, 0] > _THRESHOLD.get(self.head, 0.0) if alone else given.argmax(axis=1)
        numbers = np.isfinite(given).all(axis=1)
        self.unknown += int(np.sum(~numbers))
        return np.where(numbers, decided, -1).astype(np.int64)

    def _as_labels(self, given: NDArray[Any], count: int) -> I64:
        there = given.shape == (count,) and given.dtype.kind in "fiu"
        if not (
            there and (given == np.floor(given)).all() and given.min() >= -1 and given.max() < self.classes
        ):
            got = f"{given.dtype} of shape {given.shape}"
            got += f", {given.min()} to {given.max()}" if there else ""
            raise ModelRefused(
                f"{self.name}: expected classes 0 to {self.classes - 1} of shape ({count},), got {got}"
            )
        return np.asarray(given, np.int64)


def predictor(
    predict: Predict,
    *,
    classes: int,
    name: str,
    input_shape: tuple[int, ...],
    returns: Literal["scores", "labels"] = "scores",
    box: BoxLike = (0.0, 1.0),
    freeze: Any = None,
    cost: Any = None,
    batch_size: int | None = None,
    max_calls: int | None = None,
    digest: str | None = None,
) -> Predictor:
    """Anything that takes a batch as an array and decides, as what examples can be tried on.

    It is searched with ``SearchOptions(method="decision")``, tried as a reference, or held against the model
    that it was made of (``deployed`` of :func:`robustcheck.audit`).

    Args:
        predict: takes ``[B, *input_shape]`` float32 in units of the box; gives ``[B, classes]`` scores, of
            which the largest decides, or labels ``[B]``, -1 where it gives none, which is nobody's class.
        classes: how many there are.
        name: what reports call it.
        input_shape: of a sample.
        returns: ``"scores"`` or ``"labels"``.
        box, freeze, cost: as for :func:`robustcheck.wrap`.
        batch_size: the number of rows that it takes, always; None = any.
        max_calls: rows that it may be asked about in all. Each is then asked about once and its decision
            remembered.
        digest: SHA-256 of what decides, for the report.

    Raises:
        ConfigError: an argument that makes no sense.
    """
    for what, value, least in (
        ("classes", classes, 2),
        ("batch_size", batch_size, 1),
        ("max_calls", max_calls, 1),
    ):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ConfigError(f"{what}: expected a whole number of at least {least}, got {brief(value)}")
    if returns not in ("scores", "labels"):
        raise ConfigError(f"returns: expected 'scores' or 'labels', got {brief(returns)}")
    if not callable(predict):
        raise ConfigError(f"predict: expected a function of a batch, got {type(predict).__name__}")
    shape = tuple(int(size) for size in input_shape)
    asked = Asked(predict, shape, classes, name, returns=returns, batch=batch_size, most=max_calls)
    layout = InputLayout(
        kind="single", names=("input",), shapes=(shape,), dtypes=("float32",), perturbed=(True,)
    )
    domain = domain_of(layout, box, freeze, cost)
    return _decides(
        asked,
        digest,
        layout=layout,
        box=domain.text,
        lower=domain.lower,
        upper=domain.upper,
        free=domain.free,
        cost=domain.cost,
        features=layout.width,
    )


def predictor_like(subject: Predictor, asked: Asked) -> Predictor:
    """What decides on the same rows as another model, in its box and at its costs."""
    return _decides(asked, None, **subject.conditions)


def _decides(asked: Asked, digest: str | None, **conditions: Any) -> Predictor:
    return Predictor(
        name=asked.name,
        label=_in_tensors(asked.labels),
        label_singly=_in_tensors(_singly(asked.labels)),
        classes=asked.classes,
        parameters=None,
        digest=digest,
        **conditions,
    )


def _in_tensors(labels: Callable[[F32], I64]) -> Callable[[Tensor], Tensor]:
    return lambda rows: tf.constant(labels(rows.numpy()), tf.int32)


def _singly(labels: Callable[[F32], I64]) -> Callable[[F32], I64]:
    return lambda rows: np.array([labels(row[None])[0] for row in rows], np.int64)


def by_decisions(predictor: Predictor) -> Classifier:
    """A predictor as a classifier whose scores are 1 for its decision and 0 else.

    Only searches that ask for decisions alone can use it; a classifier is returned as it is.
    """
    if isinstance(predictor, Classifier):
        return predictor

    def scores(rows: Tensor) -> Tensor:
        return tf.one_hot(predictor.label(rows), predictor.classes)

    return Classifier(
        **vars(predictor),
        logits=scores,
        computed=lambda: scores,
        differentiable=False,
        ends_in=Head("logits", None),
        rounding=0.0,
        options=ModelOptions(),
        model=predictor,
    )
