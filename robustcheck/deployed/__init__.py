"""Deployed forms of the audited model, held against it.

What goes to production is seldom the model that was audited: it is quantised, converted, called by another
runtime. Clean decisions agree while minimal examples miss: these lie just behind the boundary of one model,
so they say nothing of another whose boundary has moved by as little. What tells is the ratio of the two
distances: how far the form is from erring on the way to the model's example.

``_form`` makes a predictor of what is deployed, under the conditions of the model; ``_precision`` makes forms
of the model itself; ``_held`` holds one against the samples and examples; ``_odd`` says why one may be
another model.
"""

from robustcheck.deployed._form import Form, make_form
from robustcheck.deployed._held import Held, hold
from robustcheck.deployed._precision import in_precision

__all__ = ["Form", "Held", "hold", "in_precision", "make_form"]
