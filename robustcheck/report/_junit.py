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
    told: str | None


def junit_xml(document: ReportDocument) -> str:
    """A FAIL is a failure, what could not be measured an error, what was not run skipped."""
    rules = [
        _Case(
            f"{one.metric} {one.bound}",
            one.outcome,
            one.reason,
            _ELEMENTS.get(one.outcome) if one.severity == "error" else None,
        )
        for one in document.rules
    ]
    if not document.complete:
        rules.append(_Case("complete", "INCOMPLETE", "the audit was interrupted", "error"))
    checks = [_Case(one.id, one.outcome, one.detail, _ELEMENTS.get(one.outcome)) for one in document.checks]
    root = Element("testsuites", name="robustcheck")
    for name, cases in (("robustcheck.policy", rules), ("robustcheck.checks", checks)):
        _suite(root, name, cases)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: Element, name: str, cases: list[_Case]) -> None:
    told = [one.told for one in cases]
    counts = {
        "tests": len(cases),
        "failures": told.count("failure"),
        "errors": told.count("error"),
        "skipped": told.count("skipped"),
    }
    suite = SubElement(root, "testsuite", {"name": name} | {key: str(one) for key, one in counts.items()})
    for one in cases:
        case = SubElement(suite, "testcase", classname=name, name=printable(one.name))
        if one.told is not None:
            SubElement(case, one.told, message=printable(one.reason), type=one.outcome)
        else:
            SubElement(case, "system-out").text = printable(f"{one.outcome}: {one.reason}")
