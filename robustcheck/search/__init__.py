"""The search for the nearest misclassified input, for one batch.

``_problem`` says what a batch is and what comes back, ``_candidates`` chooses the classes worth trying,
``_szegedy`` is the penalty method of Szegedy et al. 2013, ``_lbfgs`` the one call of tfp's L-BFGS. Nothing
here is believed: :mod:`robustcheck.distortion` checks every answer with the plain model.
"""

from __future__ import annotations

from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.search._problem import Answer, Problem
from robustcheck.search._szegedy import search_szegedy

__all__ = ["Answer", "Problem", "search"]

_METHODS = {"szegedy": search_szegedy}


def search(classifier: Classifier, problem: Problem, options: SearchOptions) -> Answer:
    """Search one batch of correctly classified rows by the method that the options name."""
    return _METHODS[options.method](classifier, problem, options)
