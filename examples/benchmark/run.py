"""Distances and costs of robustcheck beside those that other attacks found for the same images.

    python examples/benchmark/run.py --models DIR --reference DIR --mnist mnist.npz --cifar10 images.npz

For each ``NAME.npz`` in the reference folder, which holds ``index`` (which images) and an array of L2
distances for each attack, it attacks ``NAME.keras`` of the models at each budget and prints a table. A name
begins with its data set. Results are kept in ``--out``, one file a (model, budget), so that a run that was
stopped goes on. The README beside this file has the results of a full run.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import robustcheck as rc

BUDGETS = (30, 100, 300, 1000)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """L2 distances of one attack on one model, ``[n]``, infinite where none was found."""

    attack: str
    l2: np.ndarray
    gradients: float | None = None
    forwards: float | None = None
    seconds: float | None = None


def images(name: str, mnist: Path, cifar10: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images that a reference's ``index`` counts, and their labels."""
    if name.startswith("mnist"):
        with np.load(mnist) as stored:
            return stored["x_test"], stored["y_test"]
    with np.load(cifar10) as stored:
        parts = ("sdp200", "first100")
        return tuple(np.concatenate([stored[f"{part}_{axis}"] for part in parts]) for axis in "xy")


def measure(model: Path, x: np.ndarray, y: np.ndarray, budget: int, kept: Path) -> Outcome:
    """Search at one budget, or read what an earlier run found."""
    attack = f"robustcheck {budget}"
    if not kept.exists():
        from keras.saving import load_model

        classifier = rc.wrap(load_model(model, compile=False))
        begun = time.perf_counter()
        result = rc.minimal_distortion(classifier, x, y, options=rc.SearchOptions(budget=budget))
        seconds = time.perf_counter() - begun
        np.savez(
            kept,
            l2=result.l2,
            gradients=result.gradient_evaluations.mean(),
            forwards=result.forward_evaluations.mean(),
            seconds=seconds,
        )
    with np.load(kept) as stored:
        costs = {name: float(stored[name]) for name in ("gradients", "forwards", "seconds")}
        return Outcome(attack=attack, l2=stored["l2"], **costs)


def table(name: str, outcomes: list[Outcome], peers: list[Outcome]) -> Table:
    """A row an attack; ratios are to the nearest that any peer found for the same image."""
    best = np.min([peer.l2 for peer in peers], axis=0)
    made = Table(title=name, title_justify="left")
    costs = ("gradients", "forwards", "s")
    for column in ("attack", "found", "mean", "median", *costs, "p5", "p50", "p95", "geom.", "<= 1.01"):
        made.add_column(column, justify="left" if column == "attack" else "right")
    for one in [*peers, *outcomes]:
        found = np.isfinite(one.l2)
        ratio = one.l2[found] / best[found]
        spent = (one.gradients, one.forwards, one.seconds)
        made.add_row(
            one.attack,
            f"{found.mean():.0%}",
            f"{one.l2[found].mean():.4f}",
            f"{np.median(one.l2[found]):.4f}",
            *("-" if cost is None else f"{cost:.0f}" for cost in spent),
            *(f"{np.quantile(ratio, q):.3f}" for q in (0.05, 0.5, 0.95)),
            f"{np.exp(np.log(ratio).mean()):.4f}",
            f"{np.mean(one.l2 <= 1.01 * best):.0%}",
        )
    return made


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for flag in ("models", "reference", "mnist", "cifar10"):
        parser.add_argument(f"--{flag}", type=Path, required=flag in ("models", "reference"))
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--limit", type=int, help="images a model at most")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=130)
    for reference in sorted(arguments.reference.glob("*.npz")):
        name = reference.stem
        with np.load(reference) as stored:
            distances = {key: stored[key][: arguments.limit] for key in stored.files}
        index = distances.pop("index")
        x, y = images(name, arguments.mnist, arguments.cifar10)
        outcomes = [
            measure(
                arguments.models / f"{name}.keras",
                x[index],
                y[index],
                budget,
                arguments.out / f"{name}-{budget}-{len(index)}.npz",
            )
            for budget in arguments.budgets
        ]
        peers = [Outcome(attack=attack, l2=l2) for attack, l2 in distances.items()]
        console.print(table(name, outcomes, peers))


if __name__ == "__main__":
    main()
