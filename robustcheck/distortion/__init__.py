"""Minimal distortions: samples cut into batches, each searched, every answer checked outside the search.

``_attack`` is the one batch loop and the check; ``_work`` the same as a task that can be done anywhere;
``_minimal`` the function for a user's arrays.
"""

from robustcheck.distortion._attack import (
    SetFacts,
    attack,
    beyond_float32,
    default_batch_size,
    facts_of,
    measured_rounding,
    require_batch_size,
    search_range,
    set_facts,
    start_facts,
)
from robustcheck.distortion._minimal import minimal_distortion
from robustcheck.distortion._work import SearchSetup, ShardWork, run_shard

__all__ = [
    "SearchSetup",
    "SetFacts",
    "ShardWork",
    "attack",
    "beyond_float32",
    "default_batch_size",
    "facts_of",
    "measured_rounding",
    "minimal_distortion",
    "require_batch_size",
    "run_shard",
    "search_range",
    "set_facts",
    "start_facts",
]
