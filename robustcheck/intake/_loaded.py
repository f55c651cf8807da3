"""What a data source gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedData:
    """Samples as they are stored.

    ``index`` is their row in the source before any limit, ``path`` None for arrays that were given.
    """

    x: Any
    y: NDArray[Any] | None
    index: NDArray[np.int64]
    path: str | None
    sha256: str | None
    class_names: tuple[str, ...] | None
