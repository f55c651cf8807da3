"""An audit of a test: its figures, the baseline and the policy it is held against."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from robustcheck import testing
from robustcheck.errors import ConfigError
from robustcheck.measures import Metric
from robustcheck.policy import Policy, judge, read_policy
from robustcheck.pytest_plugin._context import AskingTest
from robustcheck.report import TITLES, number, read_evidence
from robustcheck.results import AuditReport, Measure, RuleResult


class TestedAudit:
    """An audit of a test, with its figures as measures that ``assert`` compares.

    A figure that the search found too little for, or that was not measured, raises instead: a test on nothing
    does not pass.
    """

    __test__ = False

    def __init__(self, report: AuditReport, test: AskingTest, number: int, min_samples: int) -> None:
        self.given = report
        self._min_samples = min_samples
        self.number = number
        self.checked = False
        self._test = test
        self._notes: list[str] = []

    def __bool__(self) -> bool:
        raise TypeError("an audit is neither true nor false: compare one of its figures")

    @property
    def report(self) -> AuditReport:
        """The whole report, for ``robustcheck.testing`` and anything else."""
        self.checked = True
        return self.given

    @property
    def measures(self) -> Mapping[str, Measure]:
        """All measures of the report by name."""
        return self.report.measures

    @property
    def median_distortion(self) -> Measure:
        """Median distance to the nearest misclassified input, in units of the box, in the first norm."""
        return self.distortion()

    @property
    def clean_accuracy(self) -> Measure:
        """Share of the samples that are classified right."""
        return self.measure("accuracy.clean")

    def distortion(self, statistic: str = "median", *, norm: str | None = None) -> Measure:
        """A statistic of the distances; see :func:`robustcheck.testing.assert_min_distortion`."""
        return self.measure(Metric.distortion(norm or self.given.norm, statistic).name)

    def robust_accuracy(
        self,
        *,
        l2: float | str | None = None,
        linf: float | str | None = None,
        l1: float | str | None = None,
    ) -> Measure:
        """Share of the samples that are right and have no misclassified input within a radius.

        The radius is in one of the norms, in units of the box, or a fraction such as ``"8/255"``.
        """
        return self.measure(testing.radius_metric(l2=l2, linf=linf, l1=l1).name)

    def transfer_to(self, reference: Any) -> Measure:
        """Share of the examples that fool another model too.

        Args:
            reference: the name of a reference of the audit; or a model, as ``robustness.audit`` takes it.
        """
        subject, known = self.given.model.name, [model.name for model in self.given.references]
        if isinstance(reference, str) and reference in known:
            return self.measure(Metric.transfer(subject, reference).name)
        from robustcheck.auditing import transfer_rate

        rate = transfer_rate(self.given, self._test.place(reference))
        other = getattr(reference, "name", type(reference).__name__)
        name = Path(str(reference)).stem if isinstance(reference, str | Path) else other
        metric = Metric.transfer(subject, name).name
        return self._figure(testing.figure_of(self.given, metric, rate, min_samples=self._min_samples))

    def measure(self, metric: str) -> Measure:
        """A figure by its name in the grammar of a policy, such as ``distortion.linf.p05``."""
        __tracebackhide__ = True
        return self._figure(testing.figure(self.given, metric, min_samples=self._min_samples))

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
        shown = self._test.shown(folder) if wanted else str(folder)
        return testing.ReportPlace(shown, "" if wanted else "after --robustness-report=DIR")

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
        if name in self._test.kept:
            raise ConfigError(f"check_baseline: expected another name= than {name!r}, this test has that one")
        self._test.kept.add(name)
        missing = testing.missing_norms(self.given, file, name=name)
        if settings.update == "all" or (settings.update == "new" and missing):
            new_only = settings.update == "new"
            if testing.write_baseline(
                self.given, file, name=name, min_samples=self._min_samples, new_only=new_only
            ):
                self._notes.append(f"baseline written: {self._test.shown(file)}")
            if not new_only or len(missing) == len(self.given.searches):
                return
        elif missing:
            in_norms = f" in {', '.join(TITLES[norm] for norm in missing)}" if file.exists() else ""
            ask = f"pytest {shlex.quote(self._test.again)} --robustness-update-new-only"
            held = " (CI is set: only the command line can ask for it)" if settings.held_back else ""
            raise AssertionError(
                f"no baseline{in_norms} {self._test.shown(file)}\n"
                f"  to keep this audit as the baseline: {ask}{held}"
            )
        tolerance = settings.tolerance if rel is None else rel
        tolerance = testing.REL if tolerance is None else tolerance
        found = testing.assert_baseline(
            self.given,
            file,
            rel=tolerance,
            accuracy=accuracy,
            name=name,
            min_samples=self._min_samples,
            place=self.place,
        )
        self._notes.append(testing.standing_line(found))

    def check_policy(self, policy: Any = None, *, baseline: Any = None) -> None:
        """Judge the audit by a policy, a sub-result a rule where this pytest has sub-tests.

        Args and errors as for ``robustness.check_policy``.
        """
        __tracebackhide__ = True
        self.checked = True
        rules = self._policy(policy)
        baseline = self._test.marked.get("baseline") if baseline is None else baseline
        against = None if baseline is None else read_evidence(Path(self._test.place(baseline)))
        found = judge(rules, self.given.evidence, against)
        self._test.judged = True
        warned = [rule for rule in found if rule.severity == "warning" and rule.outcome != "PASS"]
        self._notes += [f"warning: {testing.rule_line(rule)}" for rule in warned]
        subtests = self._test.subtests()
        if subtests is None:
            testing.require_rules(self.given, found, self.place)
            return
        for rule in found:
            if rule.severity == "error":
                with subtests.test(msg=f"{rule.metric} {rule.bound}"):
                    self._require(rule)
        broken = [rule for rule in found if rule.severity == "error" and rule.outcome != "PASS"]
        if broken:
            raise AssertionError(f"policy not met: {len(broken)} of {len(found)} bounds")

    def _require(self, rule: RuleResult) -> None:
        if rule.outcome != "PASS":
            pytest.fail(testing.rules_text(self.given, [rule], self.place), pytrace=False)

    def _policy(self, given: Any) -> Policy:
        __tracebackhide__ = True
        given = self._test.marked.get("policy") if given is None else given
        given = self._test.settings.policy if given is None else given
        if given is None:
            raise ConfigError(
                "check_policy: expected a policy, as an argument, of the marker or as the ini key "
                "robustness_policy"
            )
        if not isinstance(given, Policy | str | Path):
            raise ConfigError(f"check_policy: expected a policy or its file, got {type(given).__name__}")
        return given if isinstance(given, Policy) else read_policy(Path(self._test.place(given)))

    def record(self, *metrics: str) -> None:
        """Put figures of the report on the test's report, for ``--junitxml``."""
        for metric in metrics:
            figure = self.given.measures.get(metric)
            value = None if figure is None else figure.value
            if value is not None:
                self._test.properties(f"{self.given.model.name}.{metric}", value)

    def for_summary(self) -> dict[str, Any]:
        """What the summary needs, in plain values."""
        report, accuracy = self.given, self.given.measures["accuracy.clean"]
        medians = {
            TITLES[norm]: report.measures[Metric.distortion(norm, "median").name] for norm in report.searches
        }
        return {
            "model": report.model.name,
            "samples": report.counts.total,
            "seed": report.provenance.seed,
            "budget": report.provenance.options.get("budget"),
            "started": report.provenance.started,
            "accuracy": None if report.data.labels == "model" else accuracy.value,
            "found": report.measures["attack.found"].value,
            "medians": {title: [median.value, median.low, median.high] for title, median in medians.items()},
            "seconds": sum(search.cost.seconds for search in report.searches.values()),
            "notes": self._notes,
            "test": self._test.nodeid,
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Shown(testing.Figure):
    """A figure that knows where the report of its test will be."""

    place: testing.ReportPlace


def explain(op: str, left: object, right: object) -> list[str] | None:
    """Why a comparison with a measure failed, a line each; None where neither side is one."""
    figures = [side for side in (left, right) if isinstance(side, Measure)]
    if not figures or op not in ("<", "<=", ">", ">="):
        return None
    sides = [number(side.value) if isinstance(side, Measure) else repr(side) for side in (left, right)]
    names = [figure.metric for figure in figures if isinstance(figure, testing.Figure)]
    lines = [f"{' and '.join(names) or 'measure'}: {sides[0]} {op} {sides[1]}"]
    for figure in figures:
        if isinstance(figure, _Shown):
            lines += figure.explain(figure.place)
        else:
            lines += (
                figure.explain()
                if isinstance(figure, testing.Figure)
                else [f"  {testing.figure_line(figure)}"]
            )
    return lines
