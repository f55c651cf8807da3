"""Any Keras model as a :class:`Classifier`: logits on flat rows inside a box.

``_wrap`` builds one, ``_layout`` turns a model's inputs into flat rows and back, ``_heads`` gets logits out
of a model that ends in probabilities.
"""

from robustcheck.models._classifier import Classifier, logits_of, own_labels, own_labels_singly
from robustcheck.models._layout import InputLayout
from robustcheck.models._wrap import wrap

__all__ = ["Classifier", "InputLayout", "logits_of", "own_labels", "own_labels_singly", "wrap"]
