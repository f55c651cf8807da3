"""A model file loaded once in a process of its own, with limits, before this one loads it.

What eats memory, hangs or crashes the interpreter ends there. It is no sandbox: code that gets to run in it
can do what its user can.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import robustcheck
from robustcheck import assets
from robustcheck.errors import ModelRefused, RobustcheckWarning
from robustcheck.intake._copy import ModelFile
from robustcheck.intake._look import Look
from robustcheck.text import option

# of the child, beyond what TensorFlow takes: memory and processor time to load a model and call it once, each
# for every file, and more for what it has
_MEMORY, _TIMES_WEIGHTS = 2**30, 4
_SECONDS, _A_LAYER, _A_GIB = 10.0, 0.05, 30.0
# seconds by the clock for each of the processor, on a machine that is busy, and for TensorFlow to start
_PATIENCE, _START = 6.0, 120.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH")
_MOST_SEEN = 10_000
# of the environment: "never" leaves out what nobody asked for, where every model is new and made just now
_UNASKED = "ROBUSTCHECK_PREFLIGHT"
_tried_here: set[str] = set()


def preflight(file: ModelFile, look: Look, *, imports: Sequence[str] = (), trusted: bool = False) -> bool:
    """Load a model file in a child process and call it on one sample.

    An exception of Keras' is no reason to refuse it here: loading it gives the same, in its words.

    Returns:
        Whether the child came to the file; a warning says where it did not.

    Raises:
        ModelRefused: the child ran out of memory or time, or crashed.
    """
    seconds = _SECONDS + _A_LAYER * look.layers + _A_GIB * look.weights.size / 2**30
    memory = _MEMORY + _TIMES_WEIGHTS * look.weights.size
    task = {
        "path": str(file.path), "imports": list(imports), "trusted": trusted, "folder": os.getcwd(),
        "seconds": seconds, "memory": memory, "file_size": 2 * file.size + 2**26,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="robustcheck-") as home:
        said, code = _run(task, home, _PATIENCE * seconds)
    if not said:  # nothing of the file was read yet
        warnings.warn(
            f"{file.source}: could not be tried in a process of its own, where TensorFlow did not start "
            f"(exit code {code}); it is loaded all the same",
            RobustcheckWarning,
            stacklevel=2,
        )
        return False
    reason = _reason(said, code, seconds, memory)
    if reason is not None:
        raise ModelRefused(
            f"{file.source}: tried in a process of its own, it {reason}; "
            f"{option('preflight', 'never')} loads it all the same"
        )
    return True


def _run(task: dict[str, Any], home: str, seconds: float) -> tuple[dict[str, Any], int | None]:
    """What the child said last, and its exit code; None where it had to be killed.

    ``seconds``: by the clock, once TensorFlow has started in it.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
        "HOME": home, "KERAS_HOME": home, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3", "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    # the same packages, from the same places; nothing of the environment says where
    begin = f"import sys; sys.path[:] = {[path for path in sys.path if path]!r}"
    command = [sys.executable, "-I", "-c", f"{begin}; from robustcheck.intake._child import main; main()"]
    last: dict[str, Any] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        cwd=home, start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError), child.stdin as given:
            given.write(json.dumps(task).encode())
        late = False
        # a line when TensorFlow has started, and then all that comes
        for limit, lines in ((_START, itertools.islice(child.stdout, 1)), (seconds, child.stdout)):
            with _killed_after(child, limit) as killed:
                for line in lines:
                    with contextlib.suppress(ValueError):
                        last = json.loads(line)
            late = late or killed.is_set()
        code = child.wait()
    return last, None if late else code


@contextlib.contextmanager
def _killed_after(child: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kill a process that is still there after so many seconds, and tell."""
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        child.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield killed
    finally:
        timer.cancel()


def _reason(said: dict[str, Any], code: int | None, seconds: float, memory: int) -> str | None:
    """Why a file is refused; None where it is not."""
    if code == 0 and said.get("memory"):
        return f"wanted more than {memory >> 20} MiB beside TensorFlow to be loaded and called on one sample"
    if code == 0:
        return None
    if code is None:
        return "gave no answer in time"
    if hasattr(signal, "SIGXCPU") and code == -signal.SIGXCPU:
        return f"took more than {seconds:.0f} s of processor time to be loaded and called on one sample"
    doing = f" while it was {said['doing']}" if said.get("doing") in ("loaded", "called") else ""
    if code < 0:
        return f"crashed the interpreter{doing} (signal {-code}, {signal.Signals(-code).name})"
    return f"ended the interpreter{doing} (exit code {code})"


def needed(file: ModelFile, when: Literal["auto", "always", "never"]) -> bool:
    """Whether a file is to be tried: one that was not seen before, by its digest, or any, once here."""
    if when == "never" or _key(file) in _tried_here:
        return False
    if when == "always":
        return True
    if os.environ.get(_UNASKED) == "never":
        return False
    shipped = {assets.path(name).resolve() for name in assets.MODELS}
    return file.source.resolve() not in shipped and _key(file) not in _seen()


def remember(file: ModelFile) -> None:
    """Keep that a file was tried, where there is a place for it."""
    _tried_here.add(_key(file))
    lines = [*_seen()[-_MOST_SEEN:], _key(file)]
    try:
        _place().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _place().write_text("\n".join(lines) + "\n", "ascii")
    except OSError:
        return


def _seen() -> list[str]:
    try:
        return _place().read_text("ascii").split("\n")[: 2 * _MOST_SEEN]
    except (OSError, ValueError):
        return []


def _place() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "robustcheck" / "models-tried"


def _key(file: ModelFile) -> str:
    """A file as these versions would load it."""
    return f"{file.sha256}-{version('keras')}-{version('tensorflow')}-{robustcheck.__version__}"
