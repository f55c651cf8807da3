"""Files that come with the package: the UCI digits and three small models trained on them.

``examples/train_demo_models.py`` makes them; ``ATTRIBUTION.md`` beside this file tells where the digits come
from.
"""

from __future__ import annotations

from pathlib import Path

DIGITS = "digits.npz"
DIGITS_RANGE = (0.0, 16.0)
MODELS = ("digits_dense_64.keras", "digits_dense_96.keras", "digits_conv.keras")


def path(name: str) -> Path:
    """Where a shipped file lies."""
    return Path(__file__).with_name(name)
