"""Everything robustcheck raises on purpose, with the exit code the command line gives it.

::

    RobustcheckError
    |-- ConfigError (2)        a setting, flag or argument that makes no sense
    |-- InputRefused (3)       something given to us cannot be used
    |   |-- ModelRefused       ... a model
    |   |-- DataRefused        ... samples, labels or targets
    |   `-- ReportRefused      ... a stored report
    `-- Incomplete (4)         nothing was measured, so nothing may be concluded

    KeyboardInterrupt
    `-- Interrupted (130)      Ctrl-C, with what was done until then

Messages name what was expected, what came, and what to do about it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from robustcheck.text import cut, printable

__all__ = [
    "ConfigError",
    "DataRefused",
    "Incomplete",
    "InputRefused",
    "Interrupted",
    "ModelRefused",
    "ReportRefused",
    "RobustcheckError",
    "RobustcheckWarning",
    "is_of_memory",
    "one_line",
]

# characters of a line of a message
_LONGEST = 2000
EXIT_OK = 0
EXIT_INTERRUPTED = 130


class RobustcheckError(Exception):
    """Base of every error that robustcheck raises on purpose.

    Args:
        lines: of the message. A line break within one is made visible, since names from files must not begin
            a line of their own, and what is very long is cut.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, *lines: str) -> None:
        super().__init__(*(cut(printable(line), _LONGEST) for line in lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class ConfigError(RobustcheckError, ValueError):
    """A setting, flag or argument that makes no sense."""

    exit_code = 2


class InputRefused(RobustcheckError, ValueError):
    """Something given to robustcheck cannot be used."""

    exit_code = 3


class ModelRefused(InputRefused):
    """A model that cannot be audited."""


class DataRefused(InputRefused):
    """Samples, labels or targets that cannot be audited."""


class ReportRefused(InputRefused):
    """A stored report that cannot be read."""


class Incomplete(RobustcheckError):
    """Nothing was measured, so nothing may be concluded."""

    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during an audit; ``done`` is the report of the samples that were done."""

    def __init__(self, done: Any) -> None:
        super().__init__("interrupted")
        self.done = done


class SearchInterrupted(Interrupted):
    """Ctrl-C during a search; ``done`` is the result of the samples that were done."""


class RobustcheckWarning(UserWarning):
    """Something was adapted or may be less exact than the user expects."""


def is_of_memory(error: BaseException) -> bool:
    """Whether an error, perhaps another library's, says that there was no memory."""
    text = f"{type(error).__name__}: {error}"
    words = ("MemoryError", "ResourceExhausted", "OOM when", "bad_alloc", "allocate memory")
    return any(word in text for word in words)


def one_line(error: BaseException, text: str | None = None) -> str:
    """Another library's error, or the part of its text that matters, as one line of some 300 characters."""
    if text is None and isinstance(error, OSError) and error.strerror:
        named = f": {error.filename}" if error.filename else ""
        return printable(f"{error.strerror}{named}")
    line = " ".join((str(error) if text is None else text).split())
    return f"{type(error).__name__}: {line[:300]}{'...' if len(line) > 300 else ''}"
