"""One sample of a stored report, searched again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robustcheck import intake
from robustcheck.auditing._load import for_reference, recipe_like
from robustcheck.config import FileOptions, ModelOptions, SearchedNorm, SearchOptions
from robustcheck.distortion import attack, facts_of
from robustcheck.errors import ConfigError, ModelRefused, ReportRefused, one_line
from robustcheck.models import Classifier, own_labels
from robustcheck.progress import OnProgress, renamed
from robustcheck.remedies import walk_on
from robustcheck.results import AuditReport, SearchResult, Status
from robustcheck.samples import Samples
from robustcheck.text import option

# two searches of one sample differ by rounding, which a long walk amplifies
_SAME = 0.01


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A sample as it is stored, and as the search ends today.

    Attributes:
        index: row in the source.
        norm: that was searched.
        status, distance, predicted: as stored.
        status_now, distance_now, predicted_now: of the search made again.
        stored_holds: whether the stored example is misclassified today; None where none was found.
        same_model: whether the model file is the one of the report; None where that cannot be told.
        reproduces: whether the status is the same, the stored example holds, and the distances are within
            1 % of each other.
    """

    index: int
    norm: SearchedNorm
    status: str
    distance: float | None
    predicted: int
    status_now: str
    distance_now: float | None
    predicted_now: int
    stored_holds: bool | None
    same_model: bool | None
    reproduces: bool

    def to_dict(self) -> dict[str, Any]:
        """As plain values, where a distance goes by the name of its norm."""
        names = {"distance": self.norm, "distance_now": f"{self.norm}_now"}
        return {names.get(name, name): value for name, value in vars(self).items()}


def replay(
    report: AuditReport,
    row: int,
    model: str | None,
    on_progress: OnProgress,
    *,
    norm: SearchedNorm | None = None,
    imports: tuple[str, ...] = (),
    files: FileOptions | None = None,
) -> Replay:
    """Search one sample of a report again, under the same conditions, in its first norm or another.

    Without ``model`` the report's own file is loaded, and only if it is a model file whose digest is the
    report's: a report may come from anywhere, and must not say which code to run. ``imports``: modules with
    the user's own layers; ``files``: how far the model's file is believed.

    Raises:
        ModelRefused: the model is not there, is another one, or cannot be told without ``model``.
        ReportRefused: the report's settings make no sense.
    """
    loaded = intake.load_model(model if model is not None else _own_file(report), None, imports, files)
    same = None if loaded.sha256 is None else loaded.sha256 == report.model.sha256
    classifier = classifier_like(report, loaded.model)
    stored = report.in_norm(norm)
    samples = Samples(
        index=stored.index,
        rows=stored.rows,
        label=stored.label,
        finite=~stored.is_(Status.NON_FINITE),
        notes=(),
    )
    facts, options = facts_of(classifier, samples), _options(report, stored.norm)
    on_progress = renamed(on_progress, "search again")
    again = attack(
        classifier,
        samples.take(np.array([row])),
        stored.target[[row]],
        options=options,
        batch_size=1,
        facts=facts,
        on_progress=on_progress,
    )
    if again.distance[0] > (1 + _SAME) * stored.distance[row]:
        # what the audit did where the search did not see
        again = walk_on(classifier, again, np.flatnonzero(again.correct), facts, options, on_progress)
    holds = _holds(classifier, stored, row)
    status, status_now = str(stored.status[row]), str(again.status[0])
    before, after = float(stored.distance[row]), float(again.distance[0])
    close = before == after or abs(after - before) <= _SAME * before
    return Replay(
        index=int(stored.index[row]),
        norm=stored.norm,
        status=status,
        distance=before if np.isfinite(before) else None,
        predicted=int(stored.predicted[row]),
        status_now=status_now,
        distance_now=after if np.isfinite(after) else None,
        predicted_now=int(again.predicted[0]),
        stored_holds=holds,
        same_model=same,
        reproduces=status == status_now and close and holds is not False,
    )


def _own_file(report: AuditReport) -> str:
    path, digest = report.model.path, report.model.sha256
    if path is None or digest is None:
        raise ModelRefused(
            f"{report.model.name}: expected {option('model')}: the report is on a model that is not a file"
        )
    if not (Path(path).suffix.lower() in intake.MODEL_SUFFIXES and Path(path).is_file()):
        raise ModelRefused(
            f"{path}: expected the model of the report, got nothing there; name it with {option('model')}"
        )
    if intake.sha256(Path(path)) != digest:
        raise ModelRefused(
            f"{path}: expected the model of the report (SHA-256 {digest[:12]}...), got another file; "
            f"{option('model')} replays on it all the same"
        )
    return path


def classifier_like(report: AuditReport, model: Any) -> Classifier:
    """Wrap a model under the conditions of a report."""
    sides = report.conditions
    # a classifier that a factory wrapped itself brings its own box
    options = for_reference(_model_options(report), model)
    live = intake.LoadedModel(model=model, name=None, path=None, sha256=None)
    classifier = recipe_like(live, sides, options).wrapped()
    width = report.samples.input[0].size
    if classifier.layout.width != width or classifier.classes != report.model.classes:
        raise ModelRefused(
            f"{classifier.name}: expected {width} features and {report.model.classes} classes as in the "
            f"report, got {classifier.layout.width} and {classifier.classes}"
        )
    return classifier


def _model_options(report: AuditReport) -> ModelOptions:
    """How the report's model was read."""
    stored: dict[str, Any] = dict(report.model.options)
    try:
        said: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        return ModelOptions(**({"input_shape": tuple(report.model.input_shape)} | said))
    except (TypeError, ConfigError) as error:
        raise ReportRefused(f"report: expected how its model was read: {one_line(error)}") from error


def _options(report: AuditReport, norm: SearchedNorm) -> SearchOptions:
    try:
        settings: dict[str, Any] = dict(report.provenance.options)
        return SearchOptions(**settings, norm=norm)
    except (TypeError, ConfigError) as error:
        raise ReportRefused(f"report: expected the settings of a search: {one_line(error)}") from error


def _holds(classifier: Classifier, stored: SearchResult, row: int) -> bool | None:
    if not stored.found[row]:
        return None
    now = stored.label.copy()
    now[row] = own_labels(classifier, stored.points[[row]])[0]
    return bool(stored.reached(now)[row])
