"""The search for the nearest misclassified input, for one batch.

``_problem`` says what a batch is and what comes back, ``_rows`` how it is laid out as (sample, class) rows,
``_geometry`` what is needed of a norm, ``_constraint`` what is asked of a model. ``_candidates`` chooses
the classes worth trying, ``_boxed`` is L-BFGS within the box, on ``_lbfgs``, the one call of tfp's. On
these stand the two methods: ``_boundary``, the default, with ``_walk``, ``_polish`` and ``_refine``; and
``_szegedy``, the method of Szegedy et al. 2013, with a line search for each norm it knows. Nothing here is
believed: :mod:`robustcheck.distortion` checks every answer with the plain model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from robustcheck.config import Method, SearchOptions
from robustcheck.models import Classifier
from robustcheck.progress import OnProgress
from robustcheck.search._boundary import search_boundary
from robustcheck.search._constraint import margin_slope
from robustcheck.search._decision import search_decision, shorten
from robustcheck.search._problem import STAGE, Answer, Others, Problem
from robustcheck.search._slopes import Agreement, agreement, choose_slope
from robustcheck.search._szegedy import search_szegedy

__all__ = [
    "METHODS",
    "STAGE",
    "Agreement",
    "Answer",
    "Others",
    "Problem",
    "agreement",
    "choose_slope",
    "margin_slope",
    "shorten",
]

Search: TypeAlias = Callable[[Classifier, Problem, SearchOptions, OnProgress], Answer]

# search one batch of correctly classified rows, by method
METHODS: dict[Method, Search] = {
    "boundary": search_boundary,
    "szegedy": search_szegedy,
    "decision": search_decision,
}
