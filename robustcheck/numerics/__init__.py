"""Pure batched maths: margins, the box, exact linear distances and searches along a segment; and graphs.

Shapes use ``B`` rows, ``D`` flattened features and ``K`` classes. Nothing here knows of models, audits or
files. Rows are NumPy's, since on a CPU an inner product of rows takes it a third of the time that TensorFlow
takes, most operations half as long, and nothing has to be traced; models are TensorFlow's graphs.
"""

from robustcheck.numerics._graphs import Traced, operations_behind, traced, with_gradient
from robustcheck.numerics._half_space import (
    nearest_in_half_space,
    nearest_in_half_space_l1,
    nearest_in_half_space_linf,
)
from robustcheck.numerics._polyhedron import nearest_in_polyhedron, nearest_sparse_in_polyhedron
from robustcheck.numerics._rows import (
    adversarial_margin,
    divide_no_nan,
    into_box,
    l1_norm,
    l2_norm,
    linf_norm,
    needed_margin,
    rowwise_dot,
    to_unit_slope,
    votes_for,
)
from robustcheck.numerics._segment import boundary_on_segment

__all__ = [
    "Traced",
    "adversarial_margin",
    "boundary_on_segment",
    "divide_no_nan",
    "into_box",
    "l1_norm",
    "l2_norm",
    "linf_norm",
    "nearest_in_half_space",
    "nearest_in_half_space_l1",
    "nearest_in_half_space_linf",
    "nearest_in_polyhedron",
    "nearest_sparse_in_polyhedron",
    "needed_margin",
    "operations_behind",
    "rowwise_dot",
    "to_unit_slope",
    "traced",
    "votes_for",
    "with_gradient",
]
