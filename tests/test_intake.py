"""Files that may be hostile: what is read, and what is refused with which words."""

from __future__ import annotations

import io
import itertools
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from robustcheck import arrays, assets, intake
from robustcheck.errors import ConfigError, DataRefused, ModelRefused
from robustcheck.stored import open_archive

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


def is_mapped(array: np.ndarray) -> bool:
    """Whether an array's values are in a file until they are asked for."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


@pytest.mark.parametrize("kind", [np.uint8, ">f4", np.float64])
def test_what_is_stored_as_it_is_is_mapped(tmp_path: Path, kind: Any) -> None:
    x = X.astype(kind)
    loaded = load(saved(tmp_path, x=x, y=Y))
    assert is_mapped(loaded.x)
    np.testing.assert_array_equal(loaded.x, x)
    np.savez_compressed(tmp_path / "small.npz", x=x, y=Y)
    small = load(tmp_path / "small.npz")
    assert not is_mapped(small.x)
    np.testing.assert_array_equal(small.x, x)
    turned = load(saved(tmp_path, x=np.asfortranarray(x), y=Y))
    np.testing.assert_array_equal(turned.x, x)


def test_npy_files_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    pair = f"{tmp_path / 'x.npy'},{tmp_path / 'y.npy'}"
    loaded = load(pair)
    assert is_mapped(loaded.x)
    np.testing.assert_array_equal(loaded.x, X)
    np.testing.assert_array_equal(loaded.y, Y)
    assert loaded.path == pair
    assert load(tmp_path / "x.npy", need_labels=False).y is None
    assert load(pair, limit=3, sample="first").sha256 == loaded.sha256
    np.save(tmp_path / "y.npy", Y[::-1])
    assert load(pair).sha256 != loaded.sha256


def test_npy_files_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "one.npy", np.array(3))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    (tmp_path / "text.npy").write_text("not an array")
    for source, expected in {
        "x.npy": "expected samples and labels, got no labels",
        "x.npy,nowhere.npy": "nowhere.npy: expected an .npy with an array of numbers, got nothing there",
        "x.npy,one.npy": "expected an array with a row a sample",
        "x.npy,objects.npy": "objects.npy: expected an .npy with an array of numbers",
        "cut.npy": "cut.npy: expected an .npy with an array of numbers",
        "text.npy": "text.npy: expected an .npy with an array of numbers",
    }.items():
        named = ",".join(str(tmp_path / name) for name in source.split(","))
        with pytest.raises(DataRefused, match=expected):
            load(named)


def test_a_member_that_lies_about_its_size_is_not_mapped(tmp_path: Path) -> None:
    """A header that claims more rows than the file has would be read past the end."""
    file = saved(tmp_path, x=X, y=Y)
    content = file.read_bytes()
    assert content.count(b"(6, 2, 2)") == 1
    file.write_bytes(content.replace(b"(6, 2, 2)", b"(9, 2, 2)"))
    with pytest.raises(DataRefused):
        load(file)


def test_npz_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for source, text in (
        (tmp_path / "missing.npz", "got nothing there"),
        (
            saved(tmp_path, a=X),
            r"expected an array 'x' or 'x_test', got \['a'\]; choose one with x_key= \(--x-key\)",
        ),
        (saved(tmp_path, x=X), "expected an array 'y' or 'y_test'.*--y-key"),
        (saved(tmp_path, x=np.array([Marker()], dtype=object), y=Y), "arrays of numbers"),
    ):
        with pytest.raises(DataRefused, match=text):
            load(source)
    assert not Path("unpickled").exists()
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(
        DataRefused, match=r"expected an \.npz with arrays of numbers, got a file that is not one"
    ):
        load(tmp_path / "text.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """What it claims is read before anything is unpacked."""
    file = saved(tmp_path, x=X, y=Y)
    content = bytearray(file.read_bytes())
    # the directory at the end of an archive says how large its members are
    with zipfile.ZipFile(file) as archive:
        size = archive.getinfo("x.npy").file_size
    at = content.rindex(struct.pack("<L", size))
    content[at : at + 4] = struct.pack("<L", 0xFFFFFFF0)
    file.write_bytes(content)
    with (
        pytest.raises(DataRefused, match=r"is stored as it is in .* bytes, and claims 4294967280"),
        open_archive(file, "an archive", DataRefused, most=2**30),
    ):
        pass


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
    with pytest.raises(
        DataRefused, match=r"expected an image of 2 x 2, as the model takes, got 3 x 3; none is resized"
    ):
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
        ("other.keras", r"expected config\.json in the archive"),
        ("model.pt", r"expected a file ending in \.keras or \.h5"),
        ("broken.h5", "expected weights in HDF5"),
        ("code.keras", r"layer 'lambda\w*' \(Lambda\): it holds Python code, which is never run from a file"),
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
    with pytest.raises(DataRefused, match=r"expected an array 'x' or 'x_test', got \[\]"):
        load(tmp_path / "raw.npz")
    np.savez_compressed(
        tmp_path / "broken.npz", x=np.random.default_rng(0).random((50, 2, 2)), y=np.zeros(50)
    )
    content = bytearray((tmp_path / "broken.npz").read_bytes())
    content[120:160] = b"\xff" * 40
    (tmp_path / "broken.npz").write_bytes(bytes(content))
    with pytest.raises(DataRefused, match=r"expected an \.npz with arrays of numbers: "):
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


def test_a_limit_draws_of_the_whole_source(tmp_path: Path) -> None:
    """A file sorted by class gives every class, unless the first rows are asked for."""
    x, y = np.arange(400.0).reshape(200, 2), np.repeat(np.arange(10), 20)
    sources = [
        saved(tmp_path, x=x, y=y),
        saved(tmp_path, x=x, y=np.eye(10)[y]),
        (x, y),
        (x.tolist(), y.tolist()),
    ]
    for source in sources:
        drawn = load(source, shapes=((2,),), classes=10, limit=20, seed=3)
        assert drawn.y is not None
        np.testing.assert_array_equal(drawn.x, x[drawn.index])
        assert sorted(y[drawn.index].tolist()) == np.repeat(np.arange(10), 2).tolist()
        assert drawn.sample == "stratified"
        first = load(source, shapes=((2,),), classes=10, limit=20, sample="first")
        np.testing.assert_array_equal(first.index, np.arange(20))
        assert first.strata is not None
        assert len(first.strata) == 200
        random = load(source, shapes=((2,),), classes=10, limit=20, sample="random")
        assert len(set(random.index.tolist())) == 20
    # a larger limit keeps what a smaller one took, so that samples can be paired
    small, large = (set(load(sources[0], shapes=((2,),), limit=n).index.tolist()) for n in (10, 50))
    assert small <= large
    assert load(sources[0], shapes=((2,),), limit=500).sample is None
    unlabelled = load((x, None), shapes=((2,),), limit=20, need_labels=False)
    assert unlabelled.sample == "random"


def streams() -> dict[str, Any]:
    """The same 12 samples 4 x 4 of 3 classes, in every way that they can come."""
    import keras
    import tensorflow as tf

    draw = np.random.default_rng(0)
    x, y = draw.random((12, 4, 4), np.float32), np.arange(12) % 3
    one_hot = np.eye(3, dtype=np.float32)[y]
    slices = tf.data.Dataset.from_tensor_slices

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            rows = slice(4 * index, 4 * index + 4)
            return x[rows], y[rows]

    given = {
        "arrays": (x, y),
        "a list of images": (list(x), list(y)),
        "a list of batches": ([x[:5], x[5:10], x[10:]], [y[:5], y[5:10], y[10:]]),
        "a list of pairs of batches": [(x[:5], y[:5]), (x[5:], y[5:])],
        "a list of pairs of samples": list(zip(x, y, strict=True)),
        "an axis more": (x[..., None], y[:, None]),
        "samples": slices((x, y)),
        "batches": slices((x, y)).batch(5),
        "batches of one size": slices((x, y)).batch(4, drop_remainder=True),
        "samples, one-hot": slices((x, one_hot)),
        "batches, one-hot": slices((x, one_hot)).batch(5),
        "batches of as many as classes, one-hot": slices((x, one_hot)).batch(3, drop_remainder=True),
        "with weights": slices((x, y, np.ones(12))).batch(5),
        "labels as a mapping": slices((x, {"kind": y, "size": y + 1})).batch(5),
        "one label as a mapping": slices((x, {"kind": y})).batch(5),
        "samples as a mapping": slices(({"image": x}, y)).batch(5),
        "all in a mapping": slices({"image": x, "kind": y}),
        "PyDataset": Batches(),
        "a generator of batches": ((x[i : i + 4], y[i : i + 4]) for i in (0, 4, 8)),
        "a generator of samples": ((x[i], y[i]) for i in range(12)),
        "from a generator": tf.data.Dataset.from_generator(
            lambda: iter(zip(x, y, strict=True)),
            output_signature=(tf.TensorSpec((4, 4), tf.float32), tf.TensorSpec((), tf.int64)),
        ),
    }
    return {name: (value, x, y) for name, value in given.items()}


@pytest.mark.parametrize("shapes", [((4, 4),), ((4, 4, 1),), None], ids=["told", "an axis", "untold"])
def test_data_as_they_come(shapes: Any) -> None:
    for name, (given, x, y) in streams().items():
        if shapes is None and name in ("a list of batches", "all in a mapping", "samples as a mapping"):
            continue  # these need the model's word
        found = load(given, shapes=shapes, classes=3, y_key="kind")
        got = next(iter(found.x.values())) if isinstance(found.x, dict) else found.x
        np.testing.assert_array_equal(got.reshape(x.shape), x, err_msg=name)
        assert found.y is not None, name
        label = found.y.argmax(axis=1) if found.y.ndim == 2 and found.y.shape[1] > 1 else found.y.reshape(-1)
        np.testing.assert_array_equal(label, y, err_msg=name)
        assert found.strata is not None, name
        np.testing.assert_array_equal(found.strata, y, err_msg=name)


def test_streams_with_a_limit() -> None:
    for name, (given, x, y) in streams().items():
        found = load(given, shapes=((4, 4),), classes=3, y_key="kind", limit=6)
        assert len(found.index) == len(found.x) == 6, name
        label = y[found.index]
        # what does not tell its length is taken from its beginning, and that is said
        first = "generator" in name
        assert found.sample == ("first" if first else "stratified"), name
        assert bool(found.notes) == first, name
        assert first or sorted(label.tolist()) == [0, 0, 1, 1, 2, 2], name
        np.testing.assert_array_equal(np.asarray(found.x).reshape(6, 4, 4), x[found.index], err_msg=name)


def test_streams_larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes is kept in a file once it is much, and is the same arrays and the same source."""
    plain = {
        name: load(given, shapes=((4, 4),), classes=3, y_key="kind")
        for name, (given, *_) in streams().items()
    }
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 300)
    for name, (given, *_) in streams().items():
        found = load(given, shapes=((4, 4),), classes=3, y_key="kind")
        parts = list(found.x.values()) if isinstance(found.x, dict) else [found.x]
        assert all(isinstance(part, np.memmap) for part in parts) == intake.is_stream(given), name
        np.testing.assert_array_equal(found.x, plain[name].x, err_msg=name)
        assert found.sha256 == plain[name].sha256, name


