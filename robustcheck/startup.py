"""Import TensorFlow without its chatter about missing GPUs.

Its C++ parts write to the file descriptor before any log level applies. So descriptor 2 goes to a file while
TensorFlow starts, and what is not known chatter is written out afterwards. Real errors stay.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

from rich.console import Console

_CHATTER = re.compile(
    rb"All log messages before absl::InitializeLog|cudart_stub\.cc|cuda_platform\.cc.*failed call to cuInit"
    rb"|oneDNN custom operations|cpu_feature_guard|To enable the following instructions"
)


def import_tensorflow(log: Console) -> None:
    """Import TensorFlow and let it look for devices, saying that this takes a while."""
    if "tensorflow_probability" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" not in sys.modules:
        log.print("Starting TensorFlow", style="dim")
    with _held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
        import tensorflow_probability

        # it warns when it is first used, so that comes here once
        tensorflow_probability.optimizer.lbfgs_minimize  # noqa: B018

        tf.get_logger().setLevel("ERROR")
        tf.config.list_physical_devices()
        tf.zeros(())


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
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
