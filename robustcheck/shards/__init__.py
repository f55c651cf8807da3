"""The work of an audit as files: its plan, and what each of its shards found; without TensorFlow.

``_store`` keeps them in a folder, each whole or not at all; ``_gather`` puts the parts of one audit together.
"""

from robustcheck.shards._gather import gather
from robustcheck.shards._store import KEPT, PLAN, ShardStore

__all__ = ["KEPT", "PLAN", "ShardStore", "gather"]
