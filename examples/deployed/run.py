"""How robust are the deployed forms of a model? The table of this folder's README."""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
from convert import all_forms

import robustcheck as rc
from robustcheck import assets
from robustcheck.measures import Metric, share
from robustcheck.results import AuditReport, Measure

# samples that quantisation is calibrated on; none of them is audited
CALIBRATION = 200
# of the model's distance: a form that errs there errs sooner than the model
SOONER = 0.98


def main() -> None:
    """Convert, audit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, action="append", help="Keras file; default: the shipped models")
    parser.add_argument("--data", type=Path, help="npz with x_train, x_test, y_test; default: the digits")
    parser.add_argument("--range", type=float, nargs=2, help="of the stored values; default: 0 255 for uint8")
    parser.add_argument("--samples", type=int, default=500, help="audited; default: 500")
    parser.add_argument("--budget", type=int, default=300, help="gradients a sample; default: 300")
    arguments = parser.parse_args()
    files = arguments.model or [assets.path(name) for name in assets.MODELS]
    with np.load(arguments.data or assets.path(assets.DIGITS)) as stored:
        given = arguments.range or (assets.DIGITS_RANGE if arguments.data is None else (0.0, 255.0))
        low, high = given
        train, x = ((stored[name].astype(np.float32) - low) / (high - low) for name in ("x_train", "x_test"))
        y = stored["y_test"]
    for file in files:
        model = keras.models.load_model(file, compile=False)
        shape = model.input_shape[1:]
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            forms = all_forms(model, train[:CALIBRATION].reshape(-1, *shape), Path(folder))
            report = rc.audit(
                model,
                x[: arguments.samples].reshape(-1, *shape),
                y[: arguments.samples],
                deployed={name: str(path) for name, path in forms.items()},
                precision=["float16", "bfloat16", "int8"],
                options=rc.SearchOptions(budget=arguments.budget),
                preflight="never",
            )
        print(table_of(report))


COLUMNS = ("agrees", "example holds", "errs at 0.98 or before", "ratio p05", "ratio median", "within 1 %")


def table_of(report: AuditReport) -> str:
    """A row a form, with 95 % intervals, in Markdown."""
    counts = report.counts
    lines = [
        f"{report.model.name}: {counts.found} of {counts.correct} samples with an example",
        "",
        f"| form | {' | '.join(COLUMNS)} |",
        f"| --- |{' ---: |' * len(COLUMNS)}",
    ]
    for form in report.deployed:
        rows = report.deployed_rows[form.name]
        ratio = rows.ratio[rows.found]
        cells = [
            *(shown(report, form.name, what) for what in ("agreement", "holds")),
            in_percent(share(int(np.sum(ratio <= SOONER)), len(ratio))),
            *(shown(report, form.name, "ratio", statistic) for statistic in ("p05", "median")),
            in_percent(share(int(np.sum(np.abs(ratio - 1) <= 0.01)), len(ratio))),
        ]
        lines.append(f"| {form.name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def shown(report: AuditReport, form: str, what: str, statistic: str = "") -> str:
    """A measure with its interval."""
    figure = report.measures[Metric.deployed(form, what, statistic).name]
    if what != "ratio":
        return in_percent(figure)
    if figure.value is None:
        return "> 4"
    sides = ["..." if side is None else f"{side:.3f}" for side in (figure.low, figure.high)]
    return f"{figure.value:.3f} ({' to '.join(sides)})"


def in_percent(figure: Measure) -> str:
    """A share with its interval."""
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    return f"{100 * figure.value:.1f} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


if __name__ == "__main__":
    main()
