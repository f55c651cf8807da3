"""``junit.xml`` for a CI server: a case for each bound of the policy and for each check."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from robustcheck.results import ReportDocument
from robustcheck.text import printable

# a rule of severity "warning" and a check that warns pass, with the reason as output
_ELEMENTS = {"FAIL": "failure", "INCOMPLETE": "error", "SKIP": "skipped"}


@dataclass(frozen=True)
class _Case:
    name: str
    outcome: str
    reason: str
    element: str | None


def junit_xml(document: ReportDocument) -> str:
    """A FAIL is a failure, what could not be measured an error, what was not run skipped."""
    rules = [
        _Case(
            f"{rule.metric} {rule.bound}",
            rule.outcome,
            rule.reason,
            _ELEMENTS.get(rule.outcome) if rule.severity == "error" else None,
        )
        for rule in document.rules
    ]
    if not document.complete:
        rules.append(_Case("complete", "INCOMPLETE", "the audit was interrupted", "error"))
    checks = [
        _Case(check.id, check.outcome, check.detail, _ELEMENTS.get(check.outcome))
        for check in document.checks
    ]
    root = Element("testsuites", name="robustcheck")
    for name, cases in (("robustcheck.policy", rules), ("robustcheck.checks", checks)):
        _suite(root, name, cases)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: Element, name: str, cases: list[_Case]) -> None:
    element = [item.element for item in cases]
    counts = {
        "tests": len(cases),
        "failures": element.count("failure"),
        "errors": element.count("error"),
        "skipped": element.count("skipped"),
    }
    suite = SubElement(root, "testsuite", {"name": name} | {key: str(count) for key, count in counts.items()})
    for item in cases:
        case = SubElement(suite, "testcase", classname=name, name=printable(item.name))
        if item.element is not None:
            SubElement(case, item.element, message=printable(item.reason), type=item.outcome)
        else:
            SubElement(case, "system-out").text = printable(f"{item.outcome}: {item.reason}")
