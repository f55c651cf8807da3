"""Two reports side by side, paired by sample where they are of the same samples.

``_comparable`` says whether their figures mean the same, ``_change`` how a measure changed, ``_compare`` what
got worse; ``_standing`` holds a model against what a test keeps of an older audit.
"""

from robustcheck.compare._change import change, pair
from robustcheck.compare._comparable import Differences, differences, facts
from robustcheck.compare._compare import compare
from robustcheck.compare._standing import against_baseline

__all__ = ["Differences", "against_baseline", "change", "compare", "differences", "facts", "pair"]
