"""Section 4 of Szegedy et al. 2013, "Intriguing properties of neural networks", again on MNIST.

    python examples/szegedy2013/run.py [--mnist mnist.npz]

Trains the networks of tables 1 and 3, finds minimal distortions (method boundary; method szegedy with
robustcheck's scale of the loss, and with ``loss_scale=1.0``, the letter of the paper), and prints tables 1 to
4 beside the paper's figures. Models and examples are kept in ``--out``, so that a run that was stopped goes
on. ``--quick`` shows in a minute that it works; its figures mean nothing. The README beside this file has
those of a full run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paper
from networks import CROSS_MODEL, CROSS_SET, Net, trained

import robustcheck as rc
from robustcheck import measures, report

METHODS = {
    "boundary": rc.SearchOptions(),
    "szegedy": rc.SearchOptions(method="szegedy"),
    "szegedy, loss_scale 1": rc.SearchOptions(method="szegedy", loss_scale=1.0),
}
MAGNIFIED = 0.1
DRAWS = 5
Arrays = tuple[np.ndarray, np.ndarray]


def load_mnist(path: Path | None) -> tuple[Arrays, Arrays]:
    """Training and test images ``[N, 28, 28]`` in [0, 1], with their classes."""
    if path is None:
        from keras.datasets import mnist

        train, test = mnist.load_data()
    else:
        with np.load(path) as stored:
            train, test = ((stored[f"x_{part}"], stored[f"y_{part}"]) for part in ("train", "test"))
    return tuple((x / np.float32(255), y.astype(np.int64)) for x, y in (train, test))


def results(
    models: Mapping[str, rc.Classifier], data: Arrays, method: str, folder: Path, options: rc.SearchOptions
) -> dict[str, rc.SearchResult]:
    """What a method finds for each model, from ``folder`` where it is there already."""
    found = {}
    for name, classifier in models.items():
        path = folder / f"{method} {name}.npz"
        if not path.exists():
            rc.minimal_distortion(classifier, *data, options=options).save(path)
        found[name] = rc.SearchResult.load(path)
    return found


def error(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Error in per cent."""
    return 100 * float(np.mean(model.predict(x, batch_size=1000, verbose=0).argmax(axis=1) != y))


