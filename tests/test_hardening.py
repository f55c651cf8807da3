"""Training with pools: cuts, pools, steps, runs that go on, controls, statistics."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import robustcheck as rc
from robustcheck import assets
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.hardening import PoolTraining, find_cuts, mcnemar, paired_mean
from robustcheck.hardening._batches import Batches
from robustcheck.hardening._pool import Pool
from robustcheck.measures._paired import t_quantile

Data = tuple[np.ndarray, np.ndarray]
# some nets here are hardly trained, and some pools of theirs stay empty, which is told
pytestmark = pytest.mark.filterwarnings("ignore:no pool was kept")
QUICK = rc.PoolOptions(size=60, fresh=32, interval=2, batch_size=16, warmup=2, cap=2.0)


@pytest.fixture(scope="module")
def train() -> Data:
    """400 training digits in [0, 1]."""
    with np.load(assets.path(assets.DIGITS)) as stored:
        return (stored["x_train"][:400] / 16).astype(np.float32), stored["y_train"][:400].astype(np.int64)


def dense(activation: str = "sigmoid", *, seed: int = 0, rate: float = 0.0, head: Any = None) -> Any:
    """30-20-10, compiled."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8))
    flow = layers.Dense(30, activation, name="one")(layers.Flatten()(inputs))
    flow = layers.Dropout(rate, name="drop")(flow) if rate else flow
    flow = layers.Dense(20, activation, name="two")(flow)
    model = keras.Model(inputs, layers.Dense(10, head, name="out")(flow))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=head is None)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def trained(model: Any, data: Data, epochs: int = 15) -> Any:
    model.fit(*data, epochs=epochs, batch_size=32, verbose=0)
    return model


def convolutional() -> Any:
    keras.utils.set_random_seed(0)
    parts = [
        layers.Reshape((8, 8, 1)), layers.Conv2D(6, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(), layers.ReLU(6.0, name="relu"), layers.MaxPooling2D(name="pool"),
        layers.Flatten(name="flat"), layers.Dropout(0.3, name="drop"),
        layers.Dense(16, "tanh", name="hidden"), layers.Dense(10, "softmax", name="out"),
    ]  # fmt: skip
    model = keras.Sequential([keras.Input((8, 8)), *parts])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def residual() -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8))
    stem = layers.Dense(16, "relu", name="stem")(layers.Flatten()(inputs))
    side = layers.Dense(16, name="side")(layers.Dense(12, "relu", name="inner")(stem))
    joined = layers.Add(name="add")([stem, side])
    model = keras.Model(inputs, layers.Dense(10, name="out")(layers.Activation("elu", name="elu")(joined)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (dense, ["input", "one", "two"]),
        (lambda: dense(rate=0.2), ["input", "one", "two"]),
        (convolutional, ["input", "flat", "hidden"]),
        (residual, ["input", "stem", "elu"]),
    ],
)
def test_all_layers_and_both_sides_of_a_cut(
    build: Callable[[], Any], names: list[str], pixels: np.ndarray
) -> None:
    model = build()
    cuts = find_cuts(model)
    assert [cut.name for cut in cuts] == names
    expected = model(pixels, training=False).numpy()
    for cut in cuts:
        at = pixels if cut.below is None else cut.below(pixels, training=False)
        np.testing.assert_allclose(cut.above(at, training=False), expected, rtol=1e-5, atol=1e-6)
        values = np.asarray(at)
        assert (values >= cut.box.lower).all()
        assert (values <= cut.box.upper).all()
        shared = {id(weight) for weight in model.weights}
        assert {id(weight) for weight in cut.above.weights} <= shared


