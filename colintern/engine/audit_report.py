"""The audit as one record: what every output (terminal, JSON, Markdown, SARIF) is written from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

import colintern
from colintern.engine.outcome import CheckResult, Outcome, OutcomeCounts
from colintern.engine.policy_in_force import PolicyInForce
from colintern.engine.root_causes import Finding, RootCause, root_causes

SCHEMA: Final = "colintern.audit/2"
VerdictName = Literal["pass", "fail", "inconclusive"]

_SAFETY: Final = "SEC"
_BOOKKEEPING: Final = frozenset({_SAFETY, "ENV"})
"""Families that any folder satisfies: passing only these says nothing about the model."""
_SHOWN_IGNORED: Final = 12
"""In one line; the JSON has more."""
_JUDGED: Final = frozenset(
    {Outcome.PASSED, Outcome.FAILED, Outcome.WARNED, Outcome.NOTED, Outcome.WAIVED, Outcome.ERROR}
)


class SubjectIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What is audited, as far as its files tell; None where they do not."""

    name: str
    path: str
    kind: str | None = None
    """run, checkpoint, adapter or merged."""
    weights_of: str | None = None
    """The checkpoint whose weights are judged, where the run's own folder holds none."""
    family: str | None = None
    base_model: str | None = None
    ignored: tuple[str, ...] = ()
    """Files that no rule judges, by name, the first of them."""
    num_ignored: int = 0
    """All of them."""

    @property
    def kind_text(self) -> str | None:
        """The kind, and whose weights stand for the run's."""
        return f"{self.kind}, weights of {self.weights_of}" if self.weights_of else self.kind

    def ignored_text(self) -> str:
        """Count them, and name the first."""
        shown = ", ".join(self.ignored[:_SHOWN_IGNORED])
        number = f"{self.num_ignored} file{'s' * (self.num_ignored != 1)}"
        return f"{number}: {shown}{', …' * (len(self.ignored) > _SHOWN_IGNORED)}"


class SubjectReport(msgspec.Struct, frozen=True, kw_only=True):
    """One subject's verdict."""

    identity: SubjectIdentity
    verdict: VerdictName
    counts: OutcomeCounts
    roots: tuple[RootCause, ...]
    """Ranked, the gravest first."""
    results: tuple[CheckResult, ...]
    """In the order of their ids."""
    unmet: tuple[str, ...] = ()
    """Rules and families that the policy wants judged, and that were not."""
    plan: bool = False
    """Whether it is the plan of a training that has not begun."""
    floor: tuple[str, ...] = ()
    """Parts of the floor that are not met."""

    def result(self, rule: str) -> CheckResult:
        """Return the result of the rule `rule`, which must have been judged."""
        return next(result for result in self.results if result.rule == rule)

    @property
    def num_judged(self) -> int:
        """How many rules came to a verdict."""
        return sum(result.outcome in _JUDGED for result in self.results)

    @property
    def missing(self) -> tuple[str, ...]:
        """The sources that rules lack, the most wanted first; options are not asked for."""
        wanted = Counter(
            result.missing.source
            for result in self.results
            if result.outcome is Outcome.NO_EVIDENCE
            and result.missing is not None
            and not result.missing.is_option
        )
        return tuple(sorted(wanted, key=lambda name: (-wanted[name], name)))


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole audit."""

    verdict: VerdictName
    duration_seconds: float
    policy: PolicyInForce
    subjects: tuple[SubjectReport, ...]
    breakdowns: tuple[str, ...] = ()
    """What failed without a result, so that a check may be missing: fails the audit."""
    colintern: str = colintern.__version__

    @property
    def worst_first(self) -> list[SubjectReport]:
        """The subjects: failed ones first, unsafe ones before, by the number that gate."""
        order = {"fail": 0, "inconclusive": 1, "pass": 2}
        return sorted(
            self.subjects,
            key=lambda subject: (
                order[subject.verdict],
                not any(result.gates and result.family == _SAFETY for result in subject.results),
                -sum(result.gates for result in subject.results),
                -len(subject.roots),
            ),
        )

    @property
    def counts(self) -> OutcomeCounts:
        """Over all subjects."""
        return OutcomeCounts.of([result for subject in self.subjects for result in subject.results])


def audit_report(
    identities: Sequence[SubjectIdentity],
    results: Iterable[CheckResult],
    *,
    duration_seconds: float,
    policy: PolicyInForce,
    breakdowns: tuple[str, ...] = (),
) -> AuditReport:
    """Put the results of an audit in order and decide its verdict.

    A subject fails when anything gates, or when the policy wants something judged that was not; it
    is inconclusive when nothing about the model could be judged; else it passes. The audit has the
    worst verdict of its subjects.
    """
    by_subject: dict[str, list[CheckResult]] = {identity.name: [] for identity in identities}
    for result in results:
        by_subject[result.subject].append(result)
    subjects = tuple(
        _subject_report(identity, by_subject[identity.name], policy.min_evidence)
        for identity in identities
    )
    verdicts = {subject.verdict for subject in subjects}
    return AuditReport(
        verdict="fail" if breakdowns else _worst(verdicts),
        duration_seconds=duration_seconds,
        policy=policy,
        subjects=subjects,
        breakdowns=breakdowns,
    )


def _worst(verdicts: set[VerdictName]) -> VerdictName:
    if "fail" in verdicts:
        return "fail"
    return "inconclusive" if "inconclusive" in verdicts or not verdicts else "pass"


def _subject_report(
    identity: SubjectIdentity, results: list[CheckResult], min_evidence: Sequence[str]
) -> SubjectReport:
    ordered = tuple(sorted(results, key=lambda result: result.rule))
    judged = {name for result in ordered if result.outcome in _JUDGED for name in _names(result)}
    unmet = tuple(name for name in min_evidence if name not in judged)
    return SubjectReport(
        identity=identity,
        verdict="fail" if unmet else _subject_verdict(ordered),
        counts=OutcomeCounts.of(list(ordered)),
        roots=_roots(ordered),
        results=ordered,
        unmet=unmet,
    )


def _names(result: CheckResult) -> tuple[str, str]:
    return result.rule, result.family


def _subject_verdict(results: Sequence[CheckResult]) -> VerdictName:
    if any(result.gates for result in results):
        return "fail"
    # An audit of nothing but SEC or ENV was asked for as such.
    telling = [result for result in results if result.family not in _BOOKKEEPING] or results
    return "pass" if any(result.outcome in _JUDGED for result in telling) else "inconclusive"


def _roots(results: Sequence[CheckResult]) -> tuple[RootCause, ...]:
    explains: Mapping[str, Iterable[str]] = {result.rule: result.explains for result in results}
    findings = [
        Finding(result.rule, result.severity.rank, result.stage, waived=not result.is_finding)
        for result in results
        if result.is_finding or result.is_waived_finding
    ]
    refuted = {
        result.rule for result in results if result.outcome is Outcome.PASSED or result.independent
    }
    return root_causes(findings, explains, refuted)