def distortion(result: rc.SearchResult) -> str:
    """Mean RMS of the examples found, with its interval, and how many were not."""
    mean = measures.mean(result.rms[result.found])
    missing = int(result.correct.sum() - result.found.sum())
    text = f"{mean.value:.4f} ({mean.low:.4f} to {mean.high:.4f})"
    return text + (f", {missing} not found" if missing else "")


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    print(f"\n### {title}\n")
    rule = ["---"] + ["---:"] * (len(header) - 1)
    for cells in (header, rule, *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


def cell(rate: float | None, low: float | None, high: float | None, of_paper: float | None) -> str:
    """Rate with its interval in per cent, and the paper's beside it."""
    if rate is None:
        return "-"
    text = f"{100 * rate:.1f} ({100 * low:.0f} to {100 * high:.0f})"
    return text if of_paper is None else f"{text} [{of_paper:g}]"


def transfer_table(title: str, rows: Sequence[Any], names: Sequence[str], known: Mapping[str, Any]) -> None:
    """Error on the examples, and on noise of their RMS, each row with n and RMS."""
    lines = []
    for row in rows:
        of_paper = known.get(row.made_for, ())
        padded = [*of_paper, *[None] * (len(names) - len(of_paper))]
        values = zip(row.error, row.low, row.high, padded, strict=True)
        shown = f"{row.rms:.4f}" if row.rms is not None else "-"
        lines.append([row.made_for, str(row.n), shown, *(cell(*value) for value in values)])
        noise = [cell(rate, rate, rate, None).partition(" ")[0] for rate in row.noise_error]
        shown = f"{row.noise_rms:.4f}" if row.noise_rms is not None else "-"
        lines.append(["noise of that RMS", str(row.n), shown, *noise])
    table(title, ["made for", "n", "RMS", *names], lines)


def noise_rows(
    models: Mapping[str, Any], data: Arrays, sizes: Mapping[float, Sequence[float]]
) -> list[list[str]]:
    """Error on all images with Gaussian noise, clipped; several draws."""
    x, y = data
    lines = []
    for size, of_paper in sizes.items():
        noisy = [
            np.clip(x + size * np.random.default_rng(draw).standard_normal(x.shape), 0, 1).astype(np.float32)
            for draw in range(DRAWS)
        ]
        reached = np.mean([np.sqrt(np.mean((point - x) ** 2)) for point in noisy])
        cells = []
        for i, model in enumerate(models.values()):
            rate = np.mean([error(model, point, y) for point in noisy])
            cells.append(f"{rate:.1f}" + (f" [{of_paper[i]:g}]" if i < len(of_paper) else ""))
        lines.append([f"Gaussian noise, sd {size:g}", str(len(x)), f"{reached:.4f}", *cells])
    return lines


def save_figures(found: Mapping[str, rc.SearchResult], folder: Path) -> None:
    """For each model original, perturbation around mid-grey, example: the nearest of three classes."""
    folder.mkdir(exist_ok=True)
    for name, result in found.items():
        order = np.flatnonzero(result.found)[np.argsort(result.l2[result.found])]
        chosen = [
            next(i for i in order if result.label[i] == label) for label in np.unique(result.label[order])[:3]
        ]
        strips = []
        largest = max(float(np.abs(result.adversarial[i] - result.input[i]).max()) for i in chosen)
        for i in chosen:
            r = 0.5 + 0.5 * (result.adversarial[i] - result.input[i]) / largest
            strips.append(np.concatenate([result.input[i], r, result.adversarial[i]], axis=1))
        path = folder / f"{name.replace(' ', '_').replace(',', '')}.png"
        path.write_bytes(report.image_png(np.concatenate(strips), 0.0, 1.0))
        print(f"* {path.name}: perturbation times {0.5 / largest:.3g} around mid-grey")


def cross_model(train: Arrays, test: Arrays, asked: argparse.Namespace) -> None:
    """Tables 1 and 2."""
    models = {net.name: _trained(net, train, asked) for net in CROSS_MODEL}
    classifiers = {name: rc.wrap(model, name=name) for name, model in models.items()}
    chosen = np.random.default_rng(0).permutation(len(train[0]))[: asked.images]
    sample = train[0][chosen], train[1][chosen]
    methods = [method for method in METHODS if not (asked.quick and method == "szegedy")]
    found = {
        method: results(classifiers, sample, method, asked.out, _options(METHODS[method], asked))
        for method in methods
    }
    lines = []
    for name, model in models.items():
        of_paper = paper.TABLE_1.get(name)
        lines.append([name, f"{error(model, *train):.2f}", f"{error(model, *test):.2f}"]
                     + [distortion(found[method][name]) for method in methods]
                     + [" / ".join(f"{share:g}" for share in of_paper) if of_paper else "-"])  # fmt: skip
    header = ["model", "train error", "test error", *methods, "paper: train / test / distortion"]
    table("Table 1: error in per cent, average minimum distortion (RMS, training images)", header, lines)
    options = rc.TransferOptions(rms=(MAGNIFIED,), draws=DRAWS)
    for method in ("boundary", "szegedy, loss_scale 1"):
        matrix = rc.transfer_matrix(classifiers, *sample, found[method], transfer=options)
        title = f"Table 2: error of the column's model in per cent [paper], method {method}"
        transfer_table(title, matrix.rows, matrix.models, paper.TABLE_2)
        if method == "boundary":
            title = f"The same, every perturbation scaled to RMS {MAGNIFIED}"
            transfer_table(title, matrix.equal[0].rows, matrix.models, {})
    clean = ["clean", str(len(sample[0])), "0", *(f"{100 * share:.1f}" for share in matrix.clean_error)]
    rows = [clean, *noise_rows(models, sample, paper.TABLE_2_NOISE)]
    table("Table 2, noise rows [paper]", ["", "n", "RMS", *matrix.models], rows)
    print("\n### Figures\n")
    save_figures(found["boundary"], asked.out / "figures")


def cross_set(train: Arrays, test: Arrays, asked: argparse.Namespace) -> None:
    """Tables 3 and 4."""
    x, y = train
    halves = dict(zip(("P1", "P2"), rc.split_halves(y, seed=0), strict=True))
    parts = {part: (x[at], y[at]) for part, at in halves.items()}
    models = {net.name: _trained(net, parts[net.part], asked) for net in CROSS_SET}
    classifiers = {name: rc.wrap(model, name=name) for name, model in models.items()}
    sample = test[0][: asked.images], test[1][: asked.images]
    found = results(classifiers, sample, "halves", asked.out, _options(METHODS["boundary"], asked))
    lines = []
    for net in CROSS_SET:
        errors = [f"{error(models[net.name], *part):.2f}" for part in (*parts.values(), test)]
        known = " / ".join(f"{share:g}" for share in paper.TABLE_3[net.name])
        lines.append([f"{net.name} on {net.part}", *errors, distortion(found[net.name]), known])
    header = ["model", "error P1", "error P2", "test error", "distortion", "paper"]
    table("Table 3: error in per cent, average minimum distortion (RMS, test images)", header, lines)
    options = rc.TransferOptions(rms=(MAGNIFIED,), draws=DRAWS)
    matrix = rc.transfer_matrix(classifiers, *sample, found, transfer=options)
    title = "Table 4: error of the column's model in per cent [paper]"
    transfer_table(title, matrix.rows, matrix.models, paper.TABLE_4)
    title = f"Table 4, amplified to RMS {MAGNIFIED} [paper]"
    transfer_table(title, matrix.equal[0].rows, matrix.models, paper.TABLE_4_MAGNIFIED)
    clean = ["clean", str(len(sample[0])), "0", *(f"{100 * share:.1f}" for share in matrix.clean_error)]
    rows = [clean, *noise_rows(models, sample, paper.TABLE_4_NOISE)]
    table("Table 4, noise rows [paper]", ["", "n", "RMS", *matrix.models], rows)


def _trained(net: Net, data: Arrays, asked: argparse.Namespace) -> Any:
    return trained(net, *data, asked.out, asked.epochs)


def _options(options: rc.SearchOptions, asked: argparse.Namespace) -> rc.SearchOptions:
    if not asked.quick:
        return options
    return rc.SearchOptions(method=options.method, loss_scale=options.loss_scale, budget=60)


def main() -> None:
    """Train, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--mnist", type=Path, help="x_train, y_train, x_test, y_test; default: keras.datasets"
    )
    parser.add_argument("--out", type=Path, default=Path("szegedy2013-results"))
    parser.add_argument("--images", type=int, default=360, help="searched a model, right or not")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument(
        "--quick", action="store_true", help="2000 training images, 1 epoch, 24 images, two methods"
    )
    asked = parser.parse_args()
    train, test = load_mnist(asked.mnist)
    if asked.quick:
        train, asked.images, asked.epochs = (train[0][:2000], train[1][:2000]), min(asked.images, 24), 1
    asked.out.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    cross_model(train, test, asked)
    cross_set(train, test, asked)
    print(f"\n{(time.perf_counter() - begun) / 60:.0f} minutes, less what was there already")


if __name__ == "__main__":
    main()
