"""Model files that are hostile or broken."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hostile._case import (
    CANARY,
    MODEL,
    Case,
    bomb,
    flagged,
    keras_file,
    model_members,
    on_model,
    pickle_file,
    write_archive,
)


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


def with_module(name: str, make: Callable[[Path], Any] = lambda _: None) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        _canary_module(folder, name)
        make(folder)

    return both


def _with_package(name: str, make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        (folder / name).mkdir()
        for module in ("__init__", "evil"):
            (folder / name / f"{module}.py").write_text(f"open({CANARY!r}, 'w').close()\n")
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


def _linked_member(members: dict[str, bytes]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("model.weights.h5")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    members.pop("model.weights.h5")
    return info


def _with_link(folder: Path) -> None:
    members = model_members()
    info = _linked_member(members)
    write_archive(folder / "model.keras", members)
    with zipfile.ZipFile(folder / "model.keras", "a") as archive:
        archive.writestr(info, "/etc/hostname")


def _twice(folder: Path) -> None:

    write_archive(folder / "model.keras", model_members())
    with zipfile.ZipFile(folder / "model.keras", "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("config.json", "{}")


def _weights_bomb(folder: Path) -> None:
    members = model_members()
    members.pop("model.weights.h5")
    write_archive(folder / "model.keras", members)
    bomb(folder / "model.keras", "model.weights.h5", 3 * 2**30)


def _config_of(size: int, begin: bytes, unit: bytes, end: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        members = model_members()
        members["config.json"] = begin + unit * (size // len(unit)) + end
        write_archive(folder / "model.keras", members)

    return make


def _many_layers(count: int) -> Callable[[Path], None]:
    return configured(
        lambda _: _sequential(
            _flat(), *(_layer("Activation", {"activation": "relu", "name": f"a{i}"}) for i in range(count))
        )
    )


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def models() -> Iterator[Case]:
    for spec, module in {
        "hf://user/model": "hf", "https://host/model.keras:f": "https", "C:model": "C", "./evil:f": "evil",
        "folder/evil:f": "evil", ".evil:f": "evil", "evil.py:f": "evil", "s3:bucket/model": "s3",
    }.items():  # fmt: skip
        says = (
            "got an address" if "://" in spec else "expected a .keras or .h5 file or package.module:factory"
        )
        yield on_model(f"named {spec}", with_module(module), says, model=spec)
    yield on_model("a pipe", lambda folder: os.mkfifo(folder / "model.keras"), "a pipe")
    yield on_model(
        "a link to a device", lambda folder: (folder / "model.keras").symlink_to("/dev/zero"), "a device"
    )
    yield on_model("a socket", lambda folder: _socket(folder / "model.keras"), "a socket")
    yield on_model("a folder", lambda folder: (folder / "model.keras").mkdir(), "a folder")
    yield on_model(
        "a link that goes round", lambda folder: (folder / "model.keras").symlink_to("model.keras")
    )
    yield on_model("empty", lambda folder: (folder / "model.keras").write_bytes(b""))
    yield on_model("text", lambda folder: (folder / "model.keras").write_text("# a model"))
    yield on_model(
        "cut short", lambda folder: (folder / "model.keras").write_bytes(MODEL.read_bytes()[:-200])
    )
    yield on_model("a pickle", pickle_file("model.keras"))
    yield on_model("a pickle by its name", pickle_file("model.pkl"), model="model.pkl")
    yield on_model(
        "a SavedModel",
        lambda folder: ((folder / "m").mkdir(), (folder / "m" / "saved_model.pb").write_bytes(b"")),
        "SavedModel",
        model="m",
    )
    yield on_model("a member above", keras_file(lambda m: m.update({"../canary": b""})), "'../canary'")
    yield on_model(
        "a member elsewhere", keras_file(lambda m: m.update({"/tmp/canary": b""})), "'/tmp/canary'"
    )
    yield on_model("an asset above", keras_file(lambda m: m.update({"assets/../../canary": b""})), "canary")
    yield on_model("a member on a drive", keras_file(lambda m: m.update({"C:\\canary": b""})), "canary")
    yield on_model("a member that is a link", _with_link, "a link")
    yield on_model("a member twice", _twice, "twice")
    yield on_model("without configuration", keras_file(lambda m: m.pop("config.json")), "config.json")
    yield on_model("without weights", keras_file(lambda m: m.pop("model.weights.h5")), "weights")
    yield on_model(
        "encrypted",
        lambda folder: (
            write_archive(folder / "model.keras", model_members()),
            flagged(folder / "model.keras", encrypted=True),
        ),
        "encrypted",
    )
    yield on_model(
        "another compression",
        lambda folder: (
            write_archive(folder / "model.keras", model_members()),
            flagged(folder / "model.keras", method=99),
        ),
        "method 99",
    )
    yield on_model("weights that unpack to 3 GB", _weights_bomb, "unpack")
    yield on_model(
        "a configuration of 200 MB, objects",
        _config_of(200 * 2**20, b'{"a": [', b'{"a": 1}, ', b"1]}"),
        "config.json",
    )
    yield on_model(
        "a configuration of 200 MB, one name", _config_of(200 * 2**20, b'{"', b"a", b'": 1}'), "config.json"
    )
    yield on_model(
        "a configuration nested without end", _config_of(10**5, b"", b"[", b"]" * 10**5), "config.json"
    )
    yield on_model(
        "a configuration that is no JSON",
        keras_file(lambda m: m.update({"config.json": b"{"})),
        "config.json",
    )
    yield on_model(
        "a configuration that is a list",
        keras_file(lambda m: m.update({"config.json": b"[]"})),
        "config.json",
    )
    # CVE-2024-3660
    yield on_model("a Lambda layer", replaced(_flat(), _lambda(), _dense(10)), "Lambda")
    # CVE-2025-1550: a module and a function of it instead of a class
    yield on_model("a function of os", replaced(_flat(), _calls("os", "system", f"touch {CANARY}")), "os")
    yield on_model(
        "a function of subprocess",
        replaced(_flat(), _calls("subprocess", "run", "touch", CANARY)),
        "subprocess",
    )
    yield on_model(
        "a class of a module beside it",
        with_module("mine", replaced(_flat(), _layer("evil", {}, module="mine"))),
        "evil",
        by_keras=True,
    )
    for package in ("keras_hub", "keras_cv"):
        yield on_model(
            f"a class of {package}, which lies beside it",
            _with_package(
                package, replaced(_flat(), _layer("Evil", {"name": "e"}, module=f"{package}.evil"))
            ),
            f"--import {package}",
        )
    yield on_model(
        "a class by way of a module",
        replaced(_flat(), _layer("utils.get_file", {"name": "e"}, module="keras")),
        "expected the name of a class",
    )
    # CVE-2025-8747: functions of Keras that load or write
    yield on_model(
        "keras.utils.get_file",
        replaced(_flat(), _calls("keras.utils", "get_file", "x", "file:///etc/hostname")),
        "get_file",
    )
    yield on_model(
        "keras.src", replaced(_flat(), _calls("keras.src.utils.file_utils", "get_file", "x")), "get_file"
    )
    # CVE-2025-9906
    yield on_model(
        "turns the safe mode off",
        replaced(_flat(), _calls("keras.config", "enable_unsafe_deserialization")),
        "enable_unsafe_deserialization",
    )
    # CVE-2025-9905
    yield on_model("a Lambda layer in HDF5", _h5_lambda, "Lambda", model="model.h5")
    yield on_model("a TFSMLayer", replaced(_layer("TFSMLayer", {"filepath": "m", "name": "t"})), "TFSMLayer")
    yield on_model(
        "a TorchModuleWrapper",
        replaced(_layer("TorchModuleWrapper", {"module": "gASV", "name": "t"})),
        "TorchModuleWrapper",
    )
    # CVE-2025-12058
    vocabulary = {"vocabulary": "/etc/passwd", "name": "v", "dtype": "string"}
    yield on_model("a vocabulary that is a file", replaced(_layer("StringLookup", vocabulary)), "vocabulary")
    yield on_model("weights in another file", keras_file(_hdf5(_external)), "external")
    yield on_model("weights stored in another file", keras_file(_hdf5(_external_storage)), "external")
    yield on_model("weights that are virtual", keras_file(_hdf5(_virtual)), "virtual")
    yield on_model("weights that claim 4 TB", keras_file(_hdf5(_declared)), "GiB")
    yield on_model("a layer of 5 GB", replaced(_flat(), _dense(20 * 10**6)), "parameters")
    yield on_model(
        "5e9 parameters over layers",
        replaced(_flat(), *(_dense(10_000, f"d{i}") for i in range(50))),
        "parameters",
    )
    yield on_model(
        "an activation of 6 GB",
        replaced(
            _layer("UpSampling1D", {"size": 25 * 10**6, "name": "u", "dtype": "float32"}),
            _layer("GlobalMaxPooling1D", {"name": "g", "dtype": "float32"}),
            weights=False,
        ),
        "wanted more than",
        heavy=True,
    )
    yield on_model("20,000 layers", _many_layers(20_000), "layers")
    yield on_model(
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
    yield on_model("an input of size 0", replaced(_flat(), shape=(0, 8), weights=False), "size")
    yield on_model(
        "another file than was meant",
        lambda folder: shutil.copy(MODEL, folder / "model.keras"),
        "SHA-256",
        more=("--expect-sha256", 64 * "0"),
    )