@pytest.mark.parametrize(
    ("build", "name", "box"),
    [
        (dense, "one", (0.0, 1.0)),
        (lambda: dense("tanh"), "two", (-1.0, 1.0)),
        (lambda: dense("relu"), "one", (0.0, np.inf)),
        (lambda: dense("linear"), "one", (-np.inf, np.inf)),
        (lambda: dense("gelu"), "one", (-np.inf, np.inf)),
        (convolutional, "flat", (0.0, 6.0)),
        (convolutional, "conv", (-np.inf, np.inf)),
        (residual, "elu", (-1.0, np.inf)),
        (residual, "add", (-np.inf, np.inf)),
        (dense, "input", (0.0, 1.0)),
    ],
)
def test_the_box_is_the_range_of_the_activation(
    build: Callable[[], Any], name: str, box: tuple[float, float]
) -> None:
    (cut,) = find_cuts(build(), name)
    assert (float(cut.box.lower), float(cut.box.upper)) == box


def test_what_does_not_cut_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\['input', 'flatten\w*', 'stem', 'add', 'elu'\], got \['side'\]"):
        find_cuts(residual(), ["stem", "side"])
    with pytest.raises(ConfigError, match=r"got \['out'\]"):
        find_cuts(dense(), "out")
    with pytest.raises(ConfigError, match="got none"):
        find_cuts(dense(), [])

    class Subclassed(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ModelRefused, match="got one without a graph of layers"):
        find_cuts(Subclassed())
    two = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(ModelRefused, match="one input and one output, got 2 and 1"):
        find_cuts(keras.Model(two, layers.Dense(2)(layers.Concatenate()(two))))


@pytest.mark.parametrize("build", [dense, lambda: dense("relu"), convolutional])
def test_pools_hold_verified_examples(build: Callable[[], Any], train: Data) -> None:
    model = trained(build(), train)
    options = dataclasses.replace(QUICK, cap=0.4, fresh=100)
    for cut in find_cuts(model):
        pool = Pool(cut, options)
        for step in range(3):
            pool.refresh(*train, np.random.default_rng(step))
        assert 0 < pool.held <= pool.size
        examples, source = pool.batch(200, np.random.default_rng(0))
        flat = examples.reshape(200, -1)
        assert (cut.above.predict(examples, verbose=0).argmax(axis=1) != train[1][source]).all()
        assert (flat >= pool.classifier.lower).all()
        assert (flat <= pool.classifier.upper).all()
        whole = pool.activations(train[0])
        spread = np.sqrt(np.mean(np.sum((whole - whole.mean(axis=0)) ** 2, axis=1)))
        reached = np.linalg.norm(flat - pool.activations(train[0][source]), axis=1)
        assert reached.max() <= 0.45 * spread, "the cap, whose spread is that of each 100 samples"
        state = pool.state
        assert state.made >= state.held
        assert state.tried == 300
        assert state.gradient_evaluations > 0


def test_distances_at_the_last_layer_are_exact(train: Data) -> None:
    """Above the last hidden layer the model is linear, and without a box its distances have a closed form."""
    model = trained(dense("linear"), train)
    (cut,) = find_cuts(model, "two")
    pool = Pool(cut, dataclasses.replace(QUICK, budget=60, cap=100.0, fresh=50, size=50))
    pool.refresh(*train, np.random.default_rng(0))
    weights, bias = (np.asarray(weight, np.float64) for weight in model.get_layer("out").get_weights())
    at = pool.activations(train[0][pool.source[: pool.held]]).astype(np.float64)
    z, own = at @ weights + bias, train[1][pool.source[: pool.held]]
    for i in range(pool.held):
        others = np.delete(np.arange(10), own[i])
        normals = weights[:, others] - weights[:, [own[i]]]
        exact = np.min((z[i, own[i]] - z[i, others]) / np.linalg.norm(normals, axis=0))
        assert pool.distance[i] == pytest.approx(exact, rel=2e-3)


def test_random_examples_give_way_to_new_ones(train: Data) -> None:
    model = trained(dense(), train)
    pool = Pool(find_cuts(model, "one")[0], QUICK)
    for step in range(4):
        pool.refresh(*train, np.random.default_rng(step))
    before = pool.source.copy()
    assert pool.held == pool.size == 60
    pool.refresh(*train, np.random.default_rng(9))
    changed = int(np.sum(before != pool.source))
    assert 0.5 * 32 < changed <= 32, "so many as were made, but for one that came again"


