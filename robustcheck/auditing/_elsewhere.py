"""A report's examples on a model that the audit did not know of."""

from __future__ import annotations

from typing import Any

from robustcheck import intake, measures
from robustcheck.auditing._replay import classifier_like
from robustcheck.models import own_labels
from robustcheck.results import AuditReport, Measure


def transfer_rate(report: AuditReport, reference: Any) -> Measure:
    """Error of another model on the examples of a report, with its Wilson interval.

    Args:
        report: of an audit.
        reference: a model file, ``package.module:factory``, a live model or a classifier.

    Raises:
        ModelRefused: a model that cannot take the report's samples.
    """
    classifier = classifier_like(report, intake.load_model(reference).model)
    made = report.samples.found
    if not made.any():
        return measures.share(0, 0)
    rows = report.samples.points[made]
    wrong = own_labels(classifier, rows) != report.samples.label[made]
    return measures.share(int(wrong.sum()), len(wrong))
