"""What an audit would see of a model and its data: a line for each thing that may be odd, no search."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from robustcheck import checks, intake, numerics
from robustcheck.arrays import F32
from robustcheck.auditing._load import load_data, load_models, wrap_subject
from robustcheck.config import AuditConfig
from robustcheck.distortion import default_batch_size
from robustcheck.errors import RobustcheckError
from robustcheck.models import JUMPS, Classifier, own_labels, random_rows
from robustcheck.results import Check
from robustcheck.samples import Samples, as_samples
from robustcheck.text import option, percent

# samples that are looked at
_SAMPLES = 200
# operations through which no gradient passes
_BLOCKING = ("StopGradient", "PreventGradient", *JUMPS)
# forward passes beside a gradient, as the default search makes them
_FORWARDS = 0.3
_NAMES = {"labels": "accuracy", "inputs": "range of the values", "stable": "stability"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do if it is not as it should be."""

    outcome: Literal["PASS", "WARN", "FAIL", "SKIP"]
    what: str
    detail: str


def examine(config: AuditConfig) -> Iterator[Finding]:
    """Look at the model and the data of a configuration, a finding after the other; a refusal ends it.

    ``config.data`` may be None: then the model is looked at alone, on random values in its box.
    """
    config = replace(config, references=(), limit=min(config.limit or _SAMPLES, _SAMPLES))
    try:
        (loaded,) = load_models(config, lambda *_: None)
        yield _model(loaded)
        data = None if config.data is None else load_data(config, loaded.model)
        classifier = wrap_subject(config, loaded, data)
        yield from _reading(classifier)
        yield _precision(loaded.model)
        yield _gradient(classifier)
        rows = random_rows(classifier)
        if data is not None:
            label = None if config.labels == "model" else data.y
            samples = as_samples(classifier, data.x, label, data_range=config.data_range, index=data.index)
            yield from _data(classifier, samples, data, labelled=label is not None)
            rows = samples.rows[samples.finite]
        yield _of(checks.stability(classifier, rows))
        yield _cost(classifier, rows, config)
    except RobustcheckError as error:
        yield Finding("FAIL", "refused", str(error))


def _of(check: Check) -> Finding:
    return Finding(check.outcome, _NAMES[check.id], check.detail)


def _model(loaded: intake.LoadedModel) -> Finding:
    model = loaded.model
    count = getattr(model, "count_params", None)
    sizes = f", {int(count()):,} parameters" if count and getattr(model, "built", True) else ""
    return Finding("PASS", "model", f"{type(model).__module__.split('.')[0]} {type(model).__name__}{sizes}")


def _reading(classifier: Classifier) -> Iterator[Finding]:
    """Inputs, box and head as they were understood."""
    layout = classifier.layout
    moving = [name for name, moves in zip(layout.names, layout.perturbed, strict=True) if moves]
    which = (
        f"; {', '.join(moving)} may change, {option('perturb')} chooses" if layout.kind != "single" else ""
    )
    batch = f", in batches of {layout.batch}" if layout.batch else ""
    yield Finding("PASS", "inputs", f"{layout.describe()}{batch}{which}")
    frozen = classifier.features - int(classifier.free.sum())
    held = f", {frozen} of {classifier.features} features may not change" if frozen else ""
    span = f"{classifier.cost.min():g} to {classifier.cost.max():g}"
    costs = f", a change of a feature by 1 costs {span}" if classifier.priced else ""
    yield Finding("PASS", "box", f"{classifier.box}{held}{costs}; {option('box')} sets it")
    blind = classifier.ends_in.recovered is False
    advice = (
        "; scores before it are out of reach, so where it saturates distances come out too long: return "
        f"logits, and say {option('head', 'logits')}"
        if blind
        else f"; {option('head')} says it where this is wrong"
    )
    yield Finding(
        "WARN" if blind else "PASS", "head", f"{classifier.head}, {classifier.classes} classes{advice}"
    )


