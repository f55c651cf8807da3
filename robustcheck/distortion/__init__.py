"""Minimal distortions: samples cut into batches, each searched, every answer checked outside the search.

``_range`` searches one batch and checks it, with what ``_facts`` asked of all samples before; ``_attack`` is
the one batch loop, ``_work`` the same as a task that can be done anywhere, ``_minimal`` the function for a
user's arrays.
"""

from robustcheck.distortion._attack import attack, default_batch_size, require_batch_size
from robustcheck.distortion._facts import (
    SetFacts,
    facts_of,
    measured_rounding,
    set_facts,
    sloped_rows,
    spread,
    start_facts,
)
from robustcheck.distortion._levels import example_levels, on_levels
from robustcheck.distortion._minimal import minimal_distortion
from robustcheck.distortion._range import beyond_float32, search_range, shortened
from robustcheck.distortion._work import SearchSetup, ShardWork, run_shard

__all__ = [
    "SearchSetup",
    "SetFacts",
    "ShardWork",
    "attack",
    "beyond_float32",
    "default_batch_size",
    "example_levels",
    "facts_of",
    "measured_rounding",
    "minimal_distortion",
    "on_levels",
    "require_batch_size",
    "run_shard",
    "search_range",
    "set_facts",
    "shortened",
    "sloped_rows",
    "spread",
    "start_facts",
]
