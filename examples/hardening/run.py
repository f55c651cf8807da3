"""Training with pools of adversarial examples on MNIST: Szegedy et al. 2013, section 4.2, again.

    python examples/hardening/run.py [--mnist mnist.npz] [--seeds 5] [--out results]

Trains the 100-100-10 network of the paper with weight decay alone, with dropout, with a pool at the input,
with pools at every layer, and with the controls: pools of Gaussian noise as long as the adversarial examples,
and as many optimiser steps on clean activations. Five seeds each, the same for all. Every run is kept in
``--out`` after each epoch, so that a run that was stopped goes on; ``--only METHOD`` and ``--seed N`` do a
part. Then prints test error with intervals, each method against weight decay alone (t interval over seeds,
McNemar), and audits of the trained networks. ``--validation`` trains on 50,000 images and reports the error
on the other 10,000: what the settings were chosen by. ``--quick`` shows in a minute that it works; its
figures mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from methods import METHODS, Method, network

import robustcheck as rc
from robustcheck.errors import RobustcheckWarning
from robustcheck.hardening import mcnemar, paired_mean
from robustcheck.report import read_document

Arrays = tuple[np.ndarray, np.ndarray]
REFERENCE = "decay"


def load_mnist(path: Path | None, *, validation: bool) -> tuple[Arrays, Arrays]:
    """What is trained on and what the error is told of, ``[N, 28, 28]`` in [0, 1] with classes."""
    if path is None:
        from keras.datasets import mnist

        train, test = mnist.load_data()
    else:
        with np.load(path) as stored:
            train, test = ((stored[f"x_{part}"], stored[f"y_{part}"]) for part in ("train", "test"))
    train, test = (((x / np.float32(255)).astype(np.float32), y.astype(np.int64)) for x, y in (train, test))
    if validation:
        order = np.random.default_rng(0).permutation(len(train[0]))
        train, test = (tuple(part[rows] for part in train) for rows in (order[:-10_000], order[-10_000:]))
    return train, test


def wrong(model: Any, data: Arrays) -> np.ndarray:
    """Which samples a model gets wrong."""
    return model.predict(data[0], batch_size=1000, verbose=0).argmax(axis=1) != data[1]


def run(method: Method, seed: int, data: tuple[Arrays, Arrays], asked: argparse.Namespace) -> Path:
    """Train one network, from where it stands, and keep it with its errors; returns the folder."""
    folder = asked.out / method.name / f"seed{seed}"
    if (folder / "result.json").exists():
        return folder
    (x, y), test = data
    steps = asked.epochs * -(-len(x) // method.batch_size)
    model = network(method, seed, steps)
    warnings.simplefilter("ignore", RobustcheckWarning)  # some methods keep no pool, as they are meant to
    done = rc.harden(
        model,
        x,
        y,
        layers=method.layers,
        pool=dataclasses.replace(method.pool, seed=seed),
        epochs=asked.epochs,
        batch_size=method.batch_size,
        checkpoint=folder,
    )
    plain = keras.Model(model.inputs, model.outputs, name=f"{method.name}_{seed}".replace(" ", "_"))
    plain.save(folder / "model.keras")
    np.save(folder / "wrong.npy", wrong(model, test))
    runs = {
        "test_error": float(wrong(model, test).mean()),
        "train_error": float(wrong(model, (x, y)).mean()),
        "seconds": done.seconds,
        "making_seconds": done.making_seconds,
        "step_seconds": done.step_seconds,
        "extra_steps": done.extra_steps,
        "pools": [dataclasses.asdict(pool) for pool in done.pools],
    }
    (folder / "result.json").write_text(json.dumps(runs, indent=1))
    (folder / "hardening.npz").unlink()  # the run is over
    print(f"{method.name} seed {seed}: {100 * runs['test_error']:.2f} %, {done.seconds:.0f} s", flush=True)
    return folder


def audited(method: Method, seed: int, test: Arrays, asked: argparse.Namespace) -> Path:
    """Audit a trained network on the first test images; returns the report's folder."""
    folder = asked.out / method.name / f"seed{seed}"
    if not (folder / "report" / "report.json").exists():
        model = keras.saving.load_model(folder / "model.keras", compile=False)
        other = asked.out / REFERENCE / f"seed{seed + 1 if seed + 1 < asked.seeds else 0}" / "model.keras"
        references = {"other": keras.saving.load_model(other, compile=False)}
        x, y = (part[: asked.audit] for part in test)
        options = rc.SearchOptions(budget=60 if asked.quick else None)
        rc.audit(model, x, y, references=references, options=options, out=folder / "report")
    return folder / "report"


