"""What a test is given: audits, their figures, baselines and policies."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from robustcheck import testing
from robustcheck.config import AuditConfig, SearchOptions
from robustcheck.errors import ConfigError
from robustcheck.policy import Policy, judge, read_policy
from robustcheck.pytest_plugin._audits import Audits
from robustcheck.pytest_plugin._settings import (
    AUDIT_ARGUMENTS,
    PluginSettings,
    marker_arguments,
    unknown_argument,
)
from robustcheck.report import number, read_evidence, write_report
from robustcheck.results import AuditReport, Measure, RuleResult

_PROPERTIES = ("accuracy.clean", "attack.found", "distortion.l2.median", "distortion.linf.median")


class Robustness:
    """The fixture ``robustness`` of one test."""

    def __init__(self, request: pytest.FixtureRequest, settings: PluginSettings, audits: Audits) -> None:
        self._request = request
        self._settings = settings
        self._audits = audits
        self._marked = marker_arguments(request.node)
        self._made: list[TestedAudit] = []
        self._judged = False
        self.passed = False

    def audit(self, model: Any = None, data: Any = None, **settings: Any) -> TestedAudit:
        """Audit a model; once a session for the same model, data and settings.

        Args:
            model: a model file, ``package.module:factory``, a Keras model or a classifier; the marker's when
                None. Files are looked for beside the test, then in pytest's root folder.
            data: a file, folder or ``package.module:function``, ``(x, y)`` or a ``tf.data.Dataset``; the
                marker's when None.
            settings: ``limit``, ``references``, ``box``, ``budget``, ``seed``, ``options`` and what else
                ``robustcheck audit`` takes; those of the marker hold where they are not given.

        Raises:
            ConfigError: an argument that makes no sense.
            InputRefused: a model or data that cannot be audited.
            Incomplete: no sample can be attacked.
        """
        __tracebackhide__ = True
        fault = unknown_argument(settings, AUDIT_ARGUMENTS)
        if fault is not None:
            raise ConfigError(f"robustness.audit: {fault}")
        marked = {name: one for name, one in self._marked.items() if name in AUDIT_ARGUMENTS}
        report = self._audits.get(self._config(model, data, marked | settings))
        made = TestedAudit(report, self, len(self._made))
        self._made.append(made)
        made.record(*(name for name in _PROPERTIES if report.measures[name].value is not None))
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
        model = self._marked.get("model") if model is None else model
        data = self._marked.get("data") if data is None else data
        if model is None or data is None:
            missing = "model" if model is None else "data"
            raise ConfigError(f"robustness.audit: expected {missing}, as an argument or of the marker")
        given = settings.pop("references", ())
        named = isinstance(given, dict)
        references = {name: self.place(one) for name, one in given.items()} if named else ()
        if not named:
            several = [given] if isinstance(given, str | Path) else given
            references = tuple(self.place(one) for one in several)
        most = [one for one in (settings.pop("limit", None), self._settings.max_samples) if one is not None]
        for name in ("class_names", "freeze"):
            if isinstance(settings.get(name), str | Path):
                settings[name] = Path(self.place(settings[name]))
        if "class_names" in settings and not isinstance(settings["class_names"], Path):
            settings["class_names"] = tuple(settings["class_names"])
        if "transfer_rms" in settings:
            settings["transfer_rms"] = tuple(settings["transfer_rms"])
        options = self._options(settings)
        return AuditConfig(
            model=self.place(model),
            data=_whole(self.place(data)),
            references=references,
            limit=min(most, default=None),
            options=options,
            **settings,
        )

    def _options(self, settings: dict[str, Any]) -> SearchOptions:
        """``options``, with ``budget`` and ``seed`` over them."""
        given = settings.pop("options", None)
        options = SearchOptions(seed=self._settings.seed) if given is None else given
        if not isinstance(options, SearchOptions):
            raise ConfigError(f"options: expected SearchOptions, got {type(options).__name__}")
        over = {name: settings.pop(name) for name in ("budget", "seed") if name in settings}
        return dataclasses.replace(options, **over)

    def place(self, given: Any) -> Any:
        """A file's name as a path from here, beside the test or in the root folder; else as it is."""
        if not isinstance(given, str | Path):
            return given
        for folder in (self._request.path.parent, self._settings.root):
            if (folder / given).exists():
                return os.path.relpath(folder / given)
        return str(given)

    @property
    def marked(self) -> dict[str, Any]:
        """Arguments of the markers on the test."""
        return self._marked

    @property
    def settings(self) -> PluginSettings:
        """What is set for the session."""
        return self._settings

    @property
    def nodeid(self) -> str:
        """The test, as pytest names it."""
        return str(self._request.node.nodeid)

    def judged(self) -> None:
        """A policy was applied."""
        self._judged = True

    def baseline(self) -> Path:
        """Where this test's baseline is kept."""
        beside = self._request.path.parent
        if self._settings.baseline_dir is None:
            folder = beside / "__robustness__"
        else:
            inside = beside.is_relative_to(self._settings.root)
            below = beside.relative_to(self._settings.root) if inside else Path()
            folder = self._settings.root / self._settings.baseline_dir / below
        return testing.baseline_file(folder, self._request.path.stem, self._test)

    @property
    def _test(self) -> str:
        return self.nodeid.partition("::")[2]

    def report_folder(self, below: Path, number: int) -> Path:
        """Where the report of the test's audit of that number goes if the test fails."""
        whole = testing.baseline_file(below, self._request.path.stem, self._test)
        return whole.with_suffix("") if not number else whole.with_name(f"{whole.stem}-{number + 1}")

    def properties(self, name: str, value: float) -> None:
        """Put a figure on the test's report, for ``--junitxml``."""
        entry = (f"robustness.{name}", value)
        if entry not in self._request.node.user_properties:
            self._request.node.user_properties.append(entry)

    def subtests(self) -> Any:
        """pytest's own sub-tests, where this pytest has them."""
        try:
            return self._request.getfixturevalue("subtests")
        except pytest.FixtureLookupError:
            return None

    def unchecked(self) -> str | None:
        """Why a test that passed checked nothing, if so."""
        if "policy" in self._marked and not self._judged:
            return "the policy of the marker was not judged: call robustness.check_policy()"
        if sys.flags.optimize and self._made and not any(one.checked for one in self._made):
            return "python -O takes assert statements out, and nothing else was checked: leave out -O"
        return None

    def write_reports(self) -> list[Path]:
        """The pages of the reports of a failed test, written now if they are wanted."""
        if self._settings.report is None:
            return []
        folders = [self.report_folder(self._settings.report, made.number) for made in self._made]
        for made, folder in zip(self._made, folders, strict=True):
            write_report(made.given, folder)
        return [folder / "report.html" for folder in folders]

    def told(self) -> list[dict[str, Any]]:
        """What the summary needs, in plain values."""
        return [one.told() for one in self._made]


