"""The audit as one record: what every output (terminal, JSON, Markdown, SARIF) is written from."""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

import colintern
from colintern.engine.outcome import OutcomeCounts
from colintern.engine.policy_in_force import PolicyInForce
from colintern.engine.report_store import RankedReports, ReportStore
from colintern.engine.subject_report import SubjectReport, SubjectSummary, VerdictName

SCHEMA: Final = "colintern.audit/2"


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole audit."""

    verdict: VerdictName
    duration_seconds: float
    policy: PolicyInForce
    subjects: ReportStore
    """In the order in which they were named."""
    breakdowns: tuple[str, ...] = ()
    """What failed without a result, so that a check may be missing: fails the audit."""
    colintern: str = colintern.__version__

    @property
    def worst_first(self) -> RankedReports:
        """The subjects: failed ones first, unsafe ones before, by the number that gate."""
        return self.subjects.worst_first()

    @property
    def summaries(self) -> list[SubjectSummary]:
        """Of the subjects, the worst first."""
        return sorted(self.subjects.summaries, key=lambda summary: summary.badness)

    @property
    def counts(self) -> OutcomeCounts:
        """Over all subjects."""
        return self.subjects.counts


def audit_report(
    subjects: Iterable[SubjectReport],
    *,
    duration_seconds: float,
    policy: PolicyInForce,
    breakdowns: tuple[str, ...] = (),
) -> AuditReport:
    """Gather the reports of the subjects; the audit has the worst verdict of them."""
    store = subjects if isinstance(subjects, ReportStore) else _stored(subjects)
    return AuditReport(
        verdict="fail" if breakdowns else _worst({summary.verdict for summary in store.summaries}),
        duration_seconds=duration_seconds,
        policy=policy,
        subjects=store,
        breakdowns=breakdowns,
    )


def _stored(subjects: Iterable[SubjectReport]) -> ReportStore:
    store = ReportStore()
    for subject in subjects:
        store.append(subject)
    return store


def _worst(verdicts: Collection[str]) -> VerdictName:
    if "fail" in verdicts:
        return "fail"
    return "inconclusive" if "inconclusive" in verdicts or not verdicts else "pass"
