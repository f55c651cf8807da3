"""Models and data as Keras users have them: wrapped, audited, replayed, and tried on themselves.

One line a case. What is reported from the field becomes one more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import robustcheck as rc
from robustcheck.auditing import replay
from robustcheck.errors import RobustcheckWarning
from robustcheck.models import logits_of, own_labels

L = keras.layers
N, CLASSES = 12, 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, what it takes, and what is said of it."""

    build: Callable[[], Any]
    shape: Any = (6, 6, 2)
    box: Any = (0.0, 1.0)
    said: dict[str, Any] = field(default_factory=dict)
    head: str = "logits"
    classes: int = CLASSES
    labels: Callable[[np.ndarray], Any] = lambda y: y
    data: Callable[[Any, Any], Any] = lambda x, y: (x, y)
    lowest: float = 0.5


def chain(*layers: Any, shape: tuple[int | None, ...] = (6, 6, 2), end: Any = None, **ending: Any) -> Any:
    """Layers in a row, then a dense one for three classes; weights that do not depend on what was built."""
    out = L.Dense(CLASSES, activation=end, **ending)
    return keras.Sequential([keras.Input(shape), *layers, out])


def flat(*layers: Any, **settings: Any) -> Any:
    return chain(*layers, L.Flatten(), **settings)


def two_inputs(kind: str) -> Any:
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    out = L.Dense(CLASSES)(L.Dense(8, "tanh")(L.Concatenate()([a, b])))
    return keras.Model({"a": a, "b": b} if kind == "dict" else [a, b], out)


def with_codes() -> Any:
    a, code = keras.Input((4,), name="a"), keras.Input((2,), dtype="int32", name="code")
    seen = L.Flatten()(L.Embedding(5, 3)(code))
    return keras.Model([a, code], L.Dense(CLASSES)(L.Concatenate()([a, seen])))


def masked_sequence() -> Any:
    seq, mask = keras.Input((5, 2), name="seq"), keras.Input((5,), name="mask")
    mean = L.Lambda(
        lambda t: keras.ops.sum(t[0] * t[1][..., None], 1) / keras.ops.sum(t[1], 1, keepdims=True)
    )
    return keras.Model([seq, mask], L.Dense(CLASSES)(mean([seq, mask])))


def several_outputs() -> Any:
    x = keras.Input((6, 6, 2))
    flow = L.Flatten()(x)
    return keras.Model(x, {"kind": L.Dense(CLASSES, "softmax")(flow), "size": L.Dense(1)(flow)})


def residual() -> Any:
    x = keras.Input((6, 6, 2))
    y = L.Conv2D(2, 3, padding="same", activation="relu")(x)
    return keras.Model(x, L.Dense(CLASSES)(L.GlobalAveragePooling2D()(L.Add()([x, y]))))


def attention() -> Any:
    x = keras.Input((5, 4))
    y = L.LayerNormalization()(L.MultiHeadAttention(2, 4)(x, x) + x)
    return keras.Model(x, L.Dense(CLASSES)(L.GlobalAveragePooling1D()(y)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.flat, self.inner, self.out = L.Flatten(), L.Dense(8, "gelu"), L.Dense(CLASSES)

    def call(self, x: Any) -> Any:
        return tf.nn.softmax(self.out(self.inner(self.flat(x))))


def old() -> Any:
    part = tf_keras.layers
    layers = [part.Input((6, 6, 2)), part.Flatten(), part.Dense(8, "relu"), part.Dense(CLASSES, "softmax")]
    return tf_keras.Sequential(layers)


def shared_layer() -> Any:
    x, dense = keras.Input((4,)), L.Dense(4, "tanh")
    return keras.Model(x, L.Dense(CLASSES)(dense(dense(x))))


def own_callable() -> Any:
    weights = tf.constant(np.random.default_rng(0).standard_normal((72, CLASSES)).astype(np.float32))
    return lambda x: tf.reshape(x, (-1, 72)) @ weights


def one_output(end: str | None) -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(6, "tanh"), L.Dense(1, end)])


def quantised() -> Any:
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, "relu"), L.Dense(CLASSES)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of Keras
        for layer in model.layers:
            layer.quantize("int8")
    return model


def half(dtype: str, end: str | None = None) -> Any:
    policy = keras.DTypePolicy(dtype)
    return keras.Sequential(
        [keras.Input((4,)), L.Dense(8, "relu", dtype=policy), L.Dense(CLASSES, end, dtype=policy)]
    )


SOFTMAX = "softmax, logits recovered"
HOT = {"labels": lambda y: np.eye(CLASSES, dtype=np.float32)[y]}
BINARY = {"shape": (4,), "classes": 2}


def dataset(x: Any, y: Any) -> Any:
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(5), None


