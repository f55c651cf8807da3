"""Every kind of model that is accepted, and every kind that is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import robustcheck as rc
from robustcheck.errors import ConfigError, DataRefused, ModelRefused, RobustcheckWarning
from robustcheck.models import logits_of, own_labels, own_labels_singly

layers = keras.layers
QUICK = rc.SearchOptions(budget=40)


def rows_of(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, width), dtype=np.float32)


def seeded(model: Any, seed: int = 0) -> Any:
    """Give a model weights that do not depend on what was built before it."""
    draw = np.random.default_rng(seed)
    model.set_weights([draw.standard_normal(weight.shape).astype(weight.dtype) for weight in model.weights])
    return model


def centred(model: Any, x: Any) -> Any:
    """Shift the last bias so that samples are of several classes."""
    scores = model.predict(x, verbose=0)
    *rest, bias = model.get_weights()
    if np.allclose(scores.sum(axis=1), 1.0, atol=1e-3):
        scores = np.log(scores)
    model.set_weights([*rest, bias - scores.mean(axis=0)])
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
    with pytest.raises(ModelRefused, match=r'head="binary_logit".*--head binary_logit.*or head="sigmoid"'):
        rc.wrap(dense_model(1))
    classifier = rc.wrap(dense_model(1), head="binary_logit")
    assert classifier.classes == 2
    assert classifier.head == "one logit"


class Subclassed(keras.Model):
    """A model whose layers are called by hand."""

    def __init__(self, ending: Any = tf.identity) -> None:
        super().__init__()
        self.hidden = layers.Dense(6, "tanh")
        self.head = layers.Dense(3)
        self.dropout = layers.Dropout(0.5)
        self.ending = ending

    def call(self, x: Any, training: bool = False) -> Any:
        return self.ending(self.head(self.dropout(self.hidden(x), training=training)))


def by_hand(z: Any) -> Any:
    """A softmax of other operations."""
    e = tf.exp(z - tf.reduce_max(z, axis=-1, keepdims=True))
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


def a_mixture(z: Any) -> Any:
    """Probabilities that no softmax of scores is the end of."""
    return 0.5 * tf.nn.softmax(z) + 0.5 * tf.nn.softmax(-2.0 * z)


@tf.function
def in_a_function(z: Any) -> Any:
    """A softmax that the graph calls."""
    return tf.nn.softmax(z)


@pytest.mark.parametrize(
    "ending",
    [
        tf.nn.softmax,
        keras.activations.softmax,
        lambda z: layers.Softmax()(z),
        by_hand,
        lambda z: tf.exp(tf.nn.log_softmax(z)),
        in_a_function,
    ],
)
def test_subclassed_model(ending: Any) -> None:
    model = Subclassed(ending)
    classifier = rc.wrap(model, input_shape=(4,))
    assert classifier.head.startswith("softmax, logits recovered")
    x = rows_of(5, 4)
    bare = model.head(model.hidden(x)).numpy()
    differences = logits_of(classifier, x) - bare
    np.testing.assert_allclose(differences - differences[:, :1], 0.0, atol=1e-5)
    with pytest.raises(ConfigError, match="pass input_shape="):
        rc.wrap(Subclassed())


def test_a_softmax_out_of_reach_falls_back_on_probabilities_and_warns() -> None:
    model = Subclassed(a_mixture)
    with pytest.warns(RobustcheckWarning, match="logarithm of the probabilities"):
        classifier = rc.wrap(model, input_shape=(4,))
    x = rows_of(5, 4)
    np.testing.assert_allclose(np.exp(logits_of(classifier, x)), model.predict(x, verbose=0), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("seed", range(3))
def test_logits_are_recovered_in_every_precision(dtype: str, seed: int) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, "softmax", dtype=keras.DTypePolicy(dtype))])
    classifier, x = rc.wrap(seeded(model, seed)), rows_of(9, 4)
    assert classifier.head == "softmax, logits recovered"
    bare = x @ np.asarray(model.get_weights()[0]) + np.asarray(model.get_weights()[1])
    np.testing.assert_allclose(logits_of(classifier, x), bare, atol=1e-5 if dtype == "float64" else 0.05)


def tanh_net(seed: int, activation: str | None) -> Any:
    return seeded(keras.Sequential([keras.Input((4,)), layers.Dense(1, activation)]), seed)


@pytest.mark.parametrize("seed", range(10))
def test_a_tanh_decides_by_its_sign(seed: int) -> None:
    model, x = tanh_net(seed, "tanh"), 2.0 * rows_of(200, 4) - 1.0
    model.compile("sgd", "hinge")
    model.fit(x, np.sign(x[:, 0] + 0.1), epochs=1, verbose=0)
    sign = np.sign(model.predict(x, verbose=0)[:, 0])
    y = np.where(np.random.default_rng(seed).random(200) < 0.2, -sign, sign)
    report = rc.audit(model, x, y, box=(-1.0, 1.0), options=rc.SearchOptions(budget=20))
    assert report.model.head == "tanh, logit recovered"
    assert report.measures["accuracy.clean"].value == np.mean(sign == y)
    # the closed form of one unit, but for the box: never shorter
    w = model.get_weights()[0][:, 0]
    z = x @ w + model.get_weights()[1]
    found = report.samples.found
    assert (report.samples.l2[found] >= np.abs(z)[found] / np.linalg.norm(w) * (1 - 1e-4)).all()


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_one_output_is_never_judged_by_its_values(shift: float) -> None:
    """Whether its values happen to lie in [0, 1] says nothing of where the decision is."""
    model = tanh_net(0, None)
    model.set_weights([np.full((4, 1), 0.1, np.float32), np.full(1, shift, np.float32)])
    with pytest.raises(ModelRefused, match=r'pass head="binary_logit".*head="sigmoid"'):
        rc.wrap(model)
    x = rows_of(50, 4)
    values = model.predict(x, verbose=0)[:, 0]
    for head, threshold in (("binary_logit", 0.0), ("sigmoid", 0.5)):
        with pytest.warns(RobustcheckWarning) if head == "sigmoid" else contextlib.nullcontext():
            classifier = rc.wrap(model, head=head)
        np.testing.assert_array_equal(own_labels(classifier, x), values > threshold)
        np.testing.assert_array_equal(logits_of(classifier, x).argmax(axis=1), values > threshold)


def test_one_output_without_an_axis() -> None:
    model = tanh_net(0, "sigmoid")
    classifier = rc.wrap(lambda x: model(x)[:, 0], input_shape=(4,))
    assert (classifier.head, classifier.classes) == ("sigmoid, logit recovered", 2)


class Fenced(layers.Layer):
    """Raises on values outside a range."""

    def __init__(self, low: Any, high: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = np.float32(low), np.float32(high)

    def call(self, x: Any) -> Any:
        inside = tf.debugging.Assert(tf.reduce_all((x >= self.low) & (x <= self.high)), ["outside", x])
        with tf.control_dependencies([inside] if inside is not None else []):
            return tf.identity(x)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


FENCES: dict[str, tuple[Any, Any, Any]] = {
    "above zero": (0.1, 1.0, None),
    "above zero, frozen": (0.1, 1.0, [False, False, False, True]),
    "one infinite side": (0.5, np.inf, None),
    "the other": (-np.inf, -0.5, [True, False, False, False]),
    "by feature": ([0.1, 2.0, -3.0, 5.0], [0.2, 2.5, -2.0, 5.0], None),
}


@pytest.mark.parametrize(
    ("kind", "batch"), [*((kind, None) for kind in FENCES), ("above zero, frozen", 3), ("by feature", 3)]
)
def test_nothing_outside_the_box_reaches_the_model(kind: str, batch: int | None) -> None:
    low, high, freeze = FENCES[kind]
    x_in = keras.Input((4,), batch_size=batch)
    hidden = layers.Dense(5, "tanh")(layers.Lambda(lambda t: tf.math.log(tf.abs(t)))(Fenced(low, high)(x_in)))
    model = seeded(keras.Model(x_in, layers.Dense(3)(hidden)))
    draw = np.random.default_rng(0)
    low, high = (np.broadcast_to(np.float32(side), (4,)) for side in (low, high))
    low_end, high_end = np.maximum(low, -9.0), np.minimum(high, 9.0)
    x = (low_end + (high_end - low_end) * draw.random((30, 4))).astype(np.float32)
    x = np.clip(x, low, high)
    if batch is None:
        centred(model, x)
    classifier = rc.wrap(model, box=(low, high), freeze=freeze)
    y = own_labels(classifier, x)
    report = rc.audit(classifier, x, y, references={"itself": classifier}, options=QUICK)
    assert report.samples.found.any() or batch


def test_nothing_outside_the_boxes_of_several_inputs() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([Fenced(5.0, 6.0)(a), Fenced(-3.0, -2.0)(b)])
    model = seeded(keras.Model([a, b], layers.Dense(3)(joined)))
    x = [5.0 + rows_of(12, 2), rows_of(12, 3) - 3.0]
    centred(model, x)
    for box in ({"a": (5, 6), "b": (-3, -2)}, [(5, 6), (-3, -2)]):
        classifier = rc.wrap(model, box=box)
        assert classifier.box == "a [5, 6], b [-3, -2]"
        report = rc.audit(classifier, x, references={"again": classifier})
        assert report.samples.found.any()
    with pytest.raises(ConfigError, match=r"expected a box for each of the inputs \['a', 'b'\]"):
        rc.wrap(model, box={"a": (5, 6)})
    frozen = rc.wrap(model, box=[(5, 6), (-3, -2)], freeze={"b": [True, False, True]})
    np.testing.assert_array_equal(frozen.free, [True, True, False, True, False])


def test_errors_print_no_arrays() -> None:
    side = np.zeros((28, 28))
    for box in ([(side, side)], (side, side - 1), {"a": side}):
        with pytest.raises(ConfigError) as refused:
            rc.wrap(dense_model(), box=box)
        assert len(str(refused.value)) < 300


def test_a_sequence_with_its_mask() -> None:
    """A mask that a layer divides by the sum of: zeros for what does not move would give NaN."""
    seq, mask = keras.Input((5, 2), name="seq"), keras.Input((5,), name="mask")
    weight = layers.Lambda(lambda m: (m / keras.ops.sum(m, axis=-1, keepdims=True))[..., None])(mask)
    pooled = layers.Lambda(lambda t: keras.ops.sum(t[0] * t[1], axis=1))([seq, weight])
    model = seeded(keras.Model({"seq": seq, "mask": mask}, layers.Dense(3)(pooled)))
    x = {"seq": rows_of(20, 10).reshape(20, 5, 2), "mask": (np.arange(5) < 3) * np.ones((20, 1))}
    classifier = rc.wrap(centred(model, x), perturb="seq")
    result = rc.minimal_distortion(classifier, x, model.predict(x, verbose=0).argmax(axis=1))
    assert result.found.any()
    report = rc.audit(model, x, perturb="seq")
    assert report.samples.found.sum() == result.found.sum()


@pytest.mark.parametrize("stateful", [True, False])
def test_a_fixed_batch_is_filled_up(stateful: bool) -> None:
    x_in = keras.Input((5, 2), batch_size=16)
    model = keras.Model(x_in, layers.Dense(3, "softmax")(layers.LSTM(4, stateful=stateful)(x_in)))
    bare_in, x = keras.Input((5, 2)), rows_of(21, 10)
    bare = seeded(keras.Model(bare_in, layers.Dense(3, "softmax")(layers.LSTM(4)(bare_in))))
    model.set_weights(centred(bare, x.reshape(21, 5, 2)).get_weights())
    classifier = rc.wrap(model)
    assert classifier.head == "softmax, logits recovered"
    y = bare.predict(x.reshape(21, 5, 2), verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(own_labels(classifier, x), y)
    result = rc.minimal_distortion(classifier, x.reshape(21, 5, 2), y)
    again = rc.minimal_distortion(rc.wrap(bare), x.reshape(21, 5, 2), y)
    assert result.found.all()
    np.testing.assert_allclose(np.median(result.l2), np.median(again.l2), rtol=1e-3)


def test_a_fixed_batch_whose_rows_influence_one_another_is_refused() -> None:
    x = keras.Input((4,), batch_size=8)
    mixed = layers.Lambda(lambda t: t - keras.ops.mean(t, axis=0, keepdims=True))(x)
    model = seeded(keras.Model(x, layers.Dense(3)(mixed)))
    with pytest.raises(ModelRefused, match="takes batches of 8 only, and its rows influence one another"):
        rc.wrap(model)


def test_functions_run_eagerly() -> None:
    model, x = dense_model(activation="softmax"), rows_of(9, 4)
    y = model.predict(x, verbose=0).argmax(axis=1)
    before = rc.minimal_distortion(rc.wrap(model), x, y, options=rc.SearchOptions(budget=40))
    tf.config.run_functions_eagerly(True)
    try:
        after = rc.minimal_distortion(rc.wrap(model), x, y, options=rc.SearchOptions(budget=40))
        rc.minimal_distortion(rc.wrap(model), x, y, options=rc.SearchOptions(budget=60, method="szegedy"))
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_allclose(after.l2, before.l2, rtol=1e-5)


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
    assert rc.wrap(model).layout.perturbed == (True, False)  # what has no gradient stays as it is
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
        lambda: functional(lambda x: layers.Dense(2)(keras.ops.ones_like(x))),
        "no gradient reaches the inputs",
    ),
    "multi-label": (
        lambda: functional(lambda x: layers.Dense(3, "sigmoid")(x)),
        "look like independent sigmoids, a multi-label head",
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
        (3, "foo", ConfigError, r"head= \(--head\): expected one of \['auto', 'logits'"),
        (3, "sigmoid", ModelRefused, "expected one output, got 3 outputs"),
        (1, "softmax", ModelRefused, "expected one output a class, got 1 outputs"),
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


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_a_softmax_by_hand_is_known_in_every_precision(dtype: str) -> None:
    """Probabilities of half precision add up to one but for their own rounding."""
    for seed in range(5):
        x_in = keras.Input((4,))
        logits = layers.Dense(5, dtype=keras.DTypePolicy(dtype))(x_in)
        model = seeded(keras.Model(x_in, layers.Lambda(by_hand)(logits)), seed)
        assert rc.wrap(model).head == "softmax, logits recovered, taken before RealDiv, Exp"
        mixed = seeded(keras.Model(x_in, layers.Lambda(a_mixture)(logits)), seed)
        with pytest.warns(RobustcheckWarning, match="logarithm of the probabilities"):
            assert rc.wrap(mixed).head == "softmax, log of probabilities"


def test_another_backend_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(
        ConfigError, match="got torch: set KERAS_BACKEND=tensorflow in the environment before"
    ):
        rc.wrap(dense_model())


def test_a_data_range_by_input() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = seeded(keras.Model({"a": a, "b": b}, layers.Dense(3)(layers.Concatenate()([a, b]))))
    x = {"a": rows_of(6, 2), "b": rows_of(6, 3)}
    stored = {"a": 100 * x["a"], "b": 40 * x["b"] - 20}
    report = rc.audit(model, stored, data_range={"a": (0, 100), "b": (-20, 20)}, options=QUICK)
    whole = np.concatenate([x["a"], x["b"]], axis=1)
    np.testing.assert_allclose(report.samples.input, whole, atol=1e-6)


def test_streams_reach_the_audit() -> None:
    """From Python: without labels against the model's own predictions; a label of several is chosen."""
    model, x = dense_model(), rows_of(20, 4)
    centred(model, x)
    y = model.predict(x, verbose=0).argmax(axis=1)
    slices = tf.data.Dataset.from_tensor_slices

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return x[10 * index : 10 * index + 10], y[10 * index : 10 * index + 10]

    for given, settings, labels in (
        (slices(x).batch(8), {}, "model"),
        (slices((x, y)), {}, "data"),
        (slices((x, np.eye(3, dtype=np.float32)[y])), {}, "data"),
        (slices((x, {"kind": y, "size": y})).batch(8), {"y_key": "kind"}, "data"),
        (Batches(), {}, "data"),
        (((x[i : i + 5], y[i : i + 5]) for i in range(0, 20, 5)), {}, "data"),
        ([(x[:7], y[:7]), (x[7:], y[7:])], {}, "data"),
        (list(x), {"labels": "model"}, "model"),
    ):
        report = rc.audit(model, given, options=rc.SearchOptions(budget=20), **settings)
        assert (report.data.labels, report.counts.total, report.counts.already_wrong) == (labels, 20, 0)
    with pytest.raises(DataRefused, match=r'choose one with y_key="kind" \(--y-key kind\)'):
        rc.audit(model, slices((x, {"kind": y, "size": y})).batch(8))


