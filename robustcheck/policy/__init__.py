"""Judge the measures of a report by rules: PASS, FAIL, INCOMPLETE. Never sees a model.

``_rules`` are the rules, ``_file`` reads them, ``_judge`` applies them.
"""

from robustcheck.policy._file import OF_FORMS, TEMPLATE, read_policy
from robustcheck.policy._judge import judge, judged
from robustcheck.policy._rules import Limit, Policy, Rule

__all__ = ["OF_FORMS", "TEMPLATE", "Limit", "Policy", "Rule", "judge", "judged", "read_policy"]
