"""What a test is given: audits of what it names."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustcheck.config import AuditConfig, DeployedOptions, ModelOptions, SearchOptions
from robustcheck.errors import ConfigError, one_line
from robustcheck.measures import MIN_SAMPLES, Metric
from robustcheck.pytest_plugin._audited import TestedAudit
from robustcheck.pytest_plugin._audits import Audits
from robustcheck.pytest_plugin._context import AskingTest
from robustcheck.pytest_plugin._settings import audit_arguments, unknown_argument
from robustcheck.report import write_report

_PROPERTIES = ("accuracy.clean", "attack.found")


class Robustness:
    """The fixture ``robustness`` of one test."""

    def __init__(self, test: AskingTest, audits: Audits) -> None:
        self._test = test
        self._audits = audits
        self._made: list[TestedAudit] = []
        self.passed = False

    def audit(self, model: Any = None, data: Any = None, **settings: Any) -> TestedAudit:
        """Audit a model; once a session for the same model, data and settings.

        Args:
            model: a model file, ``package.module:factory``, a Keras model or a classifier; the marker's when
                None. Files are looked for beside the test, then in pytest's root folder.
            data: a file, folder or ``package.module:function``, ``(x, y)``, a ``tf.data.Dataset`` and what
                else :func:`robustcheck.audit` takes; the marker's when None.
            settings: ``limit``, ``references``, ``box``, ``norms``, ``budget``, ``seed``, ``options`` and
                what else ``robustcheck audit`` takes; ``min_samples``, 30, that must be behind each figure.
                Those of the marker hold where they are not given.

        Raises:
            ConfigError: an argument that makes no sense.
            InputRefused: a model or data that cannot be audited.
            Incomplete: no sample can be attacked.
        """
        __tracebackhide__ = True
        fault = unknown_argument(settings, audit_arguments())
        if fault is not None:
            raise ConfigError(f"robustness.audit: {fault}")
        marked = {name: value for name, value in self._test.marked.items() if name in audit_arguments()}
        chosen = marked | settings
        fewest = chosen.pop("min_samples", MIN_SAMPLES)
        report = self._audits.get(self._config(model, data, chosen))
        made = TestedAudit(report, self._test, len(self._made), fewest)
        self._made.append(made)
        medians = (Metric.distortion(norm, "median").name for norm in report.searches)
        made.record(*_PROPERTIES, *medians)
        return made

    def check_policy(self, policy: Any = None, *, baseline: Any = None) -> None:
        """Audit what the marker names and judge it by a policy, a sub-result a rule.

        Args:
            policy: rules, or the file with them; the marker's or the ini key ``robustness_policy`` when None.
            baseline: report that the policy measures changes against, or its folder; the marker's when None.

        Raises:
            AssertionError: a rule of severity "error" is not met.
        """
        __tracebackhide__ = True
        self.audit().check_policy(policy, baseline=baseline)

    def _config(self, model: Any, data: Any, settings: dict[str, Any]) -> AuditConfig:
        model = self._test.marked.get("model") if model is None else model
        data = self._test.marked.get("data") if data is None else data
        if model is None or data is None:
            missing = "model" if model is None else "data"
            raise ConfigError(f"robustness.audit: expected {missing}, as an argument or of the marker")
        box = settings.get("box")
        if isinstance(box, str | Path) and str(box).endswith(".npz"):
            settings["box"] = Path(self._test.place(box))
        for name in ("class_names", "freeze", "cost"):
            if isinstance(settings.get(name), str | Path):
                settings[name] = Path(self._test.place(settings[name]))
        for name in ("class_names", "transfer_rms", "norms"):
            if isinstance(settings.get(name), list):
                settings[name] = tuple(settings[name])
        if isinstance(settings.get("norms"), str):
            settings["norms"] = (settings["norms"],)
        limits = settings.pop("limit", None), self._test.settings.max_samples
        return AuditConfig(
            model=self._test.place(model),
            data=_whole(self._test.place(data)),
            references=self._models(settings.pop("references", ())),
            deployed=self._deployed(settings),
            model_options=_model_options(settings),
            limit=min((limit for limit in limits if limit is not None), default=None),
            options=self._options(settings),
            **settings,
        )

    def _deployed(self, settings: dict[str, Any]) -> DeployedOptions:
        """Deployed forms with their files' places, and how they take samples, taken out of the settings."""
        named = {
            field.metadata.get("key", field.name): field.name for field in dataclasses.fields(DeployedOptions)
        }
        given = {field: settings.pop(name) for name, field in named.items() if name in settings}
        given["forms"] = self._models(given.get("forms", ()))
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return DeployedOptions(**given)

    def _models(self, given: Any) -> Any:
        """One model, several, or several by name, with their files' places."""
        if isinstance(given, Mapping):
            return {name: self._test.place(model) for name, model in given.items()}
        several = given if isinstance(given, tuple | list) else [given]
        return tuple(self._test.place(model) for model in several)

    def _options(self, settings: dict[str, Any]) -> SearchOptions:
        """``options``, with those given by name over them."""
        given = settings.pop("options", None)
        options = SearchOptions(seed=self._test.settings.seed) if given is None else given
        if not isinstance(options, SearchOptions):
            raise ConfigError(f"options: expected SearchOptions, got {type(options).__name__}")
        names = [field.name for field in dataclasses.fields(SearchOptions)]
        over = {name: settings.pop(name) for name in names if name in settings}
        return dataclasses.replace(options, **over)

    def unchecked(self) -> str | None:
        """Why a test that passed checked nothing, if so."""
        if "policy" in self._test.marked and not self._test.judged:
            return "the policy of the marker was not judged: call robustness.check_policy()"
        if any(audit.checked for audit in self._made):
            return None
        if sys.flags.optimize and self._made:
            return "python -O takes assert statements out, and nothing else was checked: leave out -O"
        if self._made:
            return "the audit was not checked: compare one of its figures, or take its report"
        if "model" in self._test.marked:
            return "the marker names a model, and nothing was audited: call robustness.audit()"
        return None

    def write_reports(self) -> list[str]:
        """The pages of the reports of a failed test, written now if they are wanted."""
        if self._test.settings.report is None:
            return []
        folders = [self._test.report_folder(self._test.settings.report, made.number) for made in self._made]
        pages = []
        for made, folder in zip(self._made, folders, strict=True):
            try:
                write_report(made.given, folder)
                pages.append(self._test.shown(folder / "report.html"))
            except OSError as error:
                pages.append(f"could not be written: {one_line(error)}")
        return pages

    def for_summary(self) -> list[dict[str, Any]]:
        """What the summary needs, in plain values."""
        return [audit.for_summary() for audit in self._made]


def _model_options(settings: dict[str, Any]) -> ModelOptions:
    """How the model is read, taken out of the settings."""
    names = [field.name for field in dataclasses.fields(ModelOptions) if field.name in settings]
    given: dict[str, Any] = {name: settings.pop(name) for name in names}
    if isinstance(given.get("perturb"), str):
        given["perturb"] = (given["perturb"],)
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return ModelOptions(**given)


def _whole(data: Any) -> Any:
    """A ``tf.data.Dataset``, generator or the like as arrays, so that its content is known."""
    from robustcheck import intake

    if not intake.is_stream(data):
        return data
    loaded = intake.load_data(data, intake.Wanted(need_labels=False))
    return loaded.x, loaded.y
