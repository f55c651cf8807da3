"""One audit from start to finish, and what is built of audits; the only place that knows the order.

``audit`` is the function for Python, ``audit_config`` what it, the command line and tests all come to: make
a plan (``_load``, ``_plan``), begin it or go on with it (``_begin``), run its shards (``_run``, ``_work``),
put them together (``_collect``), report (``_report``), judge the report and write it (``_audit``).
``audit_part`` does some of the shards alone, for ``robustcheck merge``. ``examine``
looks at model and data without a search, ``replay`` repeats one sample of a report, ``transfer_rate`` tries
its examples on another model, ``harden_and_audit`` trains a model between two audits.
"""

from robustcheck.auditing._audit import audit, audit_config
from robustcheck.auditing._elsewhere import transfer_rate
from robustcheck.auditing._examine import Finding, examine
from robustcheck.auditing._harden import Hardening, harden_and_audit
from robustcheck.auditing._part import Part, audit_part
from robustcheck.auditing._replay import Replay, replay

__all__ = [
    "Finding",
    "Hardening",
    "Part",
    "Replay",
    "audit",
    "audit_config",
    "audit_part",
    "examine",
    "harden_and_audit",
    "replay",
    "transfer_rate",
]
