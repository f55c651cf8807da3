"""Judge the measures of a report by rules: PASS, FAIL, INCOMPLETE. Never sees a model.

``_rules`` reads and checks a policy, ``_judge`` applies it.
"""

from robustcheck.policy._judge import judge, judged, verdict
from robustcheck.policy._rules import TEMPLATE, Limit, Policy, Rule, read_policy

__all__ = ["TEMPLATE", "Limit", "Policy", "Rule", "judge", "judged", "read_policy", "verdict"]
