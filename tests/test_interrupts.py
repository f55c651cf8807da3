"""Ctrl-C waits until it can be raised as what it is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import robustcheck as rc
from robustcheck.interrupts import deferred, raise_if_asked


@pytest.fixture(autouse=True)
def as_usual() -> Iterator[None]:
    """The handler that Python starts with, which a runner may have replaced."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_waits_for_the_next_place() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), deferred():
        press()
        reached.append("after the signal")
        raise_if_asked()
        reached.append("after the place")
    assert reached == ["after the signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    raise_if_asked()


def test_it_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), deferred():
        press()


def test_an_error_on_the_way_is_kept_and_nothing_waits_afterwards() -> None:
    with pytest.raises(ValueError, match="own"), deferred():
        press()
        raise ValueError("own")
    with deferred():
        raise_if_asked()


def test_a_second_one_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), deferred():
        press()
        press()
        pytest.fail("the second was held back")


def test_another_handler_is_left_alone() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    with deferred():
        press()
        raise_if_asked()
    assert seen == [1]


def test_threads_have_no_handler_to_set() -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with deferred():
                raise_if_asked()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed


def test_a_search_that_is_interrupted_at_any_time_says_so(dense: object, pixels: np.ndarray) -> None:
    """Its signals come between any two instructions, also within those that C calls."""
    draw = np.random.default_rng(0)
    for _ in range(25):
        timer = threading.Timer(float(draw.uniform(0.02, 0.4)), os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                rc.minimal_distortion(dense, pixels[:20], None, options=rc.SearchOptions(budget=300))
        timer.join()
