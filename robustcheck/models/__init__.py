"""Any Keras model as a :class:`Classifier`: logits on flat rows inside a box.

``_wrap`` builds one. ``_inputs`` finds out what a model takes, ``_layout`` turns that into flat rows and
back, ``_calling`` calls the model on them, ``_heads`` gets scores out of a model that ends in probabilities.
"""

from robustcheck.models._classifier import Classifier, logits_of, own_labels, own_labels_singly
from robustcheck.models._inputs import declared_classes, input_names, input_shapes, random_rows
from robustcheck.models._layout import InputLayout
from robustcheck.models._wrap import wrap

__all__ = [
    "Classifier",
    "InputLayout",
    "declared_classes",
    "input_names",
    "input_shapes",
    "logits_of",
    "own_labels",
    "own_labels_singly",
    "random_rows",
    "wrap",
]
