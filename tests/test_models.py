"""Every kind of model that is accepted, and every kind that is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import robustcheck as rc
from robustcheck.errors import ConfigError, ModelRefused, RobustcheckWarning
from robustcheck.models import logits_of, own_labels, own_labels_singly

layers = keras.layers


def rows_of(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, width), dtype=np.float32)


def seeded(model: Any, seed: int = 0) -> Any:
    """Give a model weights that do not depend on what was built before it."""
    draw = np.random.default_rng(seed)
    model.set_weights([draw.standard_normal(weight.shape).astype(weight.dtype) for weight in model.weights])
    return model


def dense_model(units: int = 3, activation: str | None = None, width: int = 4) -> Any:
    return seeded(
        keras.Sequential(
            [keras.Input((width,)), layers.Dense(6, "tanh"), layers.Dense(units, activation=activation)]
        )
    )


def test_logits_of_a_logit_model_are_its_output() -> None:
    model, x = dense_model(), rows_of(9, 4)
    classifier = rc.wrap(model)
    np.testing.assert_allclose(logits_of(classifier, x), model.predict(x, verbose=0), atol=1e-5)
    assert classifier.head == "logits"
    assert (classifier.classes, classifier.input_shape, classifier.features) == (3, (4,), 4)
    assert classifier.parameters == model.count_params()


def headless(head: str) -> tuple[Any, Any]:
    """A model that ends in a softmax written in one of many ways, and the logits it hides."""
    x = keras.Input((4,))
    logits = layers.Dense(3)(layers.Dense(6, "tanh")(x))
    if head == "activation":
        out = layers.Activation("softmax")(logits)
    elif head == "layer":
        out = layers.Softmax()(logits)
    elif head == "op":
        out = keras.ops.softmax(logits)
    elif head == "nested":
        hidden = layers.Dense(6, "tanh")(x)
        out = keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])(hidden)
    else:
        out = layers.Dense(3, "softmax")(layers.Dense(6, "tanh")(x))
    model = seeded(keras.Model(x, out))
    bare = keras.Sequential([keras.Input((4,)), layers.Dense(6, "tanh"), layers.Dense(3)])
    bare.set_weights(model.get_weights())
    return model, bare


@pytest.mark.parametrize("head", ["dense", "activation", "layer", "op", "nested"])
def test_logits_are_recovered_from_a_softmax(head: str) -> None:
    model, bare = headless(head)
    x = rows_of(9, 4)
    before = model.predict(x, verbose=0)
    classifier = rc.wrap(model)
    assert classifier.head == "softmax, logits recovered"
    np.testing.assert_allclose(logits_of(classifier, x), bare.predict(x, verbose=0), atol=1e-5)
    np.testing.assert_array_equal(own_labels(classifier, x), before.argmax(axis=1))
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)  # the model is left as it was


def test_logits_survive_a_saturated_softmax() -> None:
    model = dense_model(activation="softmax")
    model.set_weights([weight * 1000 for weight in model.get_weights()])
    classifier = rc.wrap(model)
    x = rows_of(9, 4)
    assert np.all(model.predict(x, verbose=0).min(axis=1) == 0.0)  # underflow: no gradient is left
    spread = np.ptp(logits_of(classifier, x), axis=1)
    assert np.isfinite(spread).all()
    assert (spread > 100).all()


def test_one_unit_sigmoid_is_two_classes() -> None:
    model, x = dense_model(1, "sigmoid"), rows_of(50, 4)
    classifier = rc.wrap(model)
    p = model.predict(x, verbose=0)[:, 0]
    z = logits_of(classifier, x)
    assert (classifier.classes, classifier.head) == (2, "sigmoid, logit recovered")
    np.testing.assert_allclose(1 / (1 + np.exp(z[:, 0] - z[:, 1])), p, atol=1e-5)
    np.testing.assert_array_equal(own_labels(classifier, x), (p > 0.5).astype(int))
    np.testing.assert_array_equal(z.argmax(axis=1), (p > 0.5).astype(int))


def test_one_logit_must_be_said() -> None:
    with pytest.raises(ModelRefused, match=r'one output without a sigmoid.*head="binary_logit"'):
        rc.wrap(dense_model(1))
    classifier = rc.wrap(dense_model(1), head="binary_logit")
    assert classifier.classes == 2
    assert classifier.head == "one logit"


class Subclassed(keras.Model):
    """A model whose layers are called by hand."""

    def __init__(self, inline: bool = False) -> None:
        super().__init__()
        self.hidden = layers.Dense(6, "tanh")
        self.head = layers.Dense(3, activation=None if inline else "softmax")
        self.dropout = layers.Dropout(0.5)
        self.inline = inline

    def call(self, x: Any, training: bool = False) -> Any:
        out = self.head(self.dropout(self.hidden(x), training=training))
        return tf.nn.softmax(out) if self.inline else out


def test_subclassed_model() -> None:
    model = Subclassed()
    classifier = rc.wrap(model, input_shape=(4,))
    assert classifier.head == "softmax, logits recovered"
    with pytest.raises(ConfigError, match="pass input_shape="):
        rc.wrap(Subclassed())


def test_a_softmax_out_of_reach_falls_back_on_probabilities_and_warns() -> None:
    model = Subclassed(inline=True)
    with pytest.warns(RobustcheckWarning, match="logarithm of the probabilities"):
        classifier = rc.wrap(model, input_shape=(4,))
    x = rows_of(5, 4)
    np.testing.assert_allclose(np.exp(logits_of(classifier, x)), model.predict(x, verbose=0), rtol=1e-4)


def test_inference_mode_always() -> None:
    model = seeded(
        keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(6),
                layers.BatchNormalization(),
                layers.Dropout(0.9),
                layers.Dense(3),
            ]
        )
    )
    model.layers[1].set_weights([np.ones(6), np.zeros(6), np.zeros(6), np.ones(6)])
    classifier, x = rc.wrap(model), rows_of(5, 4)
    first = logits_of(classifier, x)
    np.testing.assert_array_equal(first, logits_of(classifier, x))
    np.testing.assert_allclose(first, model.predict(x, verbose=0), atol=1e-5)


def test_several_outputs() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, [layers.Dense(3, name="kind")(x), layers.Dense(5, name="colour")(x)])
    with pytest.raises(ConfigError, match=r"one of the model's outputs \['kind', 'colour'\], got None"):
        rc.wrap(model)
    with pytest.raises(ConfigError, match="got 'size'"):
        rc.wrap(model, output="size")
    assert rc.wrap(model, output="colour").classes == 5
    assert rc.wrap(model, output=0).classes == 3


def test_dict_outputs_by_name() -> None:
    x = keras.Input((4,))
    out = {"kind": layers.Dense(3, "softmax")(x), "colour": layers.Dense(5, "softmax")(x)}
    classifier = rc.wrap(keras.Model(x, out), output="colour")
    assert (classifier.classes, classifier.head) == (5, "softmax, logits recovered")


def test_several_inputs_only_some_perturbed() -> None:
    image, code = keras.Input((3, 2), name="image"), keras.Input((2,), dtype="int32", name="code")
    embedded = layers.Flatten()(layers.Embedding(7, 3)(code))
    out = layers.Dense(3)(layers.Concatenate()([layers.Flatten()(image), embedded]))
    model = seeded(keras.Model({"image": image, "code": code}, out))
    with pytest.raises(ConfigError, match=r"perturb: expected one or more of the inputs \['image', 'code'\]"):
        rc.wrap(model)
    with pytest.raises(ModelRefused, match="input 'code' takes integers"):
        rc.wrap(model, perturb="code")
    classifier = rc.wrap(model, perturb="image")
    x = {"image": rows_of(5, 6).reshape(5, 3, 2), "code": np.arange(10).reshape(5, 2) % 7}
    y = model.predict(x, verbose=0).argmax(axis=1)
    result = rc.minimal_distortion(classifier, x, y)
    assert classifier.features == 6
    np.testing.assert_array_equal(result.adversarial[result.found][:, 6:], result.input[result.found][:, 6:])
    np.testing.assert_allclose(result.rms, result.l2 / np.sqrt(6))


def test_list_inputs() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = seeded(keras.Model([a, b], layers.Dense(3)(layers.Concatenate()([a, b]))))
    classifier = rc.wrap(model)
    x = [rows_of(4, 2), rows_of(4, 3)]
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(logits_of(classifier, np.concatenate(x, axis=1)), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype: str) -> None:
    policy = keras.DTypePolicy(dtype)
    model = seeded(
        keras.Sequential(
            [keras.Input((4,)), layers.Dense(8, "tanh", dtype=policy), layers.Dense(3, dtype=policy)]
        )
    )
    x = rows_of(12, 4)
    y = model.predict(x, verbose=0).argmax(axis=1)
    result = rc.minimal_distortion(rc.wrap(model), x, y, options=rc.SearchOptions(budget=100))
    assert result.found.any()
    for size in (1, 5):
        again = model.predict(result.adversarial[result.found], batch_size=size, verbose=0).argmax(axis=1)
        assert (again != y[result.found]).all()


def test_channels_first() -> None:
    model = seeded(
        keras.Sequential(
            [
                keras.Input((3, 6, 6)),
                layers.Conv2D(4, 3, activation="relu", data_format="channels_first"),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
    )
    x = rows_of(3, 108).reshape(3, 3, 6, 6)
    y = logits_of(rc.wrap(model), x.reshape(3, -1)).argmax(axis=1)
    result = rc.minimal_distortion(rc.wrap(model), x, y)
    assert result.adversarial.shape == x.shape
    assert result.found.all()


def test_preprocessing_layers_and_a_pixel_box() -> None:
    normalize = layers.Normalization(mean=[0.5] * 4, variance=[0.04] * 4)
    model = keras.Sequential([keras.Input((4,)), layers.Rescaling(1 / 255), normalize, layers.Dense(3)])
    model.layers[-1].set_weights([np.eye(4, 3, dtype=np.float32), np.zeros(3, np.float32)])
    x = (255 * rows_of(8, 4)).astype(np.uint8)
    y = model.predict(x.astype(np.float32), verbose=0).argmax(axis=1)
    result = rc.minimal_distortion(rc.wrap(model, box=(0, 255)), x, y)
    assert result.found.all()
    # the two largest of the first three features meet half way
    top = np.sort(x[:, :3].astype(float), axis=1)
    np.testing.assert_allclose(result.l2, (top[:, 2] - top[:, 1]) / np.sqrt(2), rtol=1e-3, atol=0.02)


def test_open_dimensions_need_a_shape() -> None:
    model = keras.Sequential([keras.Input((None, 2)), layers.GlobalAveragePooling1D(), layers.Dense(3)])
    with pytest.raises(ConfigError, match=r"open dimensions \(None, 2\): pass input_shape="):
        rc.wrap(model)
    assert rc.wrap(model, input_shape=(7, 2)).input_shape == (7, 2)


def test_tf_keras_model() -> None:
    import tf_keras

    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((4,)),
            tf_keras.layers.Dense(6, "tanh"),
            tf_keras.layers.Dense(3, "softmax"),
        ]
    )
    classifier, x = rc.wrap(model), rows_of(5, 4)
    assert classifier.head == "softmax, logits recovered"
    np.testing.assert_allclose(
        tf.nn.softmax(logits_of(classifier, x)), model.predict(x, verbose=0), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_tfsm_layer(tmp_path: Any) -> None:
    model = dense_model()
    model.export(tmp_path / "saved", verbose=False)
    layer = layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serve")
    classifier, x = rc.wrap(layer, input_shape=(4,), name="saved"), rows_of(5, 4)
    np.testing.assert_allclose(logits_of(classifier, x), model.predict(x, verbose=0), atol=1e-5)


def test_a_callable() -> None:
    weights = tf.constant(rows_of(4, 3) - 0.5)
    classifier = rc.wrap(lambda x: x @ weights, input_shape=(4,), name="linear")
    assert (classifier.name, classifier.classes, classifier.parameters) == ("linear", 3, None)


def test_labels_one_by_one_are_those_of_the_batch(dense: Any, pixels: np.ndarray) -> None:
    rows = pixels.reshape(len(pixels), -1)
    np.testing.assert_array_equal(own_labels_singly(dense, rows), own_labels(dense, rows, batch_size=7))


def functional(make: Any, shape: tuple[int, ...] = (4,), dtype: str = "float32") -> Any:
    x = keras.Input(shape, dtype=dtype)
    return keras.Model(x, make(x))


def embedded(x: Any) -> Any:
    return layers.Dense(2)(layers.Flatten()(layers.Embedding(5, 2)(x)))


REFUSED = {
    "integers": (
        lambda: functional(embedded, dtype="int32"),
        "takes int32 inputs: expected floating point",
    ),
    "embedding": (
        lambda: functional(embedded),
        "no gradient reaches the inputs: it looks its inputs up in an embedding",
    ),
    "no gradient": (
        lambda: functional(lambda x: layers.Dense(2)(keras.ops.stop_gradient(x))),
        "no gradient reaches the inputs",
    ),
    "multi-label": (
        lambda: functional(lambda x: layers.Dense(3, "sigmoid")(x)),
        "look like independent sigmoids.*got a multi-label head",
    ),
    "generative": (
        lambda: functional(lambda x: layers.Conv2D(1, 3, padding="same")(x), (8, 8, 1)),
        r"expected outputs \(N, classes\), got \('N', 8, 8, 1\)",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    make, text = REFUSED[kind]
    with pytest.raises(ModelRefused, match=text) as refused:
        rc.wrap(make())
    assert refused.value.exit_code == 3


def test_a_model_that_fails_is_refused_with_its_reason() -> None:
    def broken(_: Any) -> Any:
        raise ValueError("matrix sizes differ")

    with pytest.raises(ModelRefused, match=r"failed on a batch of shape \(N, 4\): ValueError: matrix sizes"):
        rc.wrap(broken, input_shape=(4,))


@pytest.mark.parametrize(
    ("freeze", "text"),
    [(np.ones(4, bool), "at least one feature that may change"), (np.ones(3, bool), "broadcasts to")],
)
def test_freeze_is_checked(freeze: np.ndarray, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        rc.wrap(dense_model(), freeze=freeze)


@pytest.mark.parametrize(
    ("units", "head", "error", "text"),
    [
        (3, "foo", ConfigError, "head: expected 'auto' or one of"),
        (3, "sigmoid", ModelRefused, "head='sigmoid': expected one output, got 3 outputs"),
        (1, "softmax", ModelRefused, "head='softmax': expected one output a class, got 1 outputs"),
    ],
)
def test_a_head_that_does_not_fit(units: int, head: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        rc.wrap(dense_model(units), head=head)


def test_a_constant_column_cannot_change() -> None:
    upper = np.array([1.0, 1.0, 0.5, np.inf])
    lower = np.array([0.0, 0.0, 0.5, -np.inf])
    x = rows_of(20, 4)
    x[:, 2] = 0.5
    model = dense_model()
    result = rc.minimal_distortion(
        rc.wrap(model, box=(lower, upper)), x, model.predict(x, verbose=0).argmax(axis=1)
    )
    found = result.adversarial[result.found]
    assert len(found)
    np.testing.assert_array_equal(found[:, 2], 0.5)
    assert ((found >= lower) & (found <= upper)).all()