def test_the_controls(train: Data) -> None:
    model = trained(dense(), train)
    (cut,) = find_cuts(model, "one")
    pools = {}
    for kind in ("adversarial", "noise", "clean"):
        pools[kind] = Pool(cut, dataclasses.replace(QUICK, kind=kind))
        pools[kind].refresh(*train, np.random.default_rng(0))
    adversarial, noise, clean = pools.values()
    np.testing.assert_array_equal(adversarial.source, noise.source)
    np.testing.assert_allclose(adversarial.distance, noise.distance)
    moved = noise.examples[: noise.held] - noise.activations(train[0][noise.source[: noise.held]])
    assert np.mean(np.linalg.norm(moved, axis=1)) == pytest.approx(noise.state.distortion, rel=0.2)
    np.testing.assert_array_equal(
        clean.examples[: clean.held], clean.activations(train[0][clean.source[: clean.held]])
    )
    fooled = cut.above.predict(noise.examples[: noise.held], verbose=0).argmax(axis=1)
    assert np.mean(fooled == train[1][noise.source[: noise.held]]) > 0.5


def test_a_step_trains_the_layers_above_alone(train: Data) -> None:
    model = trained(dense(), train)
    callback = PoolTraining(*train, layers="one", pool=dataclasses.replace(QUICK, warmup=0))
    callback.set_model(model)
    # Keras numbers the models of a process, and the layers of a path are in them
    names = {id(variable): "/".join(variable.path.split("/")[-2:]) for variable in model.trainable_variables}
    before = {id(variable): variable.numpy() for variable in model.trainable_variables}
    iterations = int(model.optimizer.iterations)
    examples = None
    for _ in range(30):
        callback.on_train_batch_end(0)
        if examples is None:
            examples, source = callback.pools[0].batch(60, np.random.default_rng(0))
            wrong_before = model_loss(callback, examples, train[1][source])
    changed = {
        names[id(variable)]
        for variable in model.trainable_variables
        if not np.array_equal(variable.numpy(), before[id(variable)])
    }
    assert changed == {"two/kernel", "two/bias", "out/kernel", "out/bias"}
    assert int(model.optimizer.iterations) == iterations
    assert callback.extra_steps == 30
    assert model_loss(callback, examples, train[1][source]) < wrong_before


