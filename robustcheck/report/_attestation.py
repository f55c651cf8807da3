"""``attestation.json``: what was found of a model file, as an unsigned in-toto statement to be signed.

Statement v1 with the predicate "Test Result" v0.1 (https://github.com/in-toto/attestation). It has no
INCOMPLETE, which is therefore FAILED there; ``verdict`` beside it says which.
"""

from __future__ import annotations

import json
from typing import Any

from robustcheck.results import ReportDocument, RuleResult
from robustcheck.text import printable

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def attestation(document: ReportDocument) -> str | None:
    """The statement; None without a verdict, or of a model that is not a file."""
    if document.verdict is None or document.model.sha256 is None or document.policy is None:
        return None
    name = printable(document.model.path or document.model.name)
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": _sha256(document.model.sha256)}],
        "predicateType": PREDICATE,
        "predicate": _predicate(document),
    }
    return json.dumps(statement, indent=2, allow_nan=False) + "\n"


def _predicate(document: ReportDocument) -> dict[str, Any]:
    assert document.policy is not None
    warned = any(rule.outcome != "PASS" for rule in document.rules)
    passed = "WARNED" if warned else "PASSED"
    named = {
        outcome: [f"{rule.metric} {rule.bound}" for rule in document.rules if _outcome_of(rule) == outcome]
        for outcome in ("PASS", "WARN", "FAIL")
    }
    provenance = document.provenance
    versions = ("robustcheck", "python", "tensorflow", "keras", "tensorflow_probability", "numpy")
    return {
        "result": passed if document.verdict == "PASS" else "FAILED",
        "configuration": [
            {"name": "policy", "digest": _sha256(document.policy.sha256)},
            *(
                {"name": f"deployed {printable(form.name)}", "digest": _sha256(form.sha256)}
                for form in document.deployed
                if form.sha256
            ),
            *([{"name": "data", "digest": _sha256(document.data.sha256)}] if document.data.sha256 else []),
        ],
        "passedTests": named["PASS"],
        "warnedTests": named["WARN"],
        "failedTests": named["FAIL"],
        "verdict": document.verdict,
        "measures": {
            rule.metric: document.measures[rule.metric].value
            for rule in document.rules
            if rule.metric in document.measures
        },
        "versions": {name: getattr(provenance, name) for name in versions},
        "started": provenance.started,
    }


def _outcome_of(rule: RuleResult) -> str:
    """PASS, WARN or FAIL; what could not be measured failed."""
    if rule.outcome == "PASS":
        return "PASS"
    return "FAIL" if rule.severity == "error" else "WARN"


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest}
