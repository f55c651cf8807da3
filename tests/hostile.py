"""Inputs that are hostile, broken or merely odd, and what robustcheck is to say of each.

``python tests/hostile.py FOLDER`` makes all of them and runs the command on each in a process of its own,
with seconds and memory; ``test_hostile.py`` runs them in the process of the tests.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from robustcheck import assets

CANARY = "canary"
_MODEL = assets.path(assets.MODELS[0])


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input: what is typed in a folder of its own, and what comes of it.

    Attributes:
        name: of the case.
        make: writes the files into the folder.
        words: of the command.
        code: exit code.
        says: parts of the one line that is said.
        heavy: whether a process of its own must try it to see what is wrong.
        by_keras: whether Keras must, which needs TensorFlow.
    """

    name: str
    make: Callable[[Path], Any]
    words: tuple[str, ...]
    code: int = 3
    says: tuple[str, ...] = field(default=())
    heavy: bool = False
    by_keras: bool = False


# -- models


def _members() -> dict[str, bytes]:
    with zipfile.ZipFile(_MODEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def keras_file(change: Callable[[dict[str, bytes]], Any]) -> Callable[[Path], None]:
    """A model file whose members were changed."""

    def make(folder: Path) -> None:
        members = _members()
        change(members)
        _write(folder / "model.keras", members)

    return make


def configured(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """A model file whose configuration was changed."""

    def edit(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        members["config.json"] = json.dumps(change(config) or config).encode()

    return keras_file(edit)


def _layer(
    class_name: str, config: Mapping[str, Any], module: str = "keras.layers", **more: Any
) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": dict(config),
        "registered_name": None,
        **more,
    }


def _sequential(*layers: dict[str, Any], shape: tuple[int, ...] = (8, 8)) -> dict[str, Any]:
    entry = _layer("InputLayer", {"batch_shape": [None, *shape], "dtype": "float32", "name": "x"})
    return _layer("Sequential", {"name": "s", "trainable": True, "layers": [entry, *layers]}, module="keras")


def replaced(
    *layers: dict[str, Any], shape: tuple[int, ...] = (8, 8), weights: bool = True
) -> Callable[[Path], None]:
    """A model of these layers, with the weights of another, or for layers that have none."""

    def edit(members: dict[str, bytes]) -> None:
        members["config.json"] = json.dumps(_sequential(*layers, shape=shape)).encode()
        if not weights:
            import h5py

            buffer = io.BytesIO()
            with h5py.File(buffer, "w") as file:
                for name in ("layers", "vars"):
                    file.create_group(name)
            members["model.weights.h5"] = buffer.getvalue()

    return keras_file(edit)


def _dense(units: int, name: str = "d") -> dict[str, Any]:
    return _layer("Dense", {"units": units, "name": name, "dtype": "float32"})


def _flat() -> dict[str, Any]:
    return _layer("Flatten", {"name": "f", "dtype": "float32"})


def _calls(module: str, name: str, *arguments: str) -> dict[str, Any]:
    """What Keras once called while it read an activation."""
    return _layer(
        "Dense",
        {
            "units": 3,
            "name": "d",
            "activation": {
                "module": module, "class_name": name, "config": list(arguments), "registered_name": name,
            },
        },
    )  # fmt: skip


def _canary_module(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text(
        f"open({CANARY!r}, 'w').close()\ndef f(*a, **k): open({CANARY!r}, 'w').close()\nmodel = evil = f\n"
    )


def _with_module(name: str, make: Callable[[Path], Any] = lambda _: None) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        _canary_module(folder, name)
        make(folder)

    return both


def _lambda() -> dict[str, Any]:
    code = "4wEAAAAAAAAAAAAAAAEAAAADAAAA8wYAAACXAHwAUwCpAU6pAKkB2gF4cwEAAAAgeg=="
    function = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    return _layer("Lambda", {"name": "l", "function": function, "arguments": {}})


def _hdf5(change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    """Weights that were changed."""

    def edit(members: dict[str, bytes]) -> None:
        import h5py

        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        members["model.weights.h5"] = buffer.getvalue()

    return edit


def _first_weights(file: Any) -> tuple[Any, str]:
    found: list[str] = []
    file.visititems(
        lambda name, item: found.append(name) if hasattr(item, "shape") and item.ndim == 2 else None
    )
    group, _, name = found[0].rpartition("/")
    return file[group], name


def _external(file: Any) -> None:
    import h5py

    group, name = _first_weights(file)
    del group[name]
    group[name] = h5py.ExternalLink("/etc/hostname", "/x")


def _external_storage(file: Any) -> None:
    group, name = _first_weights(file)
    shape = group[name].shape
    del group[name]
    group.create_dataset(name, shape, "f4", external=[("/dev/zero", 0, 4 * shape[0] * shape[1])])


def _virtual(file: Any) -> None:
    import h5py

    group, name = _first_weights(file)
    shape = group[name].shape
    del group[name]
    layout = h5py.VirtualLayout(shape=shape, dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=shape)
    group.create_virtual_dataset(name, layout)


def _declared(file: Any) -> None:
    group, name = _first_weights(file)
    del group[name]
    group.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000))


def _h5_lambda(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "model.h5", "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(
            {
                "class_name": "Sequential",
                "config": {
                    "name": "s",
                    "layers": [
                        {
                            "class_name": "InputLayer",
                            "config": {"batch_input_shape": [None, 8, 8], "name": "x"},
                        },
                        {
                            "class_name": "Lambda",
                            "config": {
                                "name": "l",
                                "function": [_lambda()["config"]["function"]["config"]["code"], None, None],
                                "function_type": "lambda",
                            },
                        },
                    ],
                },
            }
        )
        file.create_group("model_weights")


class _Opens:
    def __reduce__(self) -> Any:
        return open, (CANARY, "w")


def _flagged(path: Path, *, method: int | None = None, encrypted: bool = False) -> None:
    """Have the first member of an archive say another method, or that it is encrypted."""
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + at
        flags, old = struct.unpack_from("<HH", content, place)
        struct.pack_into("<HH", content, place, flags | encrypted, old if method is None else method)
    path.write_bytes(bytes(content))


def _linked_member(members: dict[str, bytes]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("model.weights.h5")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    members.pop("model.weights.h5")
    return info


def _with_link(folder: Path) -> None:
    members = _members()
    info = _linked_member(members)
    _write(folder / "model.keras", members)
    with zipfile.ZipFile(folder / "model.keras", "a") as archive:
        archive.writestr(info, "/etc/hostname")


def _twice(folder: Path) -> None:
    import warnings

    _write(folder / "model.keras", _members())
    with zipfile.ZipFile(folder / "model.keras", "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("config.json", "{}")


def _bomb(path: Path, name: str, size: int, begin: bytes = b"") -> None:
    """A member of less than 4 GiB of zeros, whose sum is wrong: nobody should come so far as to see that."""
    block = 2**24
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b"\0" * block) + packer.flush(zlib.Z_FULL_FLUSH)
    content = first + piece * (size // block) + packer.flush()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, content)
        place = archive.getinfo(name).header_offset
    archive_bytes = bytearray(path.read_bytes())
    for at in (place + 8, archive_bytes.rindex(b"PK\x01\x02", 0, archive_bytes.rindex(name.encode())) + 10):
        struct.pack_into("<H", archive_bytes, at, zipfile.ZIP_DEFLATED)
        struct.pack_into("<L", archive_bytes, at + 14, len(begin) + size // block * block)
    path.write_bytes(bytes(archive_bytes))


def _weights_bomb(folder: Path) -> None:
    members = _members()
    members.pop("model.weights.h5")
    _write(folder / "model.keras", members)
    _bomb(folder / "model.keras", "model.weights.h5", 3 * 2**30)


def _config_of(size: int, begin: bytes, unit: bytes, end: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        members = _members()
        members["config.json"] = begin + unit * (size // len(unit)) + end
        _write(folder / "model.keras", members)

    return make


def _many_layers(count: int) -> Callable[[Path], None]:
    return configured(
        lambda _: _sequential(
            _flat(), *(_layer("Activation", {"activation": "relu", "name": f"a{i}"}) for i in range(count))
        )
    )


# -- data


def good(folder: Path) -> None:
    """Samples that any of the models takes."""
    draw = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=draw.random((12, 8, 8), np.float32), y=np.arange(12) % 10)


def with_good(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        good(folder)
        make(folder)

    return both


def npy_header(shape: str, *, descr: str = "'<f4'", padding: int = 0) -> bytes:
    """The beginning of an ``.npy`` that claims a shape."""
    text = (
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b" " * padding + b"\n"
    )
    if len(text) < 2**16:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text


def members_npz(
    name: str, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED
) -> Callable[[Path], None]:
    return lambda folder: _write(folder / name, members, method)


def _labels() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4) % 3)
    return buffer.getvalue()


_DEEP = "(" * 10_000 + ")" * 10_000
_CLAIMS = {"x.npy": npy_header("(1000000000000, 8, 8)"), "y.npy": _labels()}


def _flagged_npz(name: str, **flags: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        np.savez(
            folder / name, x=np.zeros((4, 8, 8)), lower=np.zeros(1), upper=np.ones(1), freeze=np.zeros((8, 8))
        )
        _flagged(folder / name, **flags)

    return make


def _bomb_npz(name: str, member: str, count: int, width: int) -> Callable[[Path], None]:
    """An archive of some MB that unpacks to GB: ``count`` rows of 8 x ``width`` float32."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("y.npy", _labels())
        _bomb(folder / name, f"{member}.npy", count * 8 * width * 4, npy_header(f"({count}, 8, {width})"))

    return make


def _pickled(folder: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([_Opens()], object), allow_pickle=True)
    _write(folder / "bad.npz", {"x.npy": content.getvalue(), "y.npy": _labels()})


def _pickle_file(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(pickle.dumps(_Opens()))


def _images(change: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Two images a class for ten classes, one of which was changed."""

    def make(folder: Path) -> None:
        for number in range(10):
            (folder / "photos" / str(number)).mkdir(parents=True)
            for copy in range(2):
                Image.new("L", (8, 8), 20 * number + copy).save(
                    folder / "photos" / str(number) / f"{copy}.png"
                )
        change(folder / "photos" / "3" / "1.png")

    return make


def _truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-30])


def _claims_pixels(path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def _animated(path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def _many_pixels(folder: Path) -> None:
    for number in range(10):
        (folder / "photos" / str(number)).mkdir(parents=True)
    large = Image.new("L", (7900, 7900))
    first = folder / "photos" / "0" / "0.png"
    large.save(first)
    for number in range(120):
        with_number = folder / "photos" / str(number % 10) / f"{number}.png"
        if with_number != first:
            os.link(first, with_number)


# -- settings


def policy(text: str) -> Callable[[Path], Any]:
    return with_good(lambda folder: (folder / "policy.toml").write_text(text))


_RULE = '[[rule]]\nmetric = "nonsense"\nmin = 1\n'


# -- reports


def report(folder: Path) -> None:
    """A stored report."""
    shutil.copytree(
        Path(__file__).parent / "stored_report" / "report",
        folder / "report",
        ignore=shutil.ignore_patterns("*.py"),
    )


def with_report(change: Callable[[Path], Any]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        report(folder)
        change(folder / "report")
        (folder / "policy.toml").write_text(
            'schema = 1\n[[rule]]\nmetric = "attack.found"\nmin = 0.1\nmin_samples = 1\n'
        )

    return make


def _padded(path: Path, size: int) -> None:
    text = path.read_text()
    path.write_text(text.rstrip()[:-1] + ', "padding": [' + "0," * (size // 2) + "0]}")


def _instead(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _samples_bomb(folder: Path) -> None:
    with np.load(folder / "samples.npz") as stored:
        columns = {name: stored[name] for name in stored if name != "input"}
    np.savez_compressed(folder / "samples.npz", **columns)
    _bomb(folder / "samples.npz", "input.npy", 3 * 2**30, npy_header(f"({3 * 2**30 // 256}, 8, 8)"))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _models()
    yield from _data()
    yield from _settings()
    yield from _reports()


_AUDIT = (
    "audit",
    "model.keras",
    "--data",
    "data.npz",
    "--budget",
    "20",
    "--noise-draws",
    "1",
    "--transfer",
    "one-way",
)
_ON_DATA = ("audit", str(_MODEL), "--data")
_SHORT = ("--budget", "20", "--noise-draws", "1")
_GATE = ("gate", "report", "--policy", "policy.toml")


def _model(
    name: str,
    make: Callable[[Path], Any],
    *says: str,
    model: str = "model.keras",
    more: tuple[str, ...] = (),
    **fields: Any,
) -> Case:
    words = (*(model if word == "model.keras" else word for word in _AUDIT), *more)
    return Case(name=f"model: {name}", make=with_good(make), words=words, says=says, **fields)


def _models() -> Iterator[Case]:
    for spec, module in {
        "hf://user/model": "hf", "https://host/model.keras:f": "https", "C:model": "C", "./evil:f": "evil",
        "folder/evil:f": "evil", ".evil:f": "evil", "evil.py:f": "evil", "s3:bucket/model": "s3",
    }.items():  # fmt: skip
        yield _model(f"named {spec}", _with_module(module), model=spec)
    yield _model("a pipe", lambda folder: os.mkfifo(folder / "model.keras"), "a pipe")
    yield _model(
        "a link to a device", lambda folder: (folder / "model.keras").symlink_to("/dev/zero"), "a device"
    )
    yield _model("a socket", lambda folder: _socket(folder / "model.keras"), "a socket")
    yield _model("a folder", lambda folder: (folder / "model.keras").mkdir(), "a folder")
    yield _model("a link that goes round", lambda folder: (folder / "model.keras").symlink_to("model.keras"))
    yield _model("empty", lambda folder: (folder / "model.keras").write_bytes(b""))
    yield _model("text", lambda folder: (folder / "model.keras").write_text("# a model"))
    yield _model("cut short", lambda folder: (folder / "model.keras").write_bytes(_MODEL.read_bytes()[:-200]))
    yield _model("a pickle", _pickle_file("model.keras"))
    yield _model("a pickle by its name", _pickle_file("model.pkl"), model="model.pkl")
    yield _model(
        "a SavedModel",
        lambda folder: ((folder / "m").mkdir(), (folder / "m" / "saved_model.pb").write_bytes(b"")),
        "SavedModel",
        model="m",
    )
    yield _model("a member above", keras_file(lambda m: m.update({"../canary": b""})), "'../canary'")
    yield _model("a member elsewhere", keras_file(lambda m: m.update({"/tmp/canary": b""})), "'/tmp/canary'")
    yield _model("an asset above", keras_file(lambda m: m.update({"assets/../../canary": b""})), "canary")
    yield _model("a member on a drive", keras_file(lambda m: m.update({"C:\\canary": b""})), "canary")
    yield _model("a member that is a link", _with_link, "a link")
    yield _model("a member twice", _twice, "twice")
    yield _model("without configuration", keras_file(lambda m: m.pop("config.json")), "config.json")
    yield _model("without weights", keras_file(lambda m: m.pop("model.weights.h5")), "weights")
    yield _model(
        "encrypted",
        lambda folder: (
            _write(folder / "model.keras", _members()),
            _flagged(folder / "model.keras", encrypted=True),
        ),
        "encrypted",
    )
    yield _model(
        "another compression",
        lambda folder: (
            _write(folder / "model.keras", _members()),
            _flagged(folder / "model.keras", method=99),
        ),
        "method 99",
    )
    yield _model("weights that unpack to 3 GB", _weights_bomb, "unpack")
    yield _model(
        "a configuration of 200 MB, objects",
        _config_of(200 * 2**20, b'{"a": [', b'{"a": 1}, ', b"1]}"),
        "config.json",
    )
    yield _model(
        "a configuration of 200 MB, one name", _config_of(200 * 2**20, b'{"', b"a", b'": 1}'), "config.json"
    )
    yield _model(
        "a configuration nested without end", _config_of(10**5, b"", b"[", b"]" * 10**5), "config.json"
    )
    yield _model(
        "a configuration that is no JSON",
        keras_file(lambda m: m.update({"config.json": b"{"})),
        "config.json",
    )
    yield _model(
        "a configuration that is a list",
        keras_file(lambda m: m.update({"config.json": b"[]"})),
        "config.json",
    )
    # CVE-2024-3660
    yield _model("a Lambda layer", replaced(_flat(), _lambda(), _dense(10)), "Lambda")
    # CVE-2025-1550: a module and a function of it instead of a class
    yield _model("a function of os", replaced(_flat(), _calls("os", "system", f"touch {CANARY}")), "os")
    yield _model(
        "a function of subprocess",
        replaced(_flat(), _calls("subprocess", "run", "touch", CANARY)),
        "subprocess",
    )
    yield _model(
        "a class of a module beside it",
        _with_module("mine", replaced(_flat(), _layer("evil", {}, module="mine"))),
        "evil",
        by_keras=True,
    )
    # CVE-2025-8747: functions of Keras that load or write
    yield _model(
        "keras.utils.get_file",
        replaced(_flat(), _calls("keras.utils", "get_file", "x", "file:///etc/hostname")),
        "get_file",
    )
    yield _model(
        "keras.src", replaced(_flat(), _calls("keras.src.utils.file_utils", "get_file", "x")), "get_file"
    )
    # CVE-2025-9906
    yield _model(
        "turns the safe mode off",
        replaced(_flat(), _calls("keras.config", "enable_unsafe_deserialization")),
        "enable_unsafe_deserialization",
    )
    # CVE-2025-9905
    yield _model("a Lambda layer in HDF5", _h5_lambda, "Lambda", model="model.h5")
    yield _model("a TFSMLayer", replaced(_layer("TFSMLayer", {"filepath": "m", "name": "t"})), "TFSMLayer")
    yield _model(
        "a TorchModuleWrapper",
        replaced(_layer("TorchModuleWrapper", {"module": "gASV", "name": "t"})),
        "TorchModuleWrapper",
    )
    # CVE-2025-12058
    vocabulary = {"vocabulary": "/etc/passwd", "name": "v", "dtype": "string"}
    yield _model("a vocabulary that is a file", replaced(_layer("StringLookup", vocabulary)), "vocabulary")
    yield _model("weights in another file", keras_file(_hdf5(_external)), "external")
    yield _model("weights stored in another file", keras_file(_hdf5(_external_storage)), "external")
    yield _model("weights that are virtual", keras_file(_hdf5(_virtual)), "virtual")
    yield _model("weights that claim 4 TB", keras_file(_hdf5(_declared)), "GiB")
    yield _model("a layer of 5 GB", replaced(_flat(), _dense(20 * 10**6)), "parameters")
    yield _model(
        "5e9 parameters over layers",
        replaced(_flat(), *(_dense(10_000, f"d{i}") for i in range(50))),
        "parameters",
    )
    yield _model(
        "an activation of 6 GB",
        replaced(
            _layer("UpSampling1D", {"size": 25 * 10**6, "name": "u", "dtype": "float32"}),
            _layer("GlobalMaxPooling1D", {"name": "g", "dtype": "float32"}),
            weights=False,
        ),
        "wanted more than",
        heavy=True,
    )
    yield _model("20,000 layers", _many_layers(20_000), "layers")
    yield _model(
        "a layer that takes minutes",
        replaced(
            _layer("Reshape", {"target_shape": [8, 8, 1], "name": "r", "dtype": "float32"}),
            _layer("UpSampling2D", {"size": [400, 400], "name": "u", "dtype": "float32"}),
            _layer(
                "MaxPooling2D",
                {
                    "pool_size": [1500, 1500],
                    "strides": [1, 1],
                    "padding": "valid",
                    "name": "p",
                    "dtype": "float32",
                },
            ),
            _layer("GlobalMaxPooling2D", {"name": "g", "dtype": "float32"}),
            weights=False,
        ),
        "processor time",
        heavy=True,
    )
    yield _model("an input of size 0", replaced(_flat(), shape=(0, 8), weights=False), "size")
    yield _model(
        "another file than was meant",
        lambda folder: shutil.copy(_MODEL, folder / "model.keras"),
        "SHA-256",
        more=("--expect-sha256", 64 * "0"),
    )


def _on_data(
    name: str,
    make: Callable[[Path], Any],
    *says: str,
    data: str = "bad.npz",
    more: tuple[str, ...] = (),
    **fields: Any,
) -> Case:
    return Case(name=f"data: {name}", make=make, words=(*_ON_DATA, data, *_SHORT, *more), says=says, **fields)


def _data() -> Iterator[Case]:
    yield _on_data("an array that claims 1e12 rows", members_npz("bad.npz", _CLAIMS), "'x'")
    yield _on_data("the same, stored as it is", members_npz("bad.npz", _CLAIMS, zipfile.ZIP_STORED), "'x'")
    yield _on_data(
        "an .npy that claims 1e12 rows",
        lambda folder: (folder / "bad.npy").write_bytes(_CLAIMS["x.npy"]),
        data="bad.npy",
    )
    yield _on_data(
        "an array that claims less than nothing",
        members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header("(-1, 8, 8)")}),
        "'x'",
    )
    yield _on_data(
        "a header nested without end", members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header(_DEEP)}), "'x'"
    )
    yield _on_data(
        "a header of 100 MB",
        members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header("(4, 8, 8)", padding=10**8)}),
        "'x'",
    )
    yield _on_data(
        "a type of records without end",
        members_npz("bad.npz", {**_CLAIMS, "x.npy": npy_header("(4, 8, 8)", descr="[('a', '<f4')]")}),
        "'x'",
    )
    yield _on_data("encrypted", _flagged_npz("bad.npz", encrypted=True), "encrypted")
    yield _on_data("another compression", _flagged_npz("bad.npz", method=99), "method 99")
    yield _on_data(
        "13 MB that unpack to 3 GB", _bomb_npz("bad.npz", "x", 12 * 2**20, 8), "unpack", more=("--limit", "2")
    )
    yield _on_data("objects", _pickled, "'x'")
    yield _on_data("a pickle", _pickle_file("bad.npz"))
    yield _on_data("a pickle as .npy", _pickle_file("bad.npy"), data="bad.npy")
    yield _on_data(
        "cut short",
        lambda folder: (
            good(folder),
            (folder / "bad.npz").write_bytes((folder / "data.npz").read_bytes()[:-100]),
        ),
    )
    yield _on_data("a pipe", lambda folder: os.mkfifo(folder / "bad.npz"), "a pipe")
    yield _on_data(
        "a link to a device", lambda folder: (folder / "bad.npz").symlink_to("/dev/zero"), "a device"
    )
    yield _on_data(
        "a million members",
        lambda folder: _write(
            folder / "bad.npz", {f"a{i}.npy": b"" for i in range(100_000)}, zipfile.ZIP_STORED
        ),
        "members",
    )
    yield _on_data("named hf://user/data", _with_module("hf"), data="hf://user/data")
    yield _on_data("a name with a line break", lambda _: None, data="x\nerror: all is well.npz")
    photos = {"data": "photos"}
    yield _on_data("an image cut short", _images(_truncated), "1.png", **photos)
    yield _on_data(
        "an image in another format",
        _images(lambda path: Image.new("L", (8, 8)).save(path, "JPEG")),
        "1.png",
        "JPEG",
        **photos,
    )
    yield _on_data("an image that claims 60000 x 60000", _images(_claims_pixels), "1.png", "60000", **photos)
    yield _on_data("an image that moves", _images(_animated), "1.png", "frames", **photos)
    yield _on_data(
        "an image of 16 bits",
        _images(lambda path: Image.fromarray(np.zeros((8, 8), np.uint16)).save(path)),
        "1.png",
        **photos,
    )
    yield _on_data(
        "an image that is a pipe", _images(lambda path: (path.unlink(), os.mkfifo(path))), "1.png", **photos
    )
    yield _on_data("120 images just under the limit", _many_pixels, "7900", **photos)
    names = {"data": "data.npz", "more": ("--class-names", "names.txt")}
    yield _on_data(
        "class names of a device",
        with_good(lambda folder: (folder / "names.txt").symlink_to("/dev/zero")),
        "names.txt",
        **names,
    )
    yield _on_data(
        "class names of 100 MB",
        with_good(lambda folder: (folder / "names.txt").write_bytes(b"a" * 10**8)),
        "names.txt",
        **names,
    )
    box = {"data": "data.npz", "more": ("--box", "bad.npz"), "code": 2}
    yield _on_data(
        "a box that claims 1e12 values",
        with_good(members_npz("bad.npz", {"lower.npy": _CLAIMS["x.npy"], "upper.npy": _CLAIMS["x.npy"]})),
        "'lower'",
        **box,
    )
    yield _on_data(
        "a box that unpacks to 3 GB", with_good(_bomb_npz("bad.npz", "lower", 12 * 2**20, 8)), "unpack", **box
    )
    yield _on_data("an encrypted box", with_good(_flagged_npz("bad.npz", encrypted=True)), "encrypted", **box)
    yield _on_data(
        "a box that is a pipe", with_good(lambda folder: os.mkfifo(folder / "bad.npz")), "a pipe", **box
    )
    freeze = {"data": "data.npz", "more": ("--freeze", "bad.npz"), "code": 2}
    yield _on_data(
        "a mask that claims 1e12 values",
        with_good(members_npz("bad.npz", {"freeze.npy": _CLAIMS["x.npy"]})),
        "'freeze'",
        **freeze,
    )
    yield _on_data(
        "a mask with another compression",
        with_good(_flagged_npz("bad.npz", method=99)),
        "method 99",
        **freeze,
    )


def _on_settings(
    name: str,
    make: Callable[[Path], Any],
    *says: str,
    more: tuple[str, ...] = ("--policy", "policy.toml"),
    **fields: Any,
) -> Case:
    return Case(
        name=f"settings: {name}",
        make=with_good(make),
        words=(*_ON_DATA, "data.npz", *_SHORT, *more),
        says=says,
        code=2,
        **fields,
    )


def _text(name: str, content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content)


def _settings() -> Iterator[Case]:
    yield _on_settings(
        "100,000 dotted keys",
        _text("policy.toml", "\n".join(f"a.b{i}.c = 1" for i in range(60_000))),
        "policy.toml",
    )
    yield _on_settings(
        "a key of 100,000 parts", _text("policy.toml", ".".join(["a"] * 100_000) + " = 1"), "policy.toml"
    )
    yield _on_settings(
        "a table of 100,000 parts", _text("policy.toml", "[" + ".".join(["a"] * 100_000) + "]"), "policy.toml"
    )
    yield _on_settings(
        "arrays nested without end", _text("policy.toml", "a = " + "[" * 10_000 + "]" * 10_000), "policy.toml"
    )
    yield _on_settings(
        "1,000 wrong rules", _text("policy.toml", "schema = 1\n" + _RULE * 1_000), "and 980 more"
    )
    yield _on_settings(
        "a key with a line break", _text("policy.toml", 'schema = 1\n"a\\nerror: all is well" = 1\n')
    )
    yield _on_settings(
        "a policy of a device", lambda folder: (folder / "policy.toml").symlink_to("/dev/zero"), "a device"
    )
    yield _on_settings("a policy that is a pipe", lambda folder: os.mkfifo(folder / "policy.toml"), "a pipe")
    for name in ("robustcheck.toml", "pyproject.toml"):
        yield _on_settings(
            f"{name} of a device",
            lambda folder, name=name: (folder / name).symlink_to("/dev/zero"),
            "a device",
            more=(),
        )  # type: ignore[misc]
        yield _on_settings(
            f"{name} of 100 MB",
            lambda folder, name=name: (folder / name).write_bytes(b"a = 1\n" * (10**8 // 6)),
            name,
            more=(),
        )  # type: ignore[misc]
    yield _on_settings(
        "a key with a line break in robustcheck.toml",
        _text("robustcheck.toml", '"a\\nerror: all is well" = 1\n'),
        more=(),
    )
    yield _on_settings(
        "a report folder that is a link to somebody's",
        lambda folder: (
            (folder / "mine").mkdir(),
            (folder / "mine" / "letter.txt").write_text("keep"),
            (folder / "out").symlink_to("mine"),
        ),
        "letter.txt",
        more=("--out", "out"),
    )


def _on_report(
    name: str, change: Callable[[Path], Any], *says: str, words: tuple[str, ...] = _GATE, **fields: Any
) -> Case:
    return Case(name=f"report: {name}", make=with_report(change), words=words, says=says, **fields)


def _reports() -> Iterator[Case]:
    yield _on_report("200 MB", lambda folder: _padded(folder / "report.json", 200 * 2**20), "MiB")
    yield _on_report(
        "nested without end",
        lambda folder: (folder / "report.json").write_text('{"a": ' * 50_000 + "1" + "}" * 50_000),
        "report.json",
    )
    yield _on_report(
        "not a number",
        lambda folder: (folder / "report.json").write_text(
            (folder / "report.json").read_text().replace("1", "NaN", 1)
        ),
        "report.json",
    )
    yield _on_report(
        "a pipe",
        lambda folder: ((folder / "report.json").unlink(), os.mkfifo(folder / "report.json")),
        "a pipe",
    )
    yield _on_report("of a device", lambda folder: _instead(folder / "report.json", "/dev/zero"), "a device")
    yield _on_report("samples that unpack to 3 GB", _samples_bomb, "samples.npz")
    yield _on_report(
        "samples of a device", lambda folder: _instead(folder / "samples.npz", "/dev/zero"), "samples.npz"
    )
    yield _on_report(
        "samples of a device, the page",
        lambda folder: _instead(folder / "samples.npz", "/dev/zero"),
        "samples.npz",
        words=("report", "report"),
    )
    yield _on_report(
        "samples that are a link",
        lambda folder: (
            (folder / "samples.npz").rename(folder.parent / "s.npz"),
            (folder / "samples.npz").symlink_to("../s.npz"),
        ),
        "samples.npz",
    )
    yield _on_report(
        "samples that are not there", lambda folder: (folder / "samples.npz").unlink(), "samples.npz"
    )
    yield _on_report(
        "samples that are a pipe",
        lambda folder: ((folder / "samples.npz").unlink(), os.mkfifo(folder / "samples.npz")),
        "samples.npz",
    )
    yield _on_report(
        "samples that claim 1e12 rows",
        lambda folder: _write(
            folder / "samples.npz", {"index.npy": npy_header("(1000000000000,)", descr="'<i8'")}
        ),
        "samples.npz",
    )


def harmless() -> Iterator[Case]:
    """Odd, and taken all the same."""
    own = ("--labels", "model")

    def model(name: str, make: Callable[[Path], Any], **more: Any) -> Case:
        return _model(name, make, more=own, code=0, **more)

    def data(name: str, make: Callable[[Path], Any], more: tuple[str, ...] = (), **fields: Any) -> Case:
        return _on_data(name, make, more=(*more, *own), code=0, **fields)

    yield model(
        "a link",
        lambda folder: (
            shutil.copy(_MODEL, folder / "real.keras"),
            (folder / "model.keras").symlink_to("real.keras"),
        ),
    )
    yield model(
        "a name with a space and letters",
        lambda folder: shutil.copy(_MODEL, folder / "mod\u00e8le n\u00b01.keras"),
        model="mod\u00e8le n\u00b01.keras",
    )
    yield model(
        "a member more, and a comment", keras_file(lambda m: m.update({"notes.txt": b"trained on Monday"}))
    )
    yield model(
        "stored as it is", lambda folder: _write(folder / "model.keras", _members(), zipfile.ZIP_STORED)
    )
    yield data(
        "an array more",
        lambda folder: np.savez(
            folder / "bad.npz",
            x=np.random.default_rng(0).random((12, 8, 8)),
            y=np.arange(12) % 10,
            notes=np.array(["a", "b"]),
        ),
    )
    yield data(
        "columns first, big-endian",
        lambda folder: np.savez(
            folder / "bad.npz",
            x=np.asfortranarray(np.random.default_rng(0).random((12, 8, 8))).astype(">f8"),
            y=(np.arange(12) % 10).astype(">i2"),
        ),
    )
    yield data(
        "compressed a thousand times",
        lambda folder: np.savez_compressed(
            folder / "bad.npz",
            x=np.concatenate([np.random.default_rng(0).random((12, 8, 8)), np.zeros((500, 8, 8))]).astype(
                np.float32
            ),
            y=np.arange(512) % 10,
        ),
        more=("--limit", "12", "--sample", "first"),
    )
    yield data(
        "images that end in .JPEG and .PNG",
        _images(lambda path: (path.unlink(), Image.new("L", (8, 8), 60).save(path.with_suffix(".JPEG")))),
        data="photos",
    )
    yield data(
        "an image with a palette",
        _images(lambda path: Image.new("L", (8, 8), 60).convert("P").save(path)),
        data="photos",
    )
    yield data(
        "what a desktop leaves",
        _images(
            lambda path: (
                (path.parent / "Thumbs.db").write_bytes(b"x"),
                (path.parent / ".DS_Store").write_bytes(b"x"),
            )
        ),
        data="photos",
    )
    yield data(
        "class names from Windows",
        with_good(
            lambda folder: (folder / "names.txt").write_bytes(
                "\ufeff".encode() + b"\r\n".join(b"c%d" % i for i in range(10)) + b"\r\n"
            )
        ),
        data="data.npz",
        more=("--class-names", "names.txt"),
    )
    yield data(
        "settings from Windows",
        with_good(
            lambda folder: (folder / "robustcheck.toml").write_bytes("\ufeff".encode() + b"limit = 12\r\n")
        ),
        data="data.npz",
    )


# faults of a file are told one by one, 20 of them, and a line says how many more there are
MOST_LINES = 21
_RUN = (
    "import sys; sys.argv[0] = 'robustcheck'; from robustcheck.cli import main; sys.exit(main(sys.argv[1:]))"
)


def measured(case: Case, folder: Path, *, seconds: float = 60.0) -> dict[str, Any]:
    """Run a case in a process of its own."""
    folder.mkdir(parents=True)
    case.make(folder)
    before = set(folder.rglob("*"))
    began = time.monotonic()
    with (folder.parent / f"{folder.name}.err").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, *case.words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
        )
        code = None
        while code is None and time.monotonic() - began < seconds:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if pid else None
            time.sleep(0.01)
        if code is None:
            os.killpg(process.pid, 9)
            _, _, usage = os.wait4(process.pid, 0)
        err.seek(0)
        said = err.read()
    return {
        "name": case.name, "code": code, "expected": case.code, "seconds": round(time.monotonic() - began, 1),
        "MiB": usage.ru_maxrss // 1024, "canary": bool(list(folder.rglob(CANARY))), "said": said[-2000:],
        "new": sorted(str(p.relative_to(folder)) for p in set(folder.rglob("*")) - before)[:3],
    }  # fmt: skip


def main() -> int:
    """All cases, or those whose name holds the words given."""
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wrong = 0
    for number, case in enumerate([*cases(), *harmless()]):
        if not all(word in case.name for word in words):
            continue
        found = measured(case, folder / f"{number:03d}")
        shutil.rmtree(folder / f"{number:03d}")
        lines = [line for line in found["said"].splitlines() if line.startswith("error:")]
        said = found["said"].replace("\n", " ")
        clear = case.code == 0 or (
            1 <= len(lines) <= MOST_LINES
            and "error: all is well" not in lines
            and "Traceback" not in said
            and all(part in said for part in case.says)
        )
        good = (
            found["code"] == case.code
            and clear
            and not found["canary"]
            and found["MiB"] < 2048
            and found["seconds"] < 20
        )
        wrong += not good
        last = " ".join(lines[0].split()) if lines else found["said"][-150:].replace("\n", " ")
        cost = f"{found['seconds']:5.1f} s {found['MiB']:6d} MiB{' CANARY' if found['canary'] else ''}"
        outcome = f"{'ok   ' if good else 'WRONG'} {found['code']!s:>4} of {case.code}"
        print(f"{outcome} {cost}  {case.name}: {last[:170]}", flush=True)
    print(f"{wrong} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