def test_batch_normalisation_keeps_the_statistics_of_the_training_set(train: Data) -> None:
    model = trained(convolutional(), train, epochs=3)
    callback = PoolTraining(*train, layers="input", pool=dataclasses.replace(QUICK, warmup=0))
    callback.set_model(model)
    before = [weight.numpy() for weight in model.non_trainable_weights]
    kernel = model.get_layer("conv").kernel.numpy()
    callback.on_train_batch_end(0)
    for weight, value in zip(model.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert not np.array_equal(model.get_layer("conv").kernel.numpy(), kernel)


def test_training_that_was_plain_all_along_is_told(train: Data) -> None:
    for change, said in (({"warmup": 99}, "before its turn"), ({"cap": 1e-6}, "within the cap")):
        with pytest.warns(rc.errors.RobustcheckWarning, match=said):
            rc.harden(dense(), *train, epochs=1, layers="one", pool=dataclasses.replace(QUICK, **change))


def model_loss(callback: Any, examples: Any, label: Any) -> float:
    """Loss of the layers above on some examples."""
    z = callback.pools[0].cut.above(examples, training=False)
    return float(callback.model.compute_loss(y=label, y_pred=z))


LOSSES = {
    "classes": (lambda: dense(), lambda y: y, "sgd", keras.losses.SparseCategoricalCrossentropy(True)),
    "one-hot": (
        lambda: dense(head="softmax"), lambda y: np.eye(10, dtype=np.float32)[y], "rmsprop",
        "categorical_crossentropy",
    ),
    "schedule": (
        lambda: dense(), lambda y: y,
        keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 52), momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSES)
def test_as_a_callback_of_fit(kind: str, train: Data, tmp_path: Path) -> None:
    build, labels, optimizer, loss = LOSSES[kind]
    model, y = build(), labels(train[1])
    model.compile(optimizer, loss)
    pools = PoolTraining(train[0], y, pool=QUICK)
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    loggers = [keras.callbacks.CSVLogger(tmp_path / "log.csv"), board]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' TensorBoard on NumPy 2
        history = model.fit(train[0], y, epochs=4, verbose=0, callbacks=[pools, *loggers])
    assert int(model.optimizer.iterations) == 52
    assert pools.extra_steps > 10
    assert np.isfinite(history.history["loss"]).all()
    assert "pool_one_held" in (tmp_path / "log.csv").read_text()
    assert list((tmp_path / "board" / "train").iterdir())
    assert all(state.tried > 0 for state in pools.states)


BOTH_FORMS = {
    "numbers, categorical": ("categorical_crossentropy", lambda y: y),
    "numbers, sparse": ("sparse_categorical_crossentropy", lambda y: y),
    "a column, categorical": (keras.losses.CategoricalCrossentropy(), lambda y: y[:, None]),
    "one-hot, categorical": ("categorical_crossentropy", lambda y: np.eye(10, dtype=np.float32)[y]),
    "one-hot, sparse": (keras.losses.SparseCategoricalCrossentropy(), lambda y: np.eye(10)[y]),
    "numbers, mean squares": ("mse", lambda y: y),
}


def test_both_forms_of_labels_work_with_either_loss(train: Data) -> None:
    """Whatever the form, the run is the same."""
    weights = {}
    for kind, (loss, labels) in BOTH_FORMS.items():
        model, y = dense(head="softmax"), labels(train[1])
        model.compile("sgd", loss)
        rc.harden(model, train[0], y, layers="two", epochs=1, pool=QUICK, validation=(train[0][:20], y[:20]))
        weights[kind] = model.get_weights()[0]
    for kind in list(BOTH_FORMS)[1:5]:
        np.testing.assert_allclose(weights[kind], weights["numbers, categorical"], atol=1e-5)


def test_labels_of_the_hinge_loss(train: Data) -> None:
    """-1 and 1 are the two classes: pools are made of both, as of 0 and 1."""
    y, held = train[1] % 2, {}
    for name, labels in (("0 and 1", y), ("-1 and 1", 2 * y - 1)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(1, "tanh")])
        model.compile("sgd", "hinge")
        held[name] = [state.made for state in rc.harden(model, train[0], labels, epochs=2, pool=QUICK).pools]
    assert held["0 and 1"] == held["-1 and 1"]
    assert min(held["0 and 1"]) > 0


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (lambda y: y - 1, "classes 0 to 9, got -1 to 8"),
        (lambda y: y + 1, "classes 0 to 9, got 1 to 10"),
        (lambda y: y.astype(str), "expected labels as numbers"),
        (lambda y: y + 0.5, "expected class numbers or one-hot labels, got fractions"),
        (lambda _: None, "two arrays, x and y"),
    ],
)
def test_labels_that_are_none(train: Data, labels: Any, text: str) -> None:
    for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        model = dense(head="softmax")
        model.compile("sgd", loss)
        with pytest.raises(DataRefused, match=text):
            rc.harden(model, train[0], labels(train[1]), epochs=1, pool=QUICK)


def test_a_head_that_is_said(train: Data) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    with pytest.raises(ModelRefused, match='head="binary_logit"'):
        rc.harden(model, train[0], train[1] % 2, epochs=1, pool=QUICK)
    done = rc.harden(model, train[0], train[1] % 2, epochs=1, pool=QUICK, head="binary_logit")
    assert done.pools[0].tried > 0
    fixed = keras.Sequential([keras.Input((8, 8), batch_size=4), layers.Flatten(), layers.Dense(10)])
    with pytest.raises(ModelRefused, match="takes any number of samples, got one for batches of 4"):
        rc.harden(fixed, *train, epochs=1, pool=QUICK)


