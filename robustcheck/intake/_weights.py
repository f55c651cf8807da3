"""What an HDF5 file says of the arrays in it; nothing that lies elsewhere is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustcheck.errors import ModelRefused, one_line

_MOST_OBJECTS, _DEEPEST = 200_000, 64
# arrays that are larger than the file that they are in, as many times
_MOST_RATIO, _MUCH = 200, 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class StoredWeights:
    """Number of values, bytes, and the longest side of an array."""

    parameters: int = 0
    size: int = 0
    longest: int = 0

    def with_those_of(self, other: StoredWeights) -> StoredWeights:
        """Of both."""
        return StoredWeights(
            parameters=self.parameters + other.parameters,
            size=self.size + other.size,
            longest=max(self.longest, other.longest),
        )


def weights_in(path: Path, source: Path) -> tuple[StoredWeights, bytes | None]:
    """The arrays of a file, and the configuration of a model where it has one.

    Args:
        path: of the file.
        source: what a message names.

    Raises:
        ModelRefused: it is no HDF5 file, or something in it lies in another file, is virtual, or claims a
            size that it has not.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = StoredWeights()
            for name, array in _arrays(file, source):
                found = found.with_those_of(_stored(name, array, source, path.stat().st_size))
            text = file.attrs.get("model_config")
    except ModelRefused:
        raise
    except Exception as error:  # whatever the library says of what is damaged
        raise ModelRefused(f"{source}: expected weights in HDF5: {one_line(error)}") from error
    return found, text.encode() if isinstance(text, str) else text


def _arrays(file: Any, source: Path) -> list[tuple[str, Any]]:
    """All arrays by name; what is there twice is looked at once."""
    import h5py

    arrays: list[tuple[str, Any]] = []
    level, seen = [("", file)], set()
    for _ in range(_DEEPEST):
        deeper: list[tuple[str, Any]] = []
        for where, group in level:
            for name in group:
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise ModelRefused(
                        f"{source}: weights {where}/{name}: expected an array in the file, got "
                        f"{'an external link' if isinstance(link, h5py.ExternalLink) else 'a link'}"
                    )
                at = group[name]
                address = h5py.h5o.get_info(at.id).addr
                if address in seen:
                    continue
                seen.add(address)
                (deeper if isinstance(at, h5py.Group) else arrays).append((f"{where}/{name}", at))
        if len(seen) > _MOST_OBJECTS:
            break
        if not deeper:
            return arrays
        level = deeper
    raise ModelRefused(
        f"{source}: expected weights of at most {_MOST_OBJECTS} arrays in groups {_DEEPEST} deep"
    )


def _stored(name: str, array: Any, source: Path, size: int) -> StoredWeights:
    """An array by its header."""
    import h5py

    if not isinstance(array, h5py.Dataset):
        raise ModelRefused(f"{source}: weights {name}: expected an array, got {type(array).__name__}")
    if array.is_virtual or array.external:
        lies = "is virtual" if array.is_virtual else "lies in an external file"
        raise ModelRefused(f"{source}: weights {name}: expected an array in the file, got one that {lies}")
    count = math.prod(array.shape or ())
    declared = count * array.dtype.itemsize
    if declared > max(_MUCH, _MOST_RATIO * size):
        raise ModelRefused(
            f"{source}: weights {name}: expected an array in {size} bytes, got one that claims "
            f"{declared / 2**30:.3g} GiB"
        )
    return StoredWeights(parameters=count, size=declared, longest=max(array.shape or (0,)))
