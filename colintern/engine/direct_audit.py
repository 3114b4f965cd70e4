"""An audit without pytest, for commands that show more than its findings.

The rules, the judge and the project's policy are those of `colintern audit`, so the verdict is the
same; rules of a team's own `check_*.py` files and the live ones need the plugin.
"""

import time
from collections.abc import Mapping, Sequence

from msgspec import Struct

from colintern.engine.audit_report import AuditReport, audit_report
from colintern.engine.catalogue import (
    LIVE_FAMILY,
    shipped_rules,
)
from colintern.engine.identity import subject_identity
from colintern.engine.policy import Policy
from colintern.engine.policy_in_force import policy_in_force
from colintern.engine.providers import judge_of
from colintern.engine.recorded_audit import read_recorded_audit
from colintern.engine.resolver import Resolver
from colintern.engine.rule import Rule
from colintern.engine.settings import Settings
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import Severity


class DirectAudit(Struct, frozen=True):
    """An audit and the evidence that it rests on."""

    report: AuditReport
    evidence: Mapping[str, Resolver]
    """By the name of the subject."""


def audit_directly(
    subjects: Sequence[Subject], options: AuditOptions, settings: Settings
) -> DirectAudit:
    """Judge every subject by every shipped rule that does not load the model.

    Raises:
        RecordedAuditError: the recorded audit that the settings name cannot be read.
    """
    start = time.perf_counter()
    catalogue = shipped_rules()
    rules = _judged(catalogue)
    policy = _policy(settings)
    judges = [judge_of(subject, options, catalogue, policy) for subject in subjects]
    results = [judge.result(rule) for judge in judges for rule in rules]
    report = audit_report(
        [
            subject_identity(subject, judge.resolver)
            for subject, judge in zip(subjects, judges, strict=True)
        ],
        results,
        duration_seconds=time.perf_counter() - start,
        policy=policy_in_force(policy, settings, _recorded(settings)),
    )
    return DirectAudit(report, {judge.subject: judge.resolver for judge in judges})


def _judged(catalogue: Mapping[str, Rule]) -> list[Rule]:
    return [rule for rule in catalogue.values() if rule.family != LIVE_FAMILY]


def _policy(settings: Settings) -> Policy:
    recorded = settings.audit_baseline
    return Policy(
        fail_on=Severity(settings.fail_on or "error"),
        strict_evidence=bool(settings.strict_evidence),
        waivers=settings.waivers,
        known=read_recorded_audit(recorded) if recorded else None,
        min_evidence=settings.min_evidence,
    )


def _recorded(settings: Settings) -> str | None:
    return str(settings.audit_baseline) if settings.audit_baseline else None