def test_both_forms_of_labels_work_with_one_output(train: Data) -> None:
    y = train[1] % 2
    for labels in (y, np.eye(2, dtype=np.float32)[y]):
        keras.utils.set_random_seed(0)
        hidden = layers.Dense(8, "relu", name="hidden")
        model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), hidden, layers.Dense(1, "sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        assert rc.harden(model, train[0], labels, epochs=1, pool=QUICK).epochs == 1


def test_a_binary_head(train: Data) -> None:
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(8, "relu", name="hidden")
    model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), hidden, layers.Dense(1, "sigmoid")])
    done = rc.harden(model, train[0], train[1] % 2, epochs=4, pool=QUICK)
    assert [state.layer for state in done.pools] == ["input", "hidden"]
    assert done.history[-1]["accuracy"] > 0.6


def weights_of(model: Any) -> list[np.ndarray]:
    return [weight.copy() for weight in model.get_weights()]


class Stop(keras.callbacks.Callback):
    """Ends the run as an error or a signal would, at one step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def jitter(x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.clip(x + 0.05 * draw.standard_normal(x.shape), 0, 1).astype(np.float32)


RUN: dict[str, Any] = {"epochs": 4, "batch_size": 32, "pool": QUICK, "augment": jitter}


@pytest.fixture(scope="module")
def undisturbed(train: Data, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run from beginning to end: its model, and what it came to."""
    whole = dense(rate=0.2)
    return whole, rc.harden(whole, *train, checkpoint=tmp_path_factory.mktemp("whole"), **RUN)


@pytest.mark.parametrize("stop", [5, 33])
def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    train: Data, tmp_path: Path, stop: int, undisturbed: Any
) -> None:
    settings, (whole, expected) = RUN, undisturbed
    with pytest.raises(KeyboardInterrupt):
        rc.harden(dense(rate=0.2), *train, checkpoint=tmp_path / "cut", callbacks=[Stop(stop)], **settings)
    again = dense(rate=0.2)
    done = rc.harden(again, *train, checkpoint=tmp_path / "cut", **settings)
    for first, other in zip(weights_of(whole), weights_of(again), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)
    assert [logs["loss"] for logs in done.history] == pytest.approx(
        [logs["loss"] for logs in expected.history], 1e-3
    )
    assert done.extra_steps == expected.extra_steps > 10
    assert [dataclasses.replace(pool, seconds=0, distortion=0) for pool in done.pools] == [
        dataclasses.replace(pool, seconds=0, distortion=0) for pool in expected.pools
    ]


def test_a_seed_repeats_a_run_and_another_does_not(train: Data) -> None:
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model = dense(seed=3)
        pool = dataclasses.replace(QUICK, seed=seed)
        rc.harden(model, *train, epochs=2, pool=pool)
        runs[name] = weights_of(model)
    for first, other in zip(runs["a"], runs["b"], strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)
    assert not np.allclose(runs["a"][0], runs["c"][0], atol=1e-3)


