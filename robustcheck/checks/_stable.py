"""Whether an answer is a sample's own: the same again, alone, in another order and in other company."""

from __future__ import annotations

import numpy as np

from robustcheck.arrays import F32, I64, Mask
from robustcheck.checks._given import Given
from robustcheck.errors import ModelRefused
from robustcheck.models import Classifier, logits_of, own_labels
from robustcheck.results import Check, Status
from robustcheck.text import option, percent

# scores [N, K] and decisions [N]
Answers = tuple[F32, I64]
# samples that are asked about
_LOOKED_AT = 128
# scores that differ by more, in shares of the largest, are others: of the same batch, and of another, where
# half precision rounds
_SAME_BATCH, _OTHER_BATCH = 1e-3, 0.05
# samples that are asked about before an audit begins, and how many of them may get other answers
_BEFORE, _MOST_OTHERS = 32, 0.1
# times that a model is asked the same before it is not taken for random
_ASKED_AGAIN = 12


def stable(given: Given) -> Check:
    """Ask the same of the model in other ways; random layers and batch statistics give other answers."""
    there = np.flatnonzero(~given.result.is_(Status.NON_FINITE))[:_LOOKED_AT]
    return stability(given.classifier, given.result.rows[there])


def stability(classifier: Classifier, rows: F32) -> Check:
    """The check on rows ``[N, D]``."""
    first = _answers(classifier, rows)
    if _differ(first, _answers(classifier, rows), _SAME_BATCH).any():
        # what is random is so in every company: asked some more, so that few changes are seen too
        changed = np.zeros(len(rows), bool)
        for _ in range(3):
            changed |= _labels_differ(first, _answers(classifier, rows))
        detail = (
            f"other answers for the same input: {int(changed.sum())} of {len(rows)}; the model is random: is "
            f"dropout, noise or random resizing left on inside a layer? {option('votes', '16')} lets the "
            "majority of draws decide"
        )
        return Check(id="stable", outcome="FAIL", detail=detail)
    order = np.random.default_rng(0).permutation(len(rows))
    back, turned = np.argsort(order), _answers(classifier, rows[order])
    ways = {
        "alone": _answers(classifier, rows, batch_size=1),
        "in another order": (turned[0][back], turned[1][back]),
        "in other company": _in_other_company(classifier, rows),
    }
    apart = {way: _differ(first, again, _OTHER_BATCH) for way, again in ways.items()}
    worst = max(apart, key=lambda way: int(apart[way].sum()))
    count = int(apart[worst].sum())
    if count:
        detail = (
            f"other answers for the same input when it is asked about {worst}: {count} of {len(rows)}; rows "
            "of a batch influence one another: are batch statistics used in inference?"
        )
        return Check(id="stable", outcome="FAIL", detail=detail)
    detail = f"the answers for {len(rows)} samples are the same again, alone, in another order and company"
    if classifier.options.votes is not None:
        detail += f", each the majority of {classifier.options.votes} draws"
    return Check(id="stable", outcome="PASS", detail=detail)


def require_own_rows(classifier: Classifier, rows: F32) -> None:
    """Refuse a model whose answers for the first of rows ``[N, D]`` depend on the others of their batch.

    A random model is not refused: its answers change in the same company too.

    Raises:
        ModelRefused: they do for more than a tenth of the rows.
    """
    rows = rows[:_BEFORE]
    first = _answers(classifier, rows)
    share = float(np.mean(_differ(first, _in_other_company(classifier, rows), _OTHER_BATCH)))
    if share <= _MOST_OTHERS or _is_random(classifier, rows, first):
        return
    raise ModelRefused(
        f"{classifier.name}: expected answers that are each sample's own, got other ones for "
        f"{percent(share)} of {len(rows)} samples in the company of others: rows of a batch influence one "
        "another; are batch statistics used in inference?"
    )


def _is_random(classifier: Classifier, rows: F32, first: Answers) -> bool:
    """Whether answers change with nothing but the time; few draws may be alike by chance."""
    again = (_answers(classifier, rows) for _ in range(_ASKED_AGAIN))
    return any(_differ(first, answers, _SAME_BATCH).any() for answers in again)


def _answers(classifier: Classifier, rows: F32, batch_size: int = 256) -> Answers:
    return (
        logits_of(classifier, rows, batch_size=batch_size),
        own_labels(classifier, rows, batch_size=batch_size),
    )


def _in_other_company(classifier: Classifier, rows: F32) -> Answers:
    """Each half of the rows together with copies of one row instead of the other half."""
    halves = np.array_split(np.arange(len(rows)), 2)
    parts = []
    for half in halves:
        if not len(half):
            continue
        filled = np.concatenate(
            [rows[half], np.repeat(rows[half[:1]], max(len(rows) - len(half), 1), axis=0)]
        )
        parts.append([answer[: len(half)] for answer in _answers(classifier, filled)])
    scores, labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return scores, labels


def _labels_differ(first: Answers, again: Answers) -> Mask:
    differ: Mask = first[1] != again[1]
    return differ


def _differ(first: Answers, again: Answers, limit: float) -> Mask:
    """Where scores differ by more than rounding, ``[N]``."""
    size = np.maximum(np.abs(first[0]).max(axis=1), np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first[0] - again[0]).max(axis=1) / size
    differ: Mask = apart > limit
    return differ
