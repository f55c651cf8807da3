"""Robustcheck and its peers on the same images: how short are the distortions, and what do they cost?

    pip install ".[bench]"
    python examples/benchmark/run.py --mnist mnist.npz [--models DIR --reference DIR --cifar10 images.npz]

Runs robustcheck at each budget and each peer on three softmax regressions, which it trains and whose exact
distances are known, and on the models for which ``--reference`` holds ``NAME.npz``: ``index`` (which images)
and an array of L2 distances for each attack that was run elsewhere. Results are kept in ``--out``, one file a
(model, attack), so that a run that was stopped goes on. The README beside this file has those of a full run.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from peers import PEERS_IN, CountedModel
from rich import box
from rich.console import Console
from rich.table import Table
from subjects import Subject, exact_nets, regressions, shared

import robustcheck as rc

BUDGETS = (30, 100, 300, 1000)
PACKAGES = ("robustcheck-keras", "tensorflow", "keras", "tensorflow-probability", "numpy", "foolbox",
            "adversarial-robustness-toolbox")  # fmt: skip
# gradients a sample of the stored attacks as far as they are known (SuperDeepFool: 20 to 30, bar exceptions)
STORED_GRADIENTS = {
    "foolbox.DeepFool50": None,
    "foolbox.DDN100": 101,
    "foolbox.DDN1000": 1001,
    "adv-lib.FAB100": 900,
    "adv-lib.FABT100x3": 300,
    "adv-lib.ALMA1000": 1000,
    "adv-lib.SDF": 30,
    "adv-lib.PDGD1000": 1000,
    "adv-lib.FMN1000": 1000,
    "adv-lib.PDPGD1000": 1000,
    "foolbox.FMN1000": 1000,
    "foolbox.BB500": 500,
    "foolbox.BIM12x100": 1300,
}
EXACT = "exact"
ORDER = {"l2": 2, "linf": np.inf, "l1": 1}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Distances of one attack on one model, ``[n]``, infinite where none was found; costs a sample."""

    attack: str
    distance: np.ndarray
    gradients: float | None = None
    forwards: float | None = None
    seconds: float | None = None

    @property
    def ours(self) -> bool:
        """Whether robustcheck found them."""
        return self.attack.startswith("robustcheck")

    @property
    def mean_median(self) -> tuple[float, float]:
        """Over the samples found."""
        there = self.distance[np.isfinite(self.distance)]
        return float(there.mean()), float(np.median(there))


def attack(subject: Subject, name: str) -> Outcome:
    """Run one attack and check what it claims with the plain model."""
    model = subject.load()
    begun = time.perf_counter()
    peers = PEERS_IN[subject.norm]
    if name in peers:
        counted = CountedModel(model)
        examples = peers[name](counted, subject.x, subject.y)
        seconds = time.perf_counter() - begun
        gradients, forwards = (int(count) / len(subject.x) for count in (counted.gradients, counted.forwards))
    else:
        options = rc.SearchOptions(budget=int(name.split()[1]), norm=subject.norm)
        result = rc.minimal_distortion(rc.wrap(model), subject.x, subject.y, options=options)
        seconds = time.perf_counter() - begun
        examples = result.adversarial
        gradients, forwards = result.gradient_evaluations.mean(), result.forward_evaluations.mean()
    return Outcome(
        attack=name, distance=checked(model, subject, examples), gradients=gradients, forwards=forwards,
        seconds=seconds,
    )  # fmt: skip


def checked(model: object, subject: Subject, examples: np.ndarray) -> np.ndarray:
    """Distances ``[n]`` of examples in the box that the plain model misclassifies; else infinite."""
    there = np.isfinite(examples).reshape(len(examples), -1).all(axis=1)
    inside = np.clip(np.where(np.isfinite(examples), examples, 0), 0, 1).astype(np.float32)
    wrong = model.predict(inside, verbose=0).argmax(axis=1) != subject.y
    away = (inside.astype(np.float64) - subject.x.reshape(inside.shape)).reshape(len(inside), -1)
    return np.where(there & wrong, np.linalg.norm(away, ord=ORDER[subject.norm], axis=1), np.inf)


