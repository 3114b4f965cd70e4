"""The audit as one record: what every output (terminal, JSON, Markdown, SARIF) is written from."""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

import colintern
from colintern.engine.floor import gaps_text
from colintern.engine.outcome import OutcomeCounts
from colintern.engine.policy_in_force import PolicyInForce
from colintern.engine.report_store import RankedReports, ReportStore
from colintern.engine.subject_report import SubjectReport, SubjectSummary, VerdictName

_SHOWN_MISSING: Final = 3
"""Sources that one line names."""
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


def inconclusive_text(report: AuditReport) -> str:
    """Say why the audit is inconclusive: what was sound, and what would settle the rest."""
    subjects = [each for each in report.subjects.summaries if each.verdict == "inconclusive"]
    if not any(subject.floor for subject in subjects):
        wanted = dict.fromkeys(name for subject in subjects for name in subject.missing)
        named = "; ".join(list(wanted)[:_SHOWN_MISSING])
        help_ = f"; what would help: {named}" if named else ""
        return f"nothing about the model could be judged{help_}"
    gaps = {gap.part: gap for subject in subjects for gap in reversed(subject.floor)}
    passed = sum(subject.counts.passed for subject in subjects)
    return f"{gaps_text(gaps.values())}; the other {passed} checks that could be judged passed"