class TestedAudit:
    """An audit of a test, with its figures as measures that ``assert`` compares.

    A figure that the search found too little for, or that was not measured, raises instead: a test on nothing
    does not pass.
    """

    __test__ = False

    def __init__(self, report: AuditReport, test: Robustness, number: int) -> None:
        self.given = report
        self.number = number
        self.checked = False
        self._test = test
        self._notes: list[str] = []

    @property
    def report(self) -> AuditReport:
        """The whole report, for ``robustcheck.testing`` and anything else."""
        self.checked = True
        return self.given

    @property
    def median_distortion(self) -> Measure:
        """Median L2 distance to the nearest misclassified input, in units of the box."""
        return self.measure("distortion.l2.median")

    @property
    def clean_accuracy(self) -> Measure:
        """Share of the samples that are classified right."""
        return self.measure("accuracy.clean")

    def distortion(self, statistic: str = "median", *, norm: str = "l2") -> Measure:
        """A statistic of the distances; see :func:`robustcheck.testing.assert_min_distortion`."""
        return self.measure(f"distortion.{norm}.{statistic}")

    def robust_accuracy(self, *, l2: float) -> Measure:
        """Share of the samples that are right and have no misclassified input within a radius."""
        return self.measure(f"accuracy.robust.l2@{float(l2)!r}")

    def transfer_to(self, reference: Any) -> Measure:
        """Share of the examples that fool another model too.

        Args:
            reference: the name of a reference of the audit; or a model, as :meth:`Robustness.audit` takes it.
        """
        subject, known = self.given.model.name, [one.name for one in self.given.references]
        if isinstance(reference, str) and reference in known:
            return self.measure(f"transfer.{subject}->{reference}")
        from robustcheck.auditing import transfer_rate

        rate = transfer_rate(self.given, self._test.place(reference))
        name = Path(str(reference)).stem if isinstance(reference, str | Path) else reference.name
        return self._figure(testing.figure_of(self.given, f"transfer.{subject}->{name}", rate))

    def measure(self, metric: str) -> Measure:
        """A figure by its name in the grammar of a policy, such as ``distortion.linf.p05``."""
        __tracebackhide__ = True
        return self._figure(testing.figure(self.given, metric))

    def _figure(self, found: testing.Figure) -> Measure:
        self.checked = True
        if found.value is not None:
            self._test.properties(f"{self.given.model.name}.{found.metric}", found.value)
        return _Shown(**{**vars(found), "place": self.place})

    @property
    def place(self) -> testing.ReportPlace:
        """Where the report will be if the test fails, for a message."""
        wanted = self._test.settings.report
        folder = self._test.report_folder(wanted or Path("DIR"), self.number)
        return testing.ReportPlace(str(folder), "" if wanted else "after --robustness-report=DIR")

    def check_baseline(
        self, *, rel: float | None = None, accuracy: float = testing.ACCURACY, name: str = "audit"
    ) -> None:
        """Hold the model against this test's baseline, sample by sample.

        Args:
            rel: share by which distances may fall; the ini key ``robustness_tolerance``, else 0.05, when
                None. ``robustcheck.testing.seed_spread`` measures what retraining needs.
            accuracy: share of the samples by which the clean accuracy may fall.
            name: which baseline, in a test that checks several audits.

        Raises:
            AssertionError: the model is worse, the baseline is missing or for something else.
        """
        __tracebackhide__ = True
        self.checked = True
        settings, file = self._test.settings, self._test.baseline()
        shown = os.path.relpath(file)
        known = file.exists() and name in testing.read_baselines(file)
        if settings.update == "all" or (settings.update == "new" and not known):
            if testing.write_baseline(self.given, file, name=name):
                self._notes.append(f"baseline written: {shown}")
            return
        if not known:
            ask = f"pytest {shlex.quote(self._test.nodeid)} --robustness-update-new-only"
            held = " (CI is set: only the command line can ask for it)" if settings.held_back else ""
            raise AssertionError(f"no baseline {shown}\n  to keep this audit as the baseline: {ask}{held}")
        tolerance = settings.tolerance if rel is None else rel
        tolerance = testing.REL if tolerance is None else tolerance
        found = testing.assert_baseline(self.given, file, rel=tolerance, accuracy=accuracy, name=name)
        self._notes.append(testing.standing_line(found))

    def check_policy(self, policy: Any = None, *, baseline: Any = None) -> None:
        """Judge the audit by a policy, a sub-result a rule where this pytest has sub-tests.

        Args and errors as for :meth:`Robustness.check_policy`.
        """
        __tracebackhide__ = True
        self.checked = True
        rules = self._policy(policy)
        baseline = self._test.marked.get("baseline") if baseline is None else baseline
        against = None if baseline is None else read_evidence(Path(self._test.place(baseline)))
        found = judge(rules, self.given.evidence, against)
        self._test.judged()
        warned = [one for one in found if one.severity == "warning" and one.outcome != "PASS"]
        self._notes += [f"warning: {testing.rule_line(one)}" for one in warned]
        subtests = self._test.subtests()
        if subtests is None:
            testing.require_rules(self.given, found, self.place)
            return
        for one in found:
            if one.severity == "error":
                with subtests.test(msg=f"{one.metric} {one.bound}"):
                    self._require(one)

    def _require(self, rule: RuleResult) -> None:
        if rule.outcome != "PASS":
            pytest.fail(testing.rules_text(self.given, [rule], self.place), pytrace=False)

    def _policy(self, given: Any) -> Policy:
        given = self._test.marked.get("policy") if given is None else given
        given = self._test.settings.policy if given is None else given
        if given is None:
            raise ConfigError(
                "check_policy: expected a policy, as an argument, of the marker or as the ini key "
                "robustness_policy"
            )
        return given if isinstance(given, Policy) else read_policy(Path(self._test.place(given)))

    def record(self, *metrics: str) -> None:
        """Put figures of the report on the test's report, for ``--junitxml``."""
        for metric in metrics:
            value = self.given.measures[metric].value
            if value is not None:
                self._test.properties(f"{self.given.model.name}.{metric}", value)

    def told(self) -> dict[str, Any]:
        """What the summary needs, in plain values."""
        report = self.given
        median, accuracy = (report.measures[one] for one in ("distortion.l2.median", "accuracy.clean"))
        return {
            "model": report.model.name,
            "samples": report.counts.total,
            "seed": report.provenance.seed,
            "budget": report.provenance.options.get("budget"),
            "started": report.provenance.started,
            "accuracy": None if report.data.labels == "model" else accuracy.value,
            "found": report.measures["attack.found"].value,
            "median": [median.value, median.low, median.high],
            "seconds": report.cost.seconds,
            "notes": self._notes,
            "test": self._test.nodeid,
        }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Shown(testing.Figure):
    """A figure that knows where the report of its test will be."""

    place: testing.ReportPlace


def _whole(data: Any) -> Any:
    """A ``tf.data.Dataset`` as arrays, so that its content is known; anything else as it is."""
    if not hasattr(data, "element_spec"):
        return data
    from robustcheck import intake

    return intake.as_pair(data, None)


def explain(op: str, left: object, right: object) -> list[str] | None:
    """Why a comparison with a measure failed, a line each; None where neither side is one."""
    figures = [one for one in (left, right) if isinstance(one, Measure)]
    if not figures or op not in ("<", "<=", ">", ">="):
        return None
    sides = [number(one.value) if isinstance(one, Measure) else repr(one) for one in (left, right)]
    names = [one.metric for one in figures if isinstance(one, testing.Figure)]
    lines = [f"{' and '.join(names) or 'measure'}: {sides[0]} {op} {sides[1]}"]
    for one in figures:
        if isinstance(one, _Shown):
            lines += one.explain(one.place)
        else:
            lines += one.explain() if isinstance(one, testing.Figure) else [f"  {testing.figure_line(one)}"]
    return lines