def test_what_is_said_must_fit_the_model() -> None:
    """A word that the graph, the values or the inputs contradict is refused, not left out."""
    linear = tanh_net(0, None)
    linear.set_weights([np.full((4, 1), 9.0, np.float32), np.full(1, -20.0, np.float32)])
    for model, said, error, text in (
        (tanh_net(0, "sigmoid"), {"head": "binary_logit"}, ModelRefused, "which ends in a sigmoid"),
        (tanh_net(0, "tanh"), {"head": "sigmoid"}, ModelRefused, "which ends in a tanh"),
        (linear, {"head": "sigmoid"}, ModelRefused, "expected probabilities, got outputs from"),
        (dense_model(), {"head": "softmax"}, ModelRefused, "expected probabilities that add up to 1"),
        (dense_model(), {"perturb": "foo"}, ConfigError, "the model has one input"),
        (
            dense_model(),
            {"input_shape": (9,)},
            ConfigError,
            r"a shape that fits the model's \(4,\), got \(9,\)",
        ),
    ):
        with pytest.raises(error, match=text):
            rc.wrap(model, **said)
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    two = keras.Model([a, b], layers.Dense(3)(layers.Concatenate()([a, b])))
    with pytest.raises(ConfigError, match=r"expected one or more of the inputs \['a', 'b'\]"):
        rc.wrap(two, perturb=[])
    x = rows_of(6, 4)
    for settings, text in (({"labels": "mdoel"}, "--labels"), ({"options": {"budget": 30}}, "SearchOptions")):
        with pytest.raises(ConfigError, match=text):
            rc.audit(dense_model(), x, np.zeros(6, int), **settings)
    with pytest.raises(ModelRefused, match=r"reference b, for a model that takes \(4,\): "):
        rc.audit(dense_model(), x, references={"b": functional(embedded)})
    with pytest.raises(ConfigError, match=r"reference b, for a model that takes \(4,\): "):
        rc.audit(dense_model(), x, references={"b": dense_model(width=3)})