SCRIPT = """
import sys, numpy as np, keras, robustcheck as rc
sys.path.insert(0, {tests!r})
from test_hardening import QUICK, dense
data = np.load({data!r})
model = dense()
rc.harden(model, data["x"], data["y"], epochs=6, batch_size=16, pool=QUICK, checkpoint={folder!r})
np.savez({folder!r} + "/end.npz", *model.get_weights())
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(train: Data, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=train[0], y=train[1])
    ends = {}
    for name, waits in (("undisturbed", ()), ("killed", (0.4,))):
        folder = tmp_path / name
        folder.mkdir()
        script = SCRIPT.format(
            tests=str(Path(__file__).parent), data=str(tmp_path / "data.npz"), folder=str(folder)
        )
        killed = 0
        for wait in (*waits, None):
            with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL) as process:
                while wait is not None and not (folder / "hardening.npz").exists() and process.poll() is None:
                    time.sleep(0.05)
                if wait is not None:
                    time.sleep(wait)
                    process.send_signal(signal.SIGKILL)
                killed += process.wait(120) == -signal.SIGKILL
        assert killed >= bool(waits)
        with np.load(folder / "end.npz") as stored:
            ends[name] = [stored[array] for array in stored]
    for first, other in zip(*ends.values(), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)


def test_checkpoints_of_other_runs_are_refused(train: Data, tmp_path: Path) -> None:
    rc.harden(dense(), *train, epochs=1, pool=QUICK, checkpoint=tmp_path)
    for change in ({"pool": dataclasses.replace(QUICK, cap=1.0)}, {"batch_size": 64}, {"layers": "input"}):
        with pytest.raises(ConfigError, match="expected a checkpoint of the same run"):
            rc.harden(dense(), *train, epochs=1, checkpoint=tmp_path, **({"pool": QUICK} | change))
    with pytest.raises(ConfigError, match="expected a checkpoint of the same run"):
        rc.harden(dense(), train[0] * 0.5, train[1], epochs=1, pool=QUICK, checkpoint=tmp_path)
    with pytest.raises(ConfigError, match="expected a checkpoint of the same run"):
        rc.harden(dense(seed=5), *train, epochs=1, pool=QUICK, checkpoint=tmp_path)
    file = tmp_path / "hardening.npz"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="expected a checkpoint of a run"):
        rc.harden(dense(), *train, epochs=1, pool=QUICK, checkpoint=tmp_path)


def test_arguments_refused(train: Data) -> None:
    with pytest.raises(ConfigError, match="expected a compiled model"):
        PoolTraining(*train).set_model(keras.Model((a := keras.Input((8,))), layers.Dense(2)(a)))
    with pytest.raises(DataRefused, match="expected a label a sample, got 400 and 399"):
        PoolTraining(train[0], train[1][1:])
    with pytest.raises(DataRefused, match="expected class numbers or one-hot labels"):
        PoolTraining(train[0], train[1] + 0.5)
    with pytest.raises(ConfigError, match="epochs and batch_size of 1 or more"):
        rc.harden(dense(), *train, epochs=0)
    for bad in (
        {"size": 0},
        {"budget": 5},
        {"cap": 0.0},
        {"weight": -1.0},
        {"kind": "other"},
        {"every": 1.5},
    ):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            rc.PoolOptions(**bad)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    x, y = np.arange(10.0), np.arange(10)

    def epoch(batches: Batches) -> list[Any]:
        got = [batches[i] for i in range(len(batches))]
        batches.on_epoch_end()
        return [np.concatenate(side).tolist() for side in zip(*got, strict=True)]

    first, late = Batches(x, y, 4, seed=0), Batches(x, y, 4, seed=0, first_epoch=1)
    first, second = epoch(first), epoch(first)
    assert sorted(first[0]) == sorted(second[0]) == list(range(10))
    assert first != second == epoch(late)
    assert epoch(Batches(x, y, 4, seed=1)) != first


def test_statistics_against_a_reference() -> None:
    stats = pytest.importorskip("scipy.stats")
    for p, freedom in ((0.975, 4), (0.995, 1), (0.9, 30)):
        assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-9)
    values = [0.3, -0.1, 0.2, 0.4, 0.25]
    found = paired_mean(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    first, second = np.zeros(100, bool), np.zeros(100, bool)
    first[:12], second[9:14] = True, True
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (9, 2)
    assert found.p == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert mcnemar(first, first).p == 1.0
    with pytest.raises(ConfigError, match="same samples"):
        mcnemar(first, second[1:])
    with pytest.raises(ConfigError, match="two seeds or more"):
        paired_mean([0.1])


def test_options_are_plain_values() -> None:
    assert json.loads(json.dumps(dataclasses.asdict(rc.PoolOptions())))["kind"] == "adversarial"
