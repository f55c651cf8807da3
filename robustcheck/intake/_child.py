"""In a child process: load a model file under limits and call it once; nobody else imports this."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from robustcheck.errors import is_of_memory
from robustcheck.intake._copy import ModelFile
from robustcheck.intake._runtimes import RUNTIME_SUFFIXES, RuntimeModel, load_runtime

# in place of a size that a model leaves open
_OPEN = 64


def main() -> None:
    """Read the task, and say on the last line what was being done, and whether memory ran out."""
    task = json.loads(sys.stdin.buffer.read())
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints is no answer

    def say(**what: Any) -> None:
        answer.write(json.dumps(what) + "\n")
        answer.flush()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    tf.zeros(())
    import keras

    # only now: TensorFlow's own start is none of the file's
    say(doing="ready")
    _limit(task)
    _limit_memory(task["memory"])
    try:
        say(doing="loaded")
        model = _loaded(keras, task)
        say(doing="called")
        _call(tf, model)
    except Exception as error:
        # anything else is told by the one who loads it next
        say(memory=is_of_memory(error))
    else:
        say(memory=False)
    os._exit(0)  # what it does when it ends is not wanted


def _limit(task: dict[str, Any]) -> None:
    """Processor time and size of files, where there are such limits."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        seconds = int(sum(os.times()[:2]) + task["seconds"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_size"], task["file_size"]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_memory(more: int) -> None:
    """Address space beyond what is in use, where that can be told."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as stat:
            used = int(stat.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))


def _loaded(keras: Any, task: dict[str, Any]) -> Any:
    path = Path(task["path"])
    if path.suffix in RUNTIME_SUFFIXES:
        return load_runtime(ModelFile(source=path, path=path, sha256="", size=0))
    if task["imports"]:
        sys.path.insert(0, task["folder"])
    from robustcheck.intake._models import import_layers

    return keras.saving.load_model(
        task["path"],
        custom_objects=import_layers(task["imports"]),
        compile=False,
        safe_mode=not task["trusted"],
    )


def _call(tf: Any, model: Any) -> None:
    """Call a model on one sample of zeros; what it says of a size that it leaves open is no matter."""
    if isinstance(model, RuntimeModel):
        return  # was called to be loaded
    given = []
    for tensor in model.inputs:
        shape = [1, *(_OPEN if size is None else size for size in tuple(tensor.shape)[1:])]
        given.append(tf.zeros(shape, tensor.dtype))
    model(given[0] if len(given) == 1 else given, training=False)