def test_a_stream_that_does_not_end() -> None:
    endless = ((np.zeros((4, 4), np.float32), 0) for _ in itertools.count())
    with pytest.raises(DataRefused, match=r"1000 bytes .*does not tell how long it is.*--limit"):
        load(endless, shapes=((4, 4),), classes=3, max_data_bytes=1000)


def test_no_room_for_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, *_: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 300)
    monkeypatch.setattr(arrays.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(DataRefused, match=r"expected room for the samples: .*No space left"):
        load(streams()["batches"][0], shapes=((4, 4),), classes=3)


def test_streams_refused() -> None:
    import tensorflow as tf

    given = streams()
    cases = [
        (
            given["labels as a mapping"][0],
            {},
            r"mapping of \['kind', 'size'\]; choose one with y_key=\"kind\"",
        ),
        (iter([]), {}, "expected at least one sample, got none"),
        ((np.zeros((3, 4, 4)), np.zeros(2)), {}, "a label for each of 3 samples, got 2"),
        (
            ([np.zeros((4, 4)), np.zeros((5, 4))], [0, 1]),
            {},
            r"of one shape in a list, got \(4, 4\), \(5, 4\)",
        ),
        (({"a": np.zeros((2, 4, 4)), "b": np.zeros(2)}, [0, 1]), {}, r"\['a', 'b'\]; choose one with x_key"),
        (tf.data.Dataset.from_tensors(np.zeros((4, 4))), {}, 'got no labels; labels="model"'),
        (tf.data.Dataset.from_tensors((np.zeros((4, 4)), 1)).repeat(), {}, "set limit= \\(--limit\\)"),
        ([(np.zeros((2, 4, 4)), [0, 1]), (np.zeros((2, 5, 4)), [0, 1])], {}, "of one shape"),
        (
            [(np.zeros((2, 4, 4), np.uint8), [0, 1]), (np.zeros((2, 4, 4)), [0, 1])],
            {},
            r"of one shape and type: expected uint8 of shape \(4, 4\), got float64",
        ),
    ]
    for source, settings, text in cases:
        with pytest.raises(DataRefused, match=text):
            load(source, **({"shapes": ((4, 4),), "classes": 3} | settings))


def test_a_path_is_never_taken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for module in ("C", "hf", "models", "file"):
        (tmp_path / f"{module}.py").write_text(
            "import pathlib\npathlib.Path('ran').touch()\ndef f(): return 1\n"
        )
    for spec in (r"C:\data\none.npz", "C:data", "hf://user/model", "./models:f", "models/x:f", "models.py:f",
                 "file:///x", "models:f.x", "models :f"):  # fmt: skip
        with pytest.raises(DataRefused, match=r"got nothing there|got an address"):
            load(spec)
        with pytest.raises(
            ModelRefused, match=r"a path that does not exist|expected a model file|got an address"
        ):
            intake.load_model(spec)
    assert not (tmp_path / "ran").exists()


def keras2_models() -> dict[str, Any]:
    """Models of tf_keras: those whose files Keras 3 cannot load as they are."""
    import tf_keras

    part = tf_keras.layers

    def sequence(*layers: Any, shape: tuple[int, ...]) -> Any:
        return tf_keras.Sequential([part.Input(shape), *layers, part.Dense(3, "softmax")])

    return {
        "lstm": sequence(part.LSTM(4), shape=(5, 2)),
        "bidirectional": sequence(part.Bidirectional(part.GRU(4)), shape=(5, 2)),
        "simple": sequence(part.SimpleRNN(4, return_sequences=True), part.Flatten(), shape=(5, 2)),
        "depthwise": sequence(part.DepthwiseConv2D(3), part.Flatten(), shape=(6, 6, 2)),
        "separable": sequence(part.SeparableConv2D(4, 3), part.Flatten(), shape=(6, 6, 2)),
        "transposed": sequence(part.Conv2DTranspose(2, 3), part.GlobalMaxPooling2D(), shape=(6, 6, 2)),
        "normalised": sequence(part.Conv2D(2, 3), part.BatchNormalization(), part.Flatten(), shape=(6, 6, 2)),
        "dropout": sequence(part.SpatialDropout1D(0.1), part.Flatten(), shape=(5, 2)),
        "cell": sequence(part.RNN(part.LSTMCell(4)), shape=(5, 2)),
    }


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_files_of_keras_2(tmp_path: Path) -> None:
    """Arguments that mean nothing are left out; the model that comes gives the same."""
    for name, model in keras2_models().items():
        path = tmp_path / f"{name}.h5"
        model.save(path)
        loaded = intake.load_model(str(path)).model
        x = np.random.default_rng(0).random((4, *model.input_shape[1:]), np.float32)
        again = np.asarray(loaded(x, training=False))
        np.testing.assert_allclose(again, np.asarray(model(x, training=False)), atol=1e-6, err_msg=name)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_what_keras_3_cannot_load_is_refused_with_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    monkeypatch.chdir(tmp_path)
    x_in = tf_keras.layers.Input((4,))
    model = tf_keras.Model(x_in, tf_keras.layers.Dense(3)(x_in * 2.0 + tf.nn.relu(x_in)))
    model.save("old.keras")
    model.save("old.h5")
    new = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    new.export(tmp_path / "saved", verbose=False)
    x = np.random.default_rng(0).random((5, 4), np.float32)
    for spec, source in (("old.keras", model), ("old.h5", model), ("saved", new)):
        with pytest.raises(ModelRefused, match="loader:build_model") as refused:
            intake.load_model(spec)
        problem, *lines = str(refused.value).splitlines()
        assert len(problem) < 600
        # the three lines, as they would be pasted
        Path("loader.py").write_text("\n".join(line.removeprefix("    ") for line in lines))
        monkeypatch.delitem(__import__("sys").modules, "loader", raising=False)
        way = intake.load_model("loader:build_model").model
        given = way(x, training=False)
        given = next(iter(given.values())) if isinstance(given, dict) else given
        np.testing.assert_allclose(np.asarray(given), np.asarray(source(x)), atol=1e-5)


CUSTOM = """
import keras

class Doubling(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def shrink(x):
    return 0.5 * x
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_users_own_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_layers.py").write_text(CUSTOM)
    own = intake.import_layers(["own_layers"])
    assert set(own) == {"Doubling", "shrink"}
    x_in = keras.Input((4,))
    big = keras.layers.Dense(300, name="n" * 200)(own["Doubling"]()(x_in))
    model = keras.Model(x_in, keras.layers.Dense(3, activation=own["shrink"])(big))
    model.save("own.keras")
    with pytest.raises(ModelRefused, match=r"it needs 'Doubling'.*--import package.module.*factory"):
        intake.load_model("own.keras")
    loaded = intake.load_model("own.keras", imports=["own_layers"]).model
    np.testing.assert_allclose(loaded(np.ones((2, 4))), model(np.ones((2, 4))), atol=1e-6)
    for name, text in (("no_such", "could not be imported"), ("a/b", "expected package.module")):
        with pytest.raises(ConfigError, match=f"--import: .*{text}"):
            intake.import_layers([name])


def test_boxes_and_masks_by_input(tmp_path: Path) -> None:
    path = tmp_path / "box.npz"
    np.savez(path, **{"a.lower": [0.0], "a.upper": [1.0], "b.lower": [-3.0], "b.upper": [3.0]})
    found = intake.read_by_input(path, "lower", "upper")
    assert {name: [float(side[0]) for side in sides] for name, sides in found.items()} == {
        "a": [0.0, 1.0],
        "b": [-3.0, 3.0],
    }
    np.savez(path, **{"a.lower": [0.0]})
    with pytest.raises(ConfigError, match=r"expected an array 'a\.upper'"):
        intake.read_by_input(path, "lower", "upper")
    np.savez(path, low=[0.0])
    with pytest.raises(ConfigError, match=r"or \['INPUT\.lower', 'INPUT\.upper'\], got \['low'\]"):
        intake.read_by_input(path, "lower", "upper")


def test_no_sample_at_all(tmp_path: Path) -> None:
    for given in (saved(tmp_path, x=X[:0], y=Y[:0]), (X[:0], Y[:0]), ([], [])):
        with pytest.raises(DataRefused, match="expected at least one sample, got none"):
            load(given)


def test_an_npz_with_an_array_for_each_input(tmp_path: Path) -> None:
    path = saved(tmp_path, num=X[:, 0], code=Y[:, None], y=Y)
    wanted = {"shapes": ((2,), (1,)), "names": ("num", "code")}
    found = load(path, **wanted, limit=4)
    np.testing.assert_array_equal(found.x["code"][:, 0], Y[found.index])
    with pytest.raises(
        DataRefused, match=r"for each of the inputs \['num', 'mask'\], got \['num', 'code', 'y'\]"
    ):
        load(path, shapes=((2,), (1,)), names=("num", "mask"))


def test_the_digest_is_of_the_whole_source() -> None:
    """A limit does not make it another source: baselines are known by it."""
    whole, part = (load((X, Y), limit=limit) for limit in (None, 3))
    assert len(part.x) == 3
    assert part.sha256 == whole.sha256
