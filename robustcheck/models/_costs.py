"""A classifier in units of what changes cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from robustcheck.models._classifier import Classifier
from robustcheck.numerics import traced

Tensor = Any


def in_costs(classifier: Classifier) -> Classifier:
    """The same classifier on rows times its costs, where the length of a change is what it costs.

    Itself where all costs are 1.
    """
    if not classifier.priced:
        return classifier
    made: Classifier = classifier.traced("in_costs", lambda: _made(classifier))
    return made


def _made(classifier: Classifier) -> Classifier:
    cost = tf.constant(classifier.cost)
    rows = tf.TensorSpec([None, classifier.layout.width])

    def of(ask: Any) -> Any:
        # what is no graph is not traced
        graph = traced(rows) if classifier.differentiable else lambda call: call
        return graph(lambda z: ask(z / cost))

    return replace(
        classifier,
        logits=of(classifier.logits),
        computed=lambda: of(classifier.computed()),
        label=of(classifier.label),
        votes=None if classifier.votes is None else classifier.votes.asked(of),
        label_singly=of(classifier.label_singly),
        lower=classifier.lower * classifier.cost,
        upper=classifier.upper * classifier.cost,
        cost=np.ones_like(classifier.cost),
        traces={},
    )
