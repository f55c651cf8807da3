"""All that an audit can find: frozen dataclasses of NumPy arrays and plain values, to and from files.

``_outcomes`` has a row a sample, ``_deployed`` the same of a deployed form, ``_searches`` what a search came
to over all of them, ``_measure`` a figure, ``_conditions`` where a search may go, ``_transfer`` the models
against each other, ``_checks`` what is checked and where the lines are drawn, ``_document`` what
``report.json`` holds, ``_places`` what it keeps of paths, ``_baseline`` what a test keeps of it,
``_comparison`` two reports side by side.
"""

from robustcheck.results._baseline import BASELINE_SCHEMA, Baseline
from robustcheck.results._checks import CHECKS, Accept, Check, CheckFacts, CheckOutcome, judged, not_asked
from robustcheck.results._comparison import Change, Comparison, Direction, Moved, Standing
from robustcheck.results._conditions import Conditions
from robustcheck.results._deployed import DeployedFacts, DeployedRows
from robustcheck.results._document import (
    SCHEMA,
    AuditReport,
    DataFacts,
    Evidence,
    ModelFacts,
    Outcome,
    PolicyFacts,
    Provenance,
    ReportDocument,
    ReportFacts,
    RuleResult,
    plain,
    verdict_of,
)
from robustcheck.results._measure import Measure
from robustcheck.results._outcomes import (
    Joined,
    SampleDistances,
    SampleExamples,
    SampleOutcomes,
    SampleTable,
    SearchResult,
    Status,
    is_wanted,
    join,
    sample_ids,
)
from robustcheck.results._places import plan_without_places, without_places
from robustcheck.results._plan import PLAN_SCHEMA, PlanDocument, ShardDone, ShardFacts, StartFacts
from robustcheck.results._searches import (
    POINTS,
    Cost,
    Counts,
    CurvePoint,
    L1Point,
    LinfPoint,
    NormFacts,
    Point,
)
from robustcheck.results._transfer import EqualDistortion, ScalePoint, TransferMatrix, TransferRow

__all__ = [
    "BASELINE_SCHEMA",
    "CHECKS",
    "PLAN_SCHEMA",
    "POINTS",
    "SCHEMA",
    "Accept",
    "AuditReport",
    "Baseline",
    "Change",
    "Check",
    "CheckFacts",
    "CheckOutcome",
    "Comparison",
    "Conditions",
    "Cost",
    "Counts",
    "CurvePoint",
    "DataFacts",
    "DeployedFacts",
    "DeployedRows",
    "Direction",
    "EqualDistortion",
    "Evidence",
    "Joined",
    "L1Point",
    "LinfPoint",
    "Measure",
    "ModelFacts",
    "Moved",
    "NormFacts",
    "Outcome",
    "PlanDocument",
    "Point",
    "PolicyFacts",
    "Provenance",
    "ReportDocument",
    "ReportFacts",
    "RuleResult",
    "SampleDistances",
    "SampleExamples",
    "SampleOutcomes",
    "SampleTable",
    "ScalePoint",
    "SearchResult",
    "ShardDone",
    "ShardFacts",
    "Standing",
    "StartFacts",
    "Status",
    "TransferMatrix",
    "TransferRow",
    "is_wanted",
    "join",
    "judged",
    "not_asked",
    "plain",
    "plan_without_places",
    "sample_ids",
    "verdict_of",
    "without_places",
]