CASES: dict[str, Case] = {
    "dense": Case(build=lambda: flat(L.Flatten(), L.Dense(8, "relu"))),
    "convolution, batch normalisation, dropout": Case(
        build=lambda: flat(L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Dropout(0.5), end="softmax"),
        head=SOFTMAX,
    ),
    "depthwise and separable": Case(build=lambda: flat(L.DepthwiseConv2D(3), L.SeparableConv2D(3, 2))),
    "transposed, upsampling, pooling": Case(
        build=lambda: flat(L.Conv2DTranspose(2, 3), L.UpSampling2D(), L.MaxPooling2D(), L.AveragePooling2D(2))
    ),
    "one dimension": Case(build=lambda: flat(L.Conv1D(4, 3, activation="relu"), shape=(8, 2)), shape=(8, 2)),
    "three dimensions": Case(build=lambda: flat(L.Conv3D(2, 2), shape=(4, 4, 4, 1)), shape=(4, 4, 4, 1)),
    "channels first": Case(
        build=lambda: flat(L.Conv2D(3, 3, data_format="channels_first"), shape=(2, 6, 6)), shape=(2, 6, 6)
    ),
    "residual": Case(build=residual),
    "LSTM": Case(build=lambda: chain(L.LSTM(6), shape=(5, 2)), shape=(5, 2)),
    "bidirectional GRU": Case(build=lambda: chain(L.Bidirectional(L.GRU(4)), shape=(5, 2)), shape=(5, 2)),
    "simple recurrent, time distributed": Case(
        build=lambda: flat(
            L.SimpleRNN(4, return_sequences=True), L.TimeDistributed(L.Dense(2)), shape=(5, 2)
        ),
        shape=(5, 2),
    ),
    "stateful, batches of 4": Case(
        build=lambda: keras.Sequential(
            [keras.Input((5, 2), batch_size=4), L.LSTM(4, stateful=True), L.Dense(CLASSES)]
        ),
        shape=(5, 2),
    ),
    "batches of 5": Case(
        build=lambda: keras.Sequential(
            [keras.Input((4,), batch_size=5), L.Dense(6, "tanh"), L.Dense(CLASSES)]
        ),
        shape=(4,),
    ),
    "attention": Case(build=attention, shape=(5, 4)),
    "open length": Case(
        build=lambda: chain(L.Conv1D(4, 2, activation="relu"), L.GlobalMaxPooling1D(), shape=(None, 2)),
        shape=(7, 2),
    ),
    "shared layer": Case(build=shared_layer, shape=(4,)),
    "subclassed": Case(build=Subclassed, head=SOFTMAX),
    "tf_keras": Case(build=old, head=SOFTMAX),
    "callable": Case(build=own_callable),
    "softmax layer": Case(
        build=lambda: keras.Sequential([keras.Input((4,)), L.Dense(CLASSES), L.Softmax()]),
        shape=(4,),
        head=SOFTMAX,
    ),
    "log-softmax": Case(
        build=lambda: chain(shape=(4,), end="log_softmax"), head="logits, taken before LogSoftmax", shape=(4,)
    ),
    "sigmoid of one": Case(build=lambda: one_output("sigmoid"), head="sigmoid, logit recovered", **BINARY),
    "tanh of one, labels -1 and 1": Case(
        build=lambda: one_output("tanh"), head="tanh, logit recovered", labels=lambda y: 2 * y - 1, **BINARY
    ),
    "logit of one, said": Case(
        build=lambda: one_output(None), said={"head": "binary_logit"}, head="one logit", **BINARY
    ),
    "bfloat16, softmax": Case(
        build=lambda: half("mixed_bfloat16", "softmax"), shape=(4,), head=SOFTMAX, lowest=0.3
    ),
    "float16, softmax": Case(build=lambda: half("mixed_float16", "softmax"), shape=(4,), head=SOFTMAX),
    "float64": Case(build=lambda: half("float64"), shape=(4,)),
    "8-bit weights": Case(build=quantised, shape=(4,), lowest=0.0),
    "rescaling inside": Case(build=lambda: flat(L.Rescaling(1 / 255), L.Flatten()), box=(0, 255)),
    "normalisation inside": Case(
        build=lambda: chain(L.Normalization(mean=[0.5] * 4, variance=[0.1] * 4), shape=(4,)), shape=(4,)
    ),
    "augmentation inside": Case(build=lambda: flat(L.RandomFlip(), L.RandomRotation(0.1), L.Conv2D(3, 3))),
    "infinite box": Case(
        build=lambda: chain(L.Dense(6, "tanh"), shape=(4,)), shape=(4,), box=(-np.inf, np.inf)
    ),
    "box by channel": Case(build=lambda: flat(L.Conv2D(3, 3)), box=([0.0, 0.0], [1.0, 0.5])),
    "two inputs, a list": Case(build=lambda: two_inputs("list"), shape=[(4,), (3,)]),
    "two inputs, a dict, boxes": Case(
        build=lambda: two_inputs("dict"), shape={"a": (4,), "b": (3,)}, box={"a": (0, 1), "b": (0, 2)}
    ),
    "codes beside": Case(build=with_codes, shape=[(4,), "codes"], said={"perturb": "a"}),
    "sequence and mask": Case(build=masked_sequence, shape=[(5, 2), "mask"], said={"perturb": "seq"}),
    "several outputs": Case(build=several_outputs, said={"output": "kind"}, head=SOFTMAX),
    "one-hot labels": Case(build=lambda: flat(L.Flatten(), L.Dense(8, "relu")), **HOT),
    "a data set": Case(build=lambda: flat(L.Conv2D(3, 3)), data=dataset),
    "a data set, one-hot": Case(build=lambda: flat(L.Conv2D(3, 3)), data=dataset, **HOT),
    "a list of images": Case(build=lambda: flat(L.Conv2D(3, 3)), data=lambda x, y: (list(x), list(y))),
    "without labels": Case(build=lambda: flat(L.Conv2D(3, 3)), data=lambda x, _: (x, None)),
}


