"""What the HTML report says in words: its headline, the root causes, what was not judged."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from colintern.engine.audit_report import AuditReport, inconclusive_text
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.subject_report import SubjectReport

MOST_ROOTS: Final = 12
"""Root causes shown in full; a run with more has a fault that hides behind all of them."""
MOST_ENTRIES: Final = 12
"""Subjects listed under one root cause."""
MOST_MISSING: Final = 40
MOST_SUBJECTS: Final = 30
"""Columns of the table of findings: more do not fit beside each other."""
MOST_PRINTED: Final = 5
"""Columns of that table that fit on a sheet of paper with their words; more have icons only."""
MOST_FINDINGS: Final = 60

VERDICT_WORDS: Final = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive"}


class RootEntry(Struct, frozen=True):
    """A root cause on one subject."""

    index: int
    """Of the subject, in the order of the report."""
    subject: str
    result: CheckResult
    explained: tuple[CheckResult, ...]
    follows_from: tuple[str, ...]


class RootGroup(Struct):
    """A root cause with the subjects that have it: its fix is told once."""

    result: CheckResult
    entries: list[RootEntry]
    """At most `MOST_ENTRIES` of them."""
    num_subjects: int = 0


class Blocked(Struct, frozen=True):
    """Rules that wait for another."""

    rule: str
    blocked: tuple[str, ...]


def headline(report: AuditReport) -> str:
    """Say in a sentence or two what the verdict rests on."""
    return " ".join(_sentences(report))


def _sentences(report: AuditReport) -> Iterator[str]:
    subjects = report.subjects.summaries
    several = len(subjects) > 1
    if report.breakdowns:
        yield f"{_count(len(report.breakdowns), 'part')} of the audit itself broke down."
    unmet = {name for subject in subjects for name in subject.unmet}
    if unmet:
        yield f"Not judged, but the policy wants it: {', '.join(sorted(unmet))}."
    if several and report.verdict != "pass":
        bad = sum(subject.verdict == report.verdict for subject in subjects)
        verb = "could not be judged"
        if report.verdict == "fail":
            verb = "fails" if bad == 1 else "fail"
        yield f"{bad} of {len(subjects)} subjects {verb}."
    findings = report.counts.failed + report.counts.warned
    roots = sum(len(subject.roots) for subject in subjects)
    if findings:
        yield _findings_text(findings, roots)
    judged = sum(subject.num_judged for subject in subjects)
    total = sum(subject.num_checks for subject in subjects)
    if report.verdict == "inconclusive" and not several:
        text = inconclusive_text(report)
        yield f"{text[:1].upper()}{text[1:]}."
    elif not findings:
        yield f"No finding in {_count(judged, 'judged check')}."
    if judged < total:
        yield f"{_count(total - judged, 'check')} of {total:,} could not be judged."


def _findings_text(findings: int, roots: int) -> str:
    if findings == roots:
        return f"{_count(findings, 'finding')}, each with its own cause."
    return f"{_count(findings, 'finding')} {_come(findings)} down to {_count(roots, 'root cause')}."


def root_groups(report: AuditReport) -> list[RootGroup]:
    """Gather the root causes of all subjects by rule, the worst subject's gravest first."""
    groups: dict[str, RootGroup] = {}
    for index, subject in enumerate(report.worst_first):
        by_rule = {result.rule: result for result in subject.results}
        for root in subject.roots:
            group = groups.setdefault(root.rule, RootGroup(by_rule[root.rule], []))
            group.num_subjects += 1
            if len(group.entries) < MOST_ENTRIES:
                explained = tuple(by_rule[rule] for rule in root.explains)
                group.entries.append(
                    RootEntry(
                        index,
                        subject.identity.name,
                        by_rule[root.rule],
                        explained,
                        root.follows_from,
                    )
                )
    return list(groups.values())


def broken_rules(report: AuditReport) -> list[CheckResult]:
    """Return the results of rules that broke: they gate, and are no root cause."""
    return [
        result
        for subject in report.worst_first
        for result in subject.results
        if result.outcome is Outcome.ERROR
    ]


def findings_by_subject(report: AuditReport) -> list[tuple[CheckResult, list[Outcome | None]]]:
    """Return every rule that found something on any subject, with its outcome on each."""
    shown = report.worst_first[:MOST_SUBJECTS]
    outcomes = [{result.rule: result for result in subject.results} for subject in shown]
    telling = (Outcome.FAILED, Outcome.ERROR, Outcome.WARNED, Outcome.WAIVED)
    found: dict[str, CheckResult] = {}
    for subject in shown:
        for result in subject.results:
            if result.outcome in telling:
                found.setdefault(result.rule, result)
    ranked = sorted(
        found.values(), key=lambda result: (result.severity.rank, result.stage, result.rule)
    )
    return [
        (result, [_outcome(of_subject.get(result.rule)) for of_subject in outcomes])
        for result in ranked[:MOST_FINDINGS]
    ]


def _outcome(result: CheckResult | None) -> Outcome | None:
    return result.outcome if result else None


def blocked_rules(subjects: Sequence[SubjectReport]) -> list[Blocked]:
    """Return the rules that wait, by the rule that they wait for."""
    waiting: dict[str, dict[str, None]] = {}
    for subject in subjects:
        for result in subject.results:
            if result.outcome is Outcome.BLOCKED:
                waiting.setdefault(result.blocked_by or "", {})[result.rule] = None
    return [Blocked(rule, tuple(blocked)) for rule, blocked in sorted(waiting.items())]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _come(number: int) -> str:
    return "comes" if number == 1 else "come"
