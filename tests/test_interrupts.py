"""Ctrl-C waits until it can be raised as what it is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

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


def run(*steps: Callable[[], object]) -> None:
    with deferred():
        for step in steps:
            step()


def test_it_waits_for_the_next_place() -> None:
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(press, lambda: reached.append("signal"), raise_if_asked, lambda: reached.append("place"))
    assert reached == ["signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    raise_if_asked()


def test_it_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(press)


def test_an_error_on_the_way_is_kept_and_nothing_waits_afterwards() -> None:
    with pytest.raises(ValueError, match="own"):
        run(press, lambda: int("own"))
    run(raise_if_asked)


def test_a_second_one_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(press, press, lambda: pytest.fail("the second was held back"))


def test_another_handler_is_left_alone() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    run(press, raise_if_asked)
    assert seen == [1]


def test_threads_have_no_handler_to_set() -> None:
    failed: list[BaseException] = []

    def in_thread() -> None:
        try:
            run(raise_if_asked)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert not failed


def test_a_search_that_is_interrupted_at_any_time_says_so(
    dense: Any, pixels: np.ndarray, digits: Any
) -> None:
    """Its signals come between any two instructions, also within those that C calls."""
    draw = np.random.default_rng(0)

    def search_for_ever() -> None:
        while True:
            rc.minimal_distortion(dense, pixels[:20], digits[1][:20], options=rc.SearchOptions(budget=300))

    for _ in range(25):
        timer = threading.Timer(float(draw.uniform(0.02, 0.4)), os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            search_for_ever()
        timer.join()
