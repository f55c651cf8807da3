"""How far apart are models that differ in nothing but their training seed?

    python measure_tolerance.py [--seeds 8]

Trains the model of this project from several seeds, audits each as the tests do, and prints the tolerances
that ``check_baseline`` needs so that one retraining in a hundred fails by chance.
"""

from __future__ import annotations

import argparse

from train import load, train

import robustcheck as rc
from robustcheck.testing import seed_spread

SAMPLES = 200


def main() -> None:
    """Train, audit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="how many; default: 8")
    parser.add_argument("--epochs", type=int, default=60)
    asked = parser.parse_args()
    digits, (x, y) = load()
    reports = []
    for seed in range(asked.seeds):
        model = train(digits, seed=seed, epochs=asked.epochs)
        reports.append(rc.audit(model, x[:SAMPLES], y[:SAMPLES]))
        median, accuracy = (
            reports[-1].measures[name].value for name in ("distortion.l2.median", "accuracy.clean")
        )
        print(f"seed {seed}: median L2 {median:.4f}, clean accuracy {accuracy:.3f}", flush=True)
    spread = seed_spread(reports)
    print(f"ratios from {min(spread.ratios):.3f} to {max(spread.ratios):.3f}")
    print(f"check_baseline(rel={spread.rel:.3f}, accuracy={spread.accuracy:.3f})")


if __name__ == "__main__":
    main()