def kept(subject: Subject, name: str, folder: Path) -> Outcome:
    """The outcome of an attack, from the file of an earlier run if there is one."""
    norm = "" if subject.norm == "l2" else f"-{subject.norm}"
    path = folder / f"{subject.name}-{len(subject.x)}{norm}" / f"{name}.npz"
    if not path.exists():
        done = attack(subject, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        costs = {"gradients": done.gradients, "forwards": done.forwards, "seconds": done.seconds}
        partial = path.with_suffix(".part.npz")
        np.savez(partial, distance=done.distance, **costs)
        partial.replace(path)
    with np.load(path) as stored:
        costs = {cost: float(stored[cost]) for cost in ("gradients", "forwards", "seconds")}
        return Outcome(attack=name, distance=stored["distance"], **costs)


def table(outcomes: list[Outcome]) -> Table:
    """A row an attack; ratios to the exact distance, else to the nearest that a peer found for the image."""
    known = [outcome for outcome in outcomes if outcome.attack == EXACT]
    best = np.min([outcome.distance for outcome in known or outcomes if not outcome.ours], axis=0)
    made = Table(box=box.MARKDOWN)
    costs = ("gradients", "forwards", "s")
    for column in ("attack", "found", "mean", "median", *costs, "p5", "p50", "p95", "geom.", "<= 1.01"):
        made.add_column(column, justify="left" if column == "attack" else "right")
    for outcome in outcomes:
        found = np.isfinite(outcome.distance)
        ratio = outcome.distance[found] / best[found]
        spent = (outcome.gradients, outcome.forwards, outcome.seconds)
        made.add_row(
            outcome.attack,
            f"{found.mean():.0%}",
            *(f"{value:.4f}" for value in outcome.mean_median),
            *("-" if cost is None else f"{cost:.0f}" for cost in spent),
            *(f"{np.quantile(ratio, q):.3f}" for q in (0.05, 0.5, 0.95)),
            f"{np.exp(np.log(ratio).mean()):.4f}",
            f"{np.mean(outcome.distance <= 1.01 * best):.0%}",
        )
    return made


def frontier(outcomes: list[Outcome]) -> Iterator[str]:
    """For each budget of ours: the best single peer for as many gradients, and all of Foolbox and ART."""
    peers = [outcome for outcome in outcomes if not outcome.ours and outcome.attack != EXACT]
    libraries = [peer.distance for peer in peers if peer.attack.startswith(("foolbox", "art"))]
    for outcome in (outcome for outcome in outcomes if outcome.ours):
        budget = int(outcome.attack.split()[1])
        mean, median = outcome.mean_median
        line = f"* {outcome.attack}: {mean:.4f} / {median:.4f}"
        # one gradient more than the budget is still that budget: DDN 100 takes 101
        affordable = [
            peer for peer in peers if peer.gradients is not None and peer.gradients <= 1.01 * budget + 1
            and np.isfinite(peer.distance).mean() >= 0.9
        ]  # fmt: skip
        for label, position in (("mean", 0), ("median", 1)):
            if affordable:
                rival = min(affordable, key=lambda peer: peer.mean_median[position])
                line += f"; least {label} {rival.mean_median[position]:.4f} ({rival.attack})"
        if libraries:
            best = np.min(libraries, axis=0)
            both = np.isfinite(best) & np.isfinite(outcome.distance)
            ratio = np.exp(np.log(outcome.distance[both] / best[both]).mean())
            line += f"; over the best of Foolbox and ART {ratio:.4f} ({both.sum()} images)"
        yield line


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True, help="x_train, y_train, x_test, y_test")
    for flag in ("models", "reference", "cifar10"):
        parser.add_argument(f"--{flag}", type=Path)
    parser.add_argument("--norm", choices=tuple(ORDER), default="l2")
    parser.add_argument("--budgets", type=int, nargs="*", default=BUDGETS)
    parser.add_argument("--peers", nargs="*", help="default: all there are for the norm")
    parser.add_argument("--only", nargs="*", help="models to run, by name; default: all")
    parser.add_argument("--limit", type=int, help="images a model at most")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    asked = parser.parse_args()
    peers = list(PEERS_IN[asked.norm]) if asked.peers is None else asked.peers
    if unknown := set(peers) - set(PEERS_IN[asked.norm]):
        parser.error(f"--peers: expected some of {list(PEERS_IN[asked.norm])}, got {sorted(unknown)}")
    if asked.reference and not (asked.models and asked.cifar10):
        parser.error("--reference needs --models and --cifar10")
    asked.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=130, highlight=False)
    console.print(", ".join(machine()), "", sep="\n", soft_wrap=True)
    for subject in subjects(asked):
        stored = [
            Outcome(attack=f"{name}, stored" if name != EXACT else name, distance=distance,
                    gradients=STORED_GRADIENTS.get(name))
            for name, distance in subject.known.items()
        ]  # fmt: skip
        names = (*peers, *(f"robustcheck {budget}" for budget in asked.budgets))
        outcomes = stored + [kept(subject, name, asked.out) for name in names]
        norm = "" if subject.norm == "l2" else f", {subject.norm.capitalize()}"
        console.print(f"### {subject.name}{norm}, {len(subject.x)} images", end="\n\n")
        console.print(table(outcomes), *frontier(outcomes), "", sep="\n", soft_wrap=True)


def subjects(asked: argparse.Namespace) -> Iterator[Subject]:
    """Those that are asked for."""
    wanted = set(asked.only) if asked.only else None
    yield from regressions(asked, wanted)
    yield from exact_nets(asked, wanted)
    if asked.reference:
        yield from shared(asked, wanted)


def machine() -> Iterator[str]:
    """What the figures depend on."""
    yield f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"{package}: not installed"


if __name__ == "__main__":
    main()
