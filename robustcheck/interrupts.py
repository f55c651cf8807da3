"""Ctrl-C while a model is at work.

Python raises it between any two of its instructions, also in those that NumPy and TensorFlow call from C, and
these turn it into errors of their own. So it waits for the next place where it can be raised as what it is.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_waiting = threading.Event()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Ctrl-C waits for :func:`raise_if_asked`, or for the end; a second one does not.

    Where somebody else handles the signal, and outside the main thread, nothing changes.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if _waiting.is_set():
            signal.default_int_handler(number, frame)
        _waiting.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield
        raise_if_asked()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _waiting.clear()


def raise_if_asked() -> None:
    """Raise what waits.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    if _waiting.is_set():
        raise KeyboardInterrupt
