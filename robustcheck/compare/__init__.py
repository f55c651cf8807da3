"""Two reports side by side, paired by sample where they are of the same samples.

``_conditions`` says whether their figures mean the same, ``_change`` how a measure changed, ``_compare`` what
got worse.
"""

from robustcheck.compare._change import change, pair
from robustcheck.compare._compare import compare
from robustcheck.compare._conditions import Differences, differences, facts

__all__ = ["Differences", "change", "compare", "differences", "facts", "pair"]
