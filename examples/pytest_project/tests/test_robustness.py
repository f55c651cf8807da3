"""What the digit classifier must withstand before it ships."""

import pytest

MODEL, DIGITS = "model.keras", "digits.npz"


def test_floor(robustness):
    """No easier to fool than this."""
    report = robustness.audit(MODEL, DIGITS, limit=200)
    assert report.clean_accuracy >= 0.95
    assert report.median_distortion >= 0.4
    assert report.distortion("p05", norm="l2") >= 0.03


@pytest.mark.parametrize(("radius", "share"), [(0.1, 0.9), (0.2, 0.8), (0.3, 0.7)])
def test_robust_accuracy(robustness, radius, share):
    """So many digits stay right within a radius."""
    assert robustness.audit(MODEL, DIGITS, limit=200).robust_accuracy(l2=radius) >= share


def test_no_regression(robustness):
    """No worse than the model of the baseline."""
    # the tolerances are those that measure_tolerance.py prints, rounded up
    robustness.audit(MODEL, DIGITS, limit=200).check_baseline(rel=0.05, accuracy=0.02)


@pytest.mark.robustness(model=MODEL, data=DIGITS, limit=200)
class TestRelease:
    """What a release has to meet."""

    def test_gate(self, robustness):
        """The rules of policy.toml."""
        robustness.check_policy()
