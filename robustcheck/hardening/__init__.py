"""Training with pools of adversarial examples, layer by layer (Szegedy et al. 2013, section 4.2).

``_cuts`` finds the layers whose output alone decides what follows, and the range of their activations;
``_pool`` holds examples and makes new ones; ``_callback`` trains the layers above a cut on its pool;
``_batches`` and ``_checkpoint`` make a run repeatable and resumable; ``_train`` is the function ``harden``.
"""

from robustcheck.hardening._callback import PoolTraining
from robustcheck.hardening._cuts import Cut, find_cuts
from robustcheck.hardening._pool import PoolState
from robustcheck.hardening._train import Hardened, compile_for, harden
from robustcheck.measures import McNemar, PairedMean, mcnemar, paired_mean

__all__ = [
    "Cut",
    "Hardened",
    "McNemar",
    "PairedMean",
    "PoolState",
    "PoolTraining",
    "compile_for",
    "find_cuts",
    "harden",
    "mcnemar",
    "paired_mean",
]
