"""Any Keras model as a :class:`Classifier`: logits on flat rows inside a box.

A :class:`Predictor` decides, a classifier can be differentiated too; what needs labels alone asks for the
first.

``_wrap`` builds one. ``_inputs`` finds out what a model takes, ``_layout`` turns that into flat rows and
back, ``_calling`` calls the model on them, ``_heads`` gets scores out of a model that ends in probabilities.
``_graph`` walks the layers of a functional model, ``_functions`` makes predictors of what is no Keras model.
"""

from robustcheck.models._classifier import JUMPS, Classifier, Head, Slope, logits_of
from robustcheck.models._costs import in_costs
from robustcheck.models._domain import random_rows
from robustcheck.models._functions import Asked, by_decisions, predictor, predictor_like
from robustcheck.models._graph import LayerGraph, inputs_of, layer_of
from robustcheck.models._inputs import declared_classes, input_names, input_shapes
from robustcheck.models._layout import InputLayout
from robustcheck.models._predictor import Predictor, own_labels, own_labels_singly
from robustcheck.models._votes import Votes
from robustcheck.models._wrap import wrap

__all__ = [
    "JUMPS",
    "Asked",
    "Classifier",
    "Head",
    "InputLayout",
    "LayerGraph",
    "Predictor",
    "Slope",
    "Votes",
    "by_decisions",
    "declared_classes",
    "in_costs",
    "input_names",
    "input_shapes",
    "inputs_of",
    "layer_of",
    "logits_of",
    "own_labels",
    "own_labels_singly",
    "predictor",
    "predictor_like",
    "random_rows",
    "wrap",
]
