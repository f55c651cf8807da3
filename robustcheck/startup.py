"""Import TensorFlow without its chatter about missing GPUs, and Keras on it.

Its C++ parts write to the file descriptor before any log level applies. So descriptor 2 goes to a file while
TensorFlow starts, and what is not known chatter is written out afterwards. Real errors stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from robustcheck.text import printable

_CHATTER = re.compile(
    rb"All log messages before absl::InitializeLog|cudart_stub\.cc|cuda_platform\.cc.*failed call to cuInit"
    rb"|oneDNN custom operations|cpu_feature_guard|To enable the following instructions|XNNPACK delegate"
)

# filled once TensorFlow is there and has looked for devices
_started: list[bool] = []
# of Keras' settings; a file that is larger is none
_MOST_BYTES = 2**16


def keras_on_tensorflow() -> str | None:
    """Have Keras run on TensorFlow, whatever the environment and Keras' own file say, if it is not there yet.

    Returns:
        What to tell the user where they say something else, else None.
    """
    if "keras" in sys.modules:
        return None
    asked = os.environ.get("KERAS_BACKEND")
    where = "KERAS_BACKEND"
    if not asked:
        folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        where, asked = str(folder / "keras.json"), _backend_in(folder / "keras.json")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if asked in (None, "tensorflow"):
        return None
    return f"{where} says {asked!r}: robustcheck needs Keras on TensorFlow, and runs it so here"


def _backend_in(file: Path) -> str | None:
    """The backend that Keras' file names, if it is one that can be read."""
    try:
        with file.open("rb") as stream:
            stored = json.loads(stream.read(_MOST_BYTES))
        return str(stored["backend"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def import_tensorflow(log: Console, *, worker: tuple[int, int] | None = None) -> None:
    """Import TensorFlow and let it look for devices, saying that this takes a while.

    ``worker``: number of this process, and how many there are, which share the machine.
    """
    warning = keras_on_tensorflow()
    if warning is not None:
        log.print(Text.assemble(("warning: ", "yellow"), printable(warning)), soft_wrap=True)
    if _started and worker is None:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" not in sys.modules:
        log.print("Starting TensorFlow", style="dim")
    with held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf

        if worker is not None:
            # too late where the user's own script has TensorFlow at work on import
            with contextlib.suppress(RuntimeError):
                _share(tf, *worker)
        tf.get_logger().setLevel("ERROR")
        tf.config.list_physical_devices()
        tf.zeros(())
    _started.append(True)


def start_worker(number: int, count: int) -> None:
    """TensorFlow in one of several processes: quietly, with its share of the machine."""
    sys.stdout = sys.stderr  # stdout is the result of the command, whatever a factory prints here
    import_tensorflow(Console(stderr=True, quiet=True), worker=(number, count))


def _share(tf: Any, number: int, count: int) -> None:
    """One device where there are some, else some of the cores."""
    devices = tf.config.list_physical_devices("GPU")
    if devices:
        mine = devices[number % len(devices)]
        tf.config.set_visible_devices(mine, "GPU")
        tf.config.experimental.set_memory_growth(mine, True)
    else:
        threads = max(1, _cores() // count)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back what libraries write to stderr, and then let through what is no chatter."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _CHATTER.search(line):
                    os.write(2, line)
