"""Whether robust accuracy falls to zero, and below what noise of each length leaves of it."""

from __future__ import annotations

import numpy as np

from robustcheck.checks._given import Given
from robustcheck.results import CHECKS, Check, Point, judged, not_asked
from robustcheck.text import percent


def curve(given: Given) -> Check:
    """Hold the curve against that under noise: the worst of a radius is no better than a draw from it.

    A search over a whole box without a limit on the length must fool every sample (Carlini et al. 2019,
    arXiv:1902.06705, section 5).
    """
    if given.facts is None or not given.facts.noise_curve:
        return not_asked("curve", "no noise was asked about")
    points, noise = given.facts.curve, given.facts.noise_curve
    above = max(0.0, *(_at(points, point.radius) - point.accuracy for point in noise))
    left = points[-1].accuracy
    detail = "robust accuracy is nowhere above accuracy under noise as long"
    if CHECKS["curve"].outcome(above) != "PASS":
        detail = (
            f"robust accuracy is {percent(above)} above accuracy under noise as long, so examples are missed"
        )
    ends = "it falls to zero" if left == 0 else f"{percent(left)} of it are left at the largest radius"
    check = judged("curve", above, f"{detail}; {ends}")
    if left > 0 and check.outcome == "PASS":
        return Check(id="curve", outcome="WARN", detail=check.detail)
    return check


def _at(points: list[Point], radius: float) -> float:
    """Accuracy of a falling curve of steps at a radius."""
    radii = np.array([point.radius for point in points])
    return points[max(int(np.searchsorted(radii, radius, side="right")) - 1, 0)].accuracy