def _precision(model: Any) -> Finding:
    policies = sorted({_policy(layer) for layer in (*getattr(model, "layers", ()), model)} - {""})
    half = [name for name in policies if "16" in name]
    detail = f"layers compute in {', '.join(policies)}" if policies else "the model does not tell"
    if half:
        detail += "; examples get a larger lead, since half precision rounds from batch to batch"
    return Finding("WARN" if half else "PASS", "precision", detail)


def _policy(layer: Any) -> str:
    return str(getattr(getattr(layer, "dtype_policy", None), "name", ""))


def _gradient(classifier: Classifier) -> Finding:
    """Operations on the way that no gradient passes, with the layer that their name tells."""
    operations = getattr(classifier.logits, "operations", [])
    found = [f"{kind} in {name.rpartition('/')[0] or name}" for kind, name in operations if kind in _BLOCKING]
    if not found:
        return Finding(
            "PASS", "gradient", "it reaches the inputs, and no operation in sight blocks a part of it"
        )
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    detail = (
        f"{', '.join(found[:3])}{more}: no gradient passes there; an audit holds slopes against the scores "
        "and, where they mislead, follows those of what is computed (robustcheck help trust)"
    )
    return Finding("WARN", "gradient", detail)


def _data(
    classifier: Classifier, samples: Samples, data: intake.LoadedData, *, labelled: bool
) -> Iterator[Finding]:
    total = len(data.strata) if data.strata is not None else len(samples)
    notes = "".join(f"; {note}" for note in samples.notes)
    taken = f"{len(samples)} of {total} samples" if total > len(samples) else f"{len(samples)} samples"
    yield Finding("PASS", "data", f"{taken}{notes}")
    right = own_labels(classifier, samples.rows[samples.finite]) == samples.label[samples.finite]
    if labelled:
        classes, counts = np.unique(samples.label, return_counts=True)
        # in few samples a class may be missing by chance
        lacking = len(classes) < classifier.classes and len(samples) >= 5 * classifier.classes
        outcome: Literal["PASS", "WARN"] = "WARN" if lacking else "PASS"
        there = f"{len(classes)} of the model's {classifier.classes} classes"
        spread = f"{there}, {counts.min()} to {counts.max()} samples each"
        yield Finding(outcome, "labels", spread)
        check = checks.better_than_chance(int(right.sum()), len(right), classifier.classes)
        yield Finding(check.outcome, "accuracy", f"{percent(float(right.mean()))}: {check.detail}")
    yield _of(checks.filling(classifier, samples.rows[samples.finite]))


def _cost(classifier: Classifier, rows: F32, config: AuditConfig) -> Finding:
    """Seconds of a gradient and of a forward pass, and what an audit would take of them."""
    batch = config.batch_size or default_batch_size(classifier)
    x = tf.constant(rows[np.arange(batch) % len(rows)])

    graph = numerics.traced(tf.TensorSpec([None, classifier.layout.width]))(
        lambda rows: numerics.with_gradient(lambda z: classifier.logits(z)[:, 0], rows)
    )

    def gradient() -> Any:
        return graph(x)[1].numpy()

    before = _peak()
    slope, forward = _seconds(gradient), _seconds(lambda: classifier.logits(x).numpy())
    memory = _peak() - before
    most = sum(options.evaluations for options in config.searches)
    each = most * (slope + _FORWARDS * forward) / batch
    detail = (
        f"a gradient of {batch} samples takes {1000 * slope:.3g} ms, a forward pass {1000 * forward:.3g} ms, "
        f"and {memory >> 20} MiB more of memory; at {most} gradients a sample an audit's model calls take "
        f"about {each:.2g} s a sample, {each * 1000 / 60:.2g} min for 1,000, and the search some more; "
        f"{option('budget')} and {option('limit')} make it shorter"
    )
    return Finding("PASS", "effort", detail)


def _seconds(call: Any, most: float = 1.0) -> float:
    """The least of up to five calls, after one that may still compile."""
    call()
    taken: list[float] = []
    while len(taken) < 5 and sum(taken) < most:
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def _peak() -> int:
    """Largest memory of this process so far, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
