"""An audit together with its evidence, for commands that show more than findings."""

from collections.abc import Mapping

from msgspec import Struct

from colintern.engine.audit import loaded_audit
from colintern.engine.audit_report import AuditReport
from colintern.engine.report_store import ReportStore
from colintern.engine.request import AuditSetup
from colintern.engine.resolver import Resolver


class DirectAudit(Struct, frozen=True):
    """An audit and the evidence that it rests on."""

    report: AuditReport
    evidence: Mapping[str, Resolver]
    """By the name of the subject; all of it is in memory."""


def audit_directly(setup: AuditSetup) -> DirectAudit:
    """Judge every subject by every shipped rule, as `colintern audit` does."""
    audit, store, evidence = loaded_audit(setup, {}), ReportStore(), {}
    for subject in setup.subjects:
        store.append(audit.judged(subject))
        evidence[subject.name] = audit.evidence(subject.name)
    return DirectAudit(audit.report(store), evidence)
