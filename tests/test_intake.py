"""Files that may be hostile: what is read, and what is refused with which words."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from robustcheck import assets, intake
from robustcheck.errors import ConfigError, DataRefused, ModelRefused

X = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(6, 2, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


def load(source: Any, **settings: Any) -> intake.LoadedData:
    wanted = intake.Wanted(**({"shapes": ((2, 2),), "classes": 2} | settings))
    return intake.load_data(str(source) if isinstance(source, Path) else source, wanted)


def saved(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / f"{'_'.join(arrays)}_{len(list(tmp_path.iterdir()))}.npz"
    np.savez(path, **arrays)
    return path


def test_npz_keys(tmp_path: Path) -> None:
    assert len(load(saved(tmp_path, x=X, y=Y)).x) == 6
    both = load(saved(tmp_path, x_test=X, y_test=Y, x_train=X, y_train=Y), limit=4, sample="first")
    np.testing.assert_array_equal(both.x, X[:4])
    np.testing.assert_array_equal(both.index, range(4))
    named = load(saved(tmp_path, pictures=X, classes=Y), x_key="pictures", y_key="classes")
    np.testing.assert_array_equal(named.y, Y)
    assert load(saved(tmp_path, x=X), need_labels=False).y is None


class Marker:
    """Unpickling one of these would write a file."""

    def __reduce__(self) -> Any:
        return (Path("unpickled").touch, ())


def test_npz_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for source, text in (
        (tmp_path / "missing.npz", "got nothing there"),
        (
            saved(tmp_path, a=X),
            r"expected an array 'x' or 'x_test', got \['a'\]; choose one with x_key= \(--x-key\)",
        ),
        (saved(tmp_path, x=X), "expected an array 'y' or 'y_test'.*--y-key"),
        (saved(tmp_path, x=np.array([Marker()], dtype=object), y=Y), "expected arrays of numbers"),
    ):
        with pytest.raises(DataRefused, match=text):
            load(source)
    assert not Path("unpickled").exists()
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(DataRefused, match=r"expected an \.npz archive, got a file that is not one"):
        load(tmp_path / "text.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustcheck.intake._files._MOST_UNPACKED", 100)
    with pytest.raises(DataRefused, match="at most 0 GiB unpacked"):
        load(saved(tmp_path, x=X, y=Y))


def image_folder(tmp_path: Path, names: tuple[str, ...] = ("ape", "bee"), count: int = 5) -> Path:
    for number, name in enumerate(names):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(np.full((2, 2, 3), 10 * i + number, np.uint8)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_image_folder(tmp_path: Path) -> None:
    data = load(image_folder(tmp_path), shapes=((2, 2, 3),))
    assert data.x.shape == (10, 2, 2, 3)
    assert data.x.dtype == np.uint8
    assert data.y is not None
    assert data.y.tolist() == [0] * 5 + [1] * 5
    assert data.class_names == ("ape", "bee")
    assert load(tmp_path, shapes=((2, 2, 1),)).x.shape == (10, 2, 2)
    assert load(tmp_path, shapes=((3, 2, 2),)).x.shape == (10, 3, 2, 2)


def test_image_folder_limit_is_stratified_and_seeded(tmp_path: Path) -> None:
    folder = image_folder(tmp_path, count=20)
    first = load(folder, limit=10, seed=1)
    assert first.y is not None
    assert first.y.tolist() == [0] * 5 + [1] * 5
    np.testing.assert_array_equal(first.index, load(folder, limit=10, seed=1).index)
    assert first.index.tolist() != load(folder, limit=10, seed=2).index.tolist()
    assert set(load(folder, limit=4, seed=1).index) <= set(first.index)


def test_image_folder_class_names(tmp_path: Path) -> None:
    folder = image_folder(tmp_path)
    data = load(folder, classes=3, class_names=("cat", "bee", "ape"))
    assert data.y is not None
    assert data.y.tolist() == [2] * 5 + [1] * 5
    with pytest.raises(
        DataRefused, match="expected 3 sub-folders, one a class of the model, got 2; class_names="
    ):
        load(folder, classes=3)
    with pytest.raises(DataRefused, match=r"named after the classes, got \['ape'\]"):
        load(folder, class_names=("bee", "cat"))


def test_image_folder_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(DataRefused, match=r"expected images \(.png"):
        load(tmp_path / "empty", classes=1)
    folder = image_folder(tmp_path, ("ape", "bee"), 2)
    (tmp_path / "empty" / "a").rmdir()
    (tmp_path / "empty").rmdir()
    (folder / "ape" / "z.png").write_bytes(b"not a picture")
    with pytest.raises(DataRefused, match=r"z\.png: expected an image"):
        load(folder)
    Image.new("RGB", (3, 3)).save(folder / "ape" / "z.png")
    with pytest.raises(DataRefused, match="expected images of one size"):
        load(folder)


def test_functions_as_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project_data.py").write_text(
        "import numpy as np, tensorflow as tf\n"
        "X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2\n"
        "def arrays(): return X, Y\n"
        "def batched(): return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)\n"
        "def single(): return tf.data.Dataset.from_tensor_slices((X, Y))\n"
        "def broken(): raise RuntimeError('disk\\n on fire')\n"
        "def nothing(): return 3\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("arrays", "batched", "single"):
        data = load(f"project_data:{name}", shapes=((2,),), limit=5, sample="first")
        np.testing.assert_array_equal(data.x, np.arange(10.0).reshape(5, 2))
        assert data.y is not None
        assert data.y.tolist() == [0, 1, 0, 1, 0]
    for name, text in (
        ("broken", "the function failed: RuntimeError: disk on fire"),
        ("nothing", r"expected \(x, y\), a tf.data.Dataset, a PyDataset or batches, got int"),
        ("number", "expected a function, got int"),
        ("absent", "expected an importable package.module:function: AttributeError"),
    ):
        with pytest.raises(DataRefused, match=text):
            load(f"project_data:{name}")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' HDF5 writer
def test_models(tmp_path: Path) -> None:
    loaded = intake.load_model(str(assets.path(assets.MODELS[0])))
    assert loaded.name == "digits_dense_64"
    assert loaded.sha256 is not None
    loaded.model.save(tmp_path / "old.h5")
    assert intake.load_model(str(tmp_path / "old.h5"), "renamed").name == "renamed"


def test_models_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.chdir(tmp_path)
    Path("text.keras").write_text("x")
    with zipfile.ZipFile("other.keras", "w") as archive:
        archive.writestr("a", "b")
    Path("model.pt").write_text("x")
    Path("broken.h5").write_text("x")
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]).save("code.keras")
    Path("project_models.py").write_text("def broken(): raise KeyError('w')\ndef none(): return None\n")
    for spec, text in (
        ("missing.keras", "expected a model file, got nothing"),
        ("missing", "got a path that does not exist"),
        ("text.keras", r"expected a \.keras archive, got a file that is not one"),
        ("other.keras", "Keras could not load the model"),
        ("model.pt", r"expected a file ending in \.keras or \.h5"),
        ("broken.h5", "Keras could not load the model"),
        ("code.keras", "it holds Python code \\(a Lambda layer\\), which is never run from a file"),
        ("project_models:broken", "the factory failed: KeyError"),
        ("project_models:none", "a function that returns a model, got NoneType"),
        ("no_such_module:f", "expected an importable package.module:function: ModuleNotFoundError"),
    ):
        with pytest.raises(ModelRefused, match=text) as refused:
            intake.load_model(spec)
        assert "\n" not in str(refused.value)


def test_class_names_and_arrays(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ape\nbee\n\n")
    assert intake.read_class_names(names) == ("ape", "bee")
    names.write_text("ape\nbee\nape\n")
    with pytest.raises(DataRefused, match=r"expected different names, one a line, got 3 \(2 different\)"):
        intake.read_class_names(names)
    box = saved(tmp_path, lower=X, upper=X + 1)
    np.testing.assert_array_equal(intake.read_arrays(box, "lower", "upper")[1], X + 1)
    with pytest.raises(ConfigError, match=r"expected arrays \['lower', 'top'\]"):
        intake.read_arrays(box, "lower", "top")
    with pytest.raises(ConfigError, match="got nothing there"):
        intake.read_arrays(tmp_path / "no.npz", "lower")


def test_lengths_are_compared_before_the_limit(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="expected a label for each of 6 samples, got 5"):
        load(saved(tmp_path, x=X, y=Y[:5]), limit=3)


def test_archives_that_are_not_what_they_seem(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="a row a sample under 'x', got a single value"):
        load(saved(tmp_path, x=np.float32(3), y=Y))
    with zipfile.ZipFile(tmp_path / "raw.npz", "w") as archive:
        archive.writestr("x", b"text")
        archive.writestr("y", b"text")
    with pytest.raises(DataRefused, match="got another kind of file"):
        load(tmp_path / "raw.npz")
    np.savez_compressed(
        tmp_path / "broken.npz", x=np.random.default_rng(0).random((50, 2, 2)), y=np.zeros(50)
    )
    content = bytearray((tmp_path / "broken.npz").read_bytes())
    content[120:160] = b"\xff" * 40
    (tmp_path / "broken.npz").write_bytes(bytes(content))
    with pytest.raises(DataRefused, match="expected arrays of numbers, could not be read"):
        load(tmp_path / "broken.npz")


def test_images_that_would_be_changed_are_refused(tmp_path: Path) -> None:
    folder = image_folder(tmp_path)
    for mode in ("I;16", "RGBA", "LA"):
        Image.new(mode, (2, 2)).save(folder / "ape" / "z.png")
        with pytest.raises(DataRefused, match=f"8 bits a channel without transparency, got mode {mode}"):
            load(folder)


def test_functions_that_do_odd_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_data.py").write_text(
        "import numpy as np, sys, tensorflow as tf\n"
        "X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2\n"
        "def leaves(): sys.exit(7)\n"
        "def endless(): return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).repeat()\n"
        "def weighted(): return tf.data.Dataset.from_tensor_slices((X, Y, Y)).batch(4)\n"
        "def listed(): return [X, Y]\n"
    )
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("leaves", "the function failed: SystemExit"),
        ("endless", "expected a finite tf.data.Dataset"),
    ):
        with pytest.raises(DataRefused, match=text):
            load(f"odd_data:{name}")
    for name, limit in (("weighted", None), ("listed", None), ("endless", 6)):
        assert len(load(f"odd_data:{name}", limit=limit).x) == 6
