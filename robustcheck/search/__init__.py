"""The search for the nearest misclassified input, for one batch.

``_problem`` says what a batch is and what comes back, ``_rows`` how it is laid out as (sample, class) rows,
``_candidates`` chooses the classes worth trying, ``_lbfgs`` is the one call of tfp's L-BFGS. On these stand
the two methods: ``_boundary``, the default, with ``_walk`` and ``_refine``; and ``_szegedy``, the penalty
method of Szegedy et al. 2013. Nothing here is believed: :mod:`robustcheck.distortion` checks every answer
with the plain model.
"""

from __future__ import annotations

from robustcheck.config import SearchOptions
from robustcheck.models import Classifier
from robustcheck.search._boundary import search_boundary
from robustcheck.search._problem import Answer, Others, Problem
from robustcheck.search._szegedy import search_szegedy

__all__ = ["Answer", "Others", "Problem", "search"]

_METHODS = {"boundary": search_boundary, "szegedy": search_szegedy}


def search(classifier: Classifier, problem: Problem, options: SearchOptions) -> Answer:
    """Search one batch of correctly classified rows by the method that the options name."""
    return _METHODS[options.method](classifier, problem, options)