def samples(shape: Any, box: Any) -> Any:
    draw = np.random.default_rng(0)
    if isinstance(shape, dict):
        return {name: box[name][1] * draw.random((N, *value), np.float32) for name, value in shape.items()}
    if isinstance(shape, list):
        kinds = {
            "codes": lambda: draw.integers(0, 5, (N, 2)),
            "mask": lambda: np.tile(np.arange(5) < 3, (N, 1)) * 1.0,
        }
        return [
            kinds[size]() if isinstance(size, str) else draw.random((N, *size), np.float32) for size in shape
        ]
    low, high = (np.asarray(side, np.float32) for side in box)
    if not np.isfinite(high).all():
        return draw.standard_normal((N, *shape)).astype(np.float32)
    return (low + (high - low) * draw.random((N, *shape), np.float32)).astype(np.float32)


def audited(case: Case, model: Any, x: Any, out: Path) -> rc.AuditReport:
    """The audit of the samples with the model's own decisions as labels, and itself as a reference."""
    classifier = rc.wrap(model, box=case.box, **_shape(case, x), **case.said)
    assert (classifier.head, classifier.classes) == (case.head, case.classes)
    rows = np.concatenate([np.asarray(p, np.float32).reshape(N, -1) for p in _parts(x)], axis=1)
    _balance(model, logits_of(classifier, rows).mean(axis=0))
    y = own_labels(classifier, rows)
    given, label = case.data(x, case.labels(y))
    # the classifier, whose graphs subject and reference share; replaying wraps the model anew
    options = rc.SearchOptions(budget=30)
    return rc.audit(classifier, given, label, references={"again": classifier}, out=out, options=options)


def _balance(model: Any, mean: np.ndarray) -> None:
    """Shift the last bias so that the samples are of several classes."""
    for weight in reversed(getattr(model, "weights", [])):
        if tuple(weight.shape) == mean.shape or (tuple(weight.shape) == (1,) and len(mean) == 2):
            shift = mean if len(weight.shape) and weight.shape[0] > 1 else mean[1:]
            weight.assign(np.asarray(weight) - shift)
            return


def _shape(case: Case, x: Any) -> dict[str, Any]:
    return {} if isinstance(case.shape, (dict, list)) else {"input_shape": tuple(x.shape[1:])}


def _parts(x: Any) -> list[Any]:
    return list(x.values()) if isinstance(x, dict) else x if isinstance(x, list) else [x]


@pytest.mark.parametrize("name", CASES)
def test_wrapped_audited_replayed_and_tried_on_itself(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    keras.utils.set_random_seed(0)
    x, model = samples(case.shape, case.box), case.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RobustcheckWarning)
        report = audited(case, model, x, tmp_path / "report")
        assert report.counts.correct == N
        result = report.samples
        assert result.found.mean() >= case.lowest, report.counts
        lower, upper = report.conditions.lower, report.conditions.upper
        moves = ~report.conditions.freeze
        points = result.adversarial.reshape(N, -1)[result.found][:, moves]
        assert ((points >= lower[moves]) & (points <= upper[moves])).all()
        transfer = report.transfer
        assert transfer is not None
        if result.found.any():
            assert transfer.rows[0].error == [1.0, 1.0]
            row = int(np.flatnonzero(result.found)[0])
            again = replay(report, row, model, lambda *_: None)  # type: ignore[arg-type]
            assert again.stored_holds
            assert again.reproduces, again
    stable = next(check for check in report.checks if check.id == "stable")
    assert stable.outcome == "PASS", stable.detail
