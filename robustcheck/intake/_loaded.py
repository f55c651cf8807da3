"""What a data source is expected to give, and what it gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from robustcheck.arrays import I64
from robustcheck.config import AuditConfig, Draw

Shape = tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which samples are wanted of a source, and how it is to be read.

    Attributes:
        shapes: of a sample for each input of the model, None = open; None where the model does not tell.
        names: of the inputs, where the model has several.
        classes: of the model, where it tells before it is called.
        x_key, y_key: arrays of an ``.npz``, or entries of samples and labels that are mappings.
        class_names: names of the classes in order.
        limit: samples at most.
        sample: how these are drawn: the first rows, at random, or at random with the classes in proportion.
        seed: of the draw.
        need_labels: whether a source without labels is refused.
        max_data_bytes: what is unpacked may take, or is read of a source that does not tell its length.
        skip_bad: leave images out that cannot be read, up to a share ``max_bad``.
    """

    shapes: tuple[Shape, ...] | None = None
    names: tuple[str, ...] | None = None
    classes: int | None = None
    x_key: str | None = None
    y_key: str | None = None
    class_names: tuple[str, ...] | None = None
    limit: int | None = None
    sample: Draw = "stratified"
    seed: int = 0
    need_labels: bool = True
    max_data_bytes: int = AuditConfig.max_data_bytes
    skip_bad: bool = False
    max_bad: float = AuditConfig.max_bad

    @property
    def shape(self) -> Shape | None:
        """Shape of a sample of a model with one input, where it tells."""
        return self.shapes[0] if self.shapes is not None and len(self.shapes) == 1 else None

    @property
    def several(self) -> bool:
        """Whether the model has several inputs."""
        return self.shapes is not None and len(self.shapes) > 1


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedData:
    """Samples as they are stored.

    Attributes:
        x: an array ``[N, ...]``, or a mapping or list of arrays by input.
        y: labels as they are stored, ``[N, ...]``; None without.
        index: row in the source before any limit, ``[N]``.
        path: None for arrays that were given.
        sha256: digest of the whole source.
        class_names: names of the classes in order, where known.
        sample: how the samples were drawn of the source; None where all were taken.
        strata: class of every row of the source, ``[rows]``; None without labels, or where not all were read.
        folders: sub-folders that a folder of images has.
        notes: what was done to the data, one sentence each.
        left_out: samples that could not be read.
    """

    x: Any
    y: NDArray[Any] | None
    index: I64
    path: str | None
    sha256: str | None
    class_names: tuple[str, ...] | None
    sample: Draw | None = None
    strata: NDArray[Any] | None = None
    folders: int | None = None
    notes: tuple[str, ...] = ()
    left_out: int = 0