def table(header: list[str], rows: list[list[str]]) -> None:
    """A Markdown table."""
    print()
    for cells in (header, ["---"] + ["---:"] * (len(header) - 1), *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


def percent(mean: float, low: float, high: float) -> str:
    """Mean with its interval, in points of error."""
    return f"{100 * mean:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def errors_table(methods: list[Method], asked: argparse.Namespace) -> None:
    """Test error over seeds, and against weight decay alone."""
    seeds = range(asked.seeds)
    results = {
        method.name: [
            json.loads((asked.out / method.name / f"seed{s}" / "result.json").read_text()) for s in seeds
        ]
        for method in methods
    }
    masks = {
        method.name: np.stack([np.load(asked.out / method.name / f"seed{s}" / "wrong.npy") for s in seeds])
        for method in methods
    }
    rows = []
    for name, runs in results.items():
        errors = [line["test_error"] for line in runs]
        base = [result["test_error"] for result in results[REFERENCE]]
        mean = paired_mean(errors)
        less = paired_mean([a - b for a, b in zip(errors, base, strict=True)])
        split = mcnemar(masks[name].reshape(-1), masks[REFERENCE].reshape(-1))
        seconds, making = (
            float(np.mean([line[key] for line in runs])) for key in ("seconds", "making_seconds")
        )
        rows.append(
            [
                name,
                percent(mean.mean, mean.low, mean.high),
                f"{100 * np.mean([line['train_error'] for line in runs]):.2f}",
                "-" if name == REFERENCE else percent(less.mean, less.low, less.high),
                "-" if name == REFERENCE else f"{split.only_second} : {split.only_first} (p {split.p:.1g})",
                f"{seconds:.0f} ({making:.0f})",
            ]
        )
    head = [
        "method",
        "test error %",
        "training error %",
        "less decay alone",
        "mended : broken",
        "seconds (making)",
    ]
    table(head, rows)


def audits_table(methods: list[Method], test: Arrays, asked: argparse.Namespace) -> None:
    """Robustness of the first seeds, by a full audit."""
    rows = []
    for method in methods:
        reports = [read_document(audited(method, seed, test, asked)) for seed in range(asked.audited)]
        names = ("distortion.l2.median", "accuracy.clean", "transfer.max")
        values = [[report.measures[name].value for report in reports] for name in names]
        rows.append([method.name, *(f"{np.mean(value):.4f}" for value in values)])
    table(["method", "median L2", "clean accuracy", "transfer to decay, other seed"], rows)


def main() -> None:
    """Train what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mnist", type=Path, help="mnist.npz; else Keras' own copy")
    parser.add_argument("--out", type=Path, default=Path("hardening-results"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, help="train this seed alone, and print nothing")
    parser.add_argument("--only", action="append", help="train this method alone, and print nothing")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--audit", type=int, default=500, help="test images of an audit")
    parser.add_argument("--audited", type=int, default=2, help="seeds that are audited")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    data = load_mnist(asked.mnist, validation=asked.validation)
    methods = list(METHODS)
    if asked.quick:
        asked.seeds, asked.epochs, asked.audited = 2, 2, 1
        asked.audit = min(asked.audit, 20)
        data = tuple((x[:2000], y[:2000]) for x, y in data)
        methods = [m for m in methods if m.name not in ("dropout", "clean steps")]
        methods = [dataclasses.replace(m, pool=dataclasses.replace(m.pool, warmup=4)) for m in methods]
    seeds = range(asked.seeds) if asked.seed is None else [asked.seed]
    for seed in seeds:
        for method in methods:
            if asked.only is None or method.name in asked.only:
                run(method, seed, data, asked)
    if asked.only is None and asked.seed is None:
        errors_table(methods, asked)
        audits_table(methods, data[1], asked)


if __name__ == "__main__":
    main()
