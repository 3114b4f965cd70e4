"""The audit on a terminal: findings first, the verdict and the root causes last."""

import textwrap
from collections.abc import Iterator
from typing import Final

from colintern.engine.audit_report import AuditReport, inconclusive_text
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.finding_text import WIDTH, finding_text, one_line
from colintern.engine.reports.missing_evidence import missing_evidence
from colintern.engine.root_causes import RootCause
from colintern.engine.subject_report import SubjectReport

MAX_ROOTS: Final = 4
"""Root causes shown in full at the end, so that verdict and causes fit on a screen of 24 lines."""
MAX_SUBJECTS: Final = 8
"""Subjects listed at the end of an audit of several."""
_SHOWN_MISSING: Final = 3
_FIX_LINES: Final = 2
_INDENT: Final = " " * 4
_MOST: Final = 0.5
"""Share of the checks that a pass must rest on; under it the verdict says on how few it rests."""

Line = tuple[str, dict[str, bool]]
"""Text and pytest's markup for it."""

_COLOUR: Final[dict[str, dict[str, bool]]] = {
    "pass": {"green": True, "bold": True},
    "fail": {"red": True, "bold": True},
    "inconclusive": {"yellow": True, "bold": True},
}


def finding_lines(subject: SubjectReport, *, verbose: bool) -> Iterator[Line]:
    """Yield every finding on a subject in full (root causes first), then what was not judged."""
    for result in _ordered_findings(subject):
        first, *rest = finding_text(result).split("\n")
        yield first, {"bold": True, "red": result.gates, "yellow": not result.gates}
        yield from ((line, {}) for line in rest)
        yield "", {}
    yield from _unjudged_lines(subject, verbose=verbose)
    if subject.identity.weights_of:
        place = f"{subject.identity.weights_of} in {subject.identity.name}"
        yield f"weights judged: those of {place}, whose own folder holds none", {}


def verdict_lines(report: AuditReport) -> Iterator[Line]:
    """Yield the last lines of the audit: verdict, counts, root causes; at most a screenful."""
    several = len(report.subjects) > 1
    if several:
        yield from _subject_table(report)
    else:
        for subject in report.subjects:
            yield from _root_lines(subject, MAX_ROOTS)
    yield from (
        (_cut(f"broke down: {text}", WIDTH), {"red": True}) for text in report.breakdowns[:3]
    )
    for waiver in report.policy.expired_waivers:
        yield _cut(f"waiver {waiver.shown()}", WIDTH), {"yellow": True}
    yield report.counts.shown(), {}
    yield f"verdict: {report.verdict.upper()}{_reason(report)}", _COLOUR[report.verdict]


def _ordered_findings(subject: SubjectReport) -> list[CheckResult]:
    shown = (Outcome.FAILED, Outcome.WARNED, Outcome.NOTED, Outcome.ERROR, Outcome.WAIVED)
    roots = [root.rule for root in subject.roots]
    return sorted(
        (result for result in subject.results if result.outcome in shown),
        key=lambda result: (
            roots.index(result.rule) if result.rule in roots else len(roots),
            not result.gates,
            result.severity.rank,
            result.stage,
            result.rule,
        ),
    )


def _unjudged_lines(subject: SubjectReport, *, verbose: bool) -> Iterator[Line]:
    if verbose:
        yield from ((line, {}) for line in _each_unjudged(subject))
    else:
        yield from ((line, {}) for line in (*_blocked_lines(subject), *_missing_lines(subject)))


def _each_unjudged(subject: SubjectReport) -> Iterator[str]:
    """One line a rule, and the rules that passed."""
    for outcome in (Outcome.BLOCKED, Outcome.NO_EVIDENCE):
        yield from (
            f"{outcome.label}: {one_line(result)}"
            for result in subject.results
            if result.outcome is outcome
        )
    if subject.identity.ignored:
        yield f"not judged by any rule: {subject.identity.ignored_text()}"
    passed = [result for result in subject.results if result.outcome is Outcome.PASSED]
    yield from (f"passed: {one_line(result)}" for result in passed)


def _blocked_lines(subject: SubjectReport) -> Iterator[str]:
    """One line a rule that others wait for: `blocked by TEAM003: TEAM001, TEAM002`."""
    waiting: dict[str, list[str]] = {}
    for result in subject.results:
        if result.outcome is Outcome.BLOCKED:
            waiting.setdefault(result.blocked_by or "", []).append(result.rule)
    for blocker, rules in sorted(waiting.items(), key=lambda each: (-len(each[1]), each[0])):
        yield from _wrapped(f"blocked by {blocker}: {', '.join(rules)}")


def _missing_lines(subject: SubjectReport) -> Iterator[str]:
    """One line a source: `    task results (a known task): TEAM005`."""
    sources = missing_evidence([subject], options=True)
    if sources:
        yield "no evidence, by what is missing:"
    for source in sources:
        yield from _wrapped(f"{_INDENT}{source.short}: {', '.join(source.rules)}")


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=_INDENT * 2, break_on_hyphens=False)


def _root_lines(subject: SubjectReport, most: int) -> Iterator[Line]:
    for number, root in enumerate(subject.roots[:most], start=1):
        yield from _root(number, root, subject)
    if len(subject.roots) > most:
        others = ", ".join(root.rule for root in subject.roots[most:])
        yield _cut(f"{len(subject.roots) - most} more root causes: {others}", WIDTH), {}
    for result in subject.results:
        if result.outcome is Outcome.ERROR:
            yield _cut(f"error in {one_line(result)}", WIDTH), {"red": True}


def _root(number: int, root: RootCause, subject: SubjectReport) -> Iterator[Line]:
    result = subject.result(root.rule)
    waived = f" (follows from waived {', '.join(root.follows_from)})" if root.follows_from else ""
    head = f"root cause {number}: {result.rule} {result.name}{waived}"
    yield _cut(head, WIDTH), {"bold": True, "red": result.gates}
    yield f"    {_cut(result.observed, WIDTH - 4)}", {}
    fix = textwrap.wrap(f"fix: {result.fix}", WIDTH - 4, break_on_hyphens=False)
    yield from ((f"    {line}", {}) for line in fix[:_FIX_LINES])
    if root.explains:
        yield "    " + _cut("explains " + ", ".join(root.explains), WIDTH - 4), {}


def _cut(text: str, width: int) -> str:
    """Cut at a character: a pattern to copy has no spaces to cut at."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _subject_table(report: AuditReport) -> Iterator[Line]:
    worst_first = report.summaries
    width = max(len(subject.identity.name) for subject in worst_first[:MAX_SUBJECTS])
    for subject in worst_first[:MAX_SUBJECTS]:
        causes = ", ".join(f"{root.rule} {name}" for root, name in subject.roots[:2])
        causes = causes or ("no finding" if subject.verdict == "pass" else "")
        judged = f"{subject.num_judged:>3} of {subject.num_checks} judged"
        line = f"{subject.verdict:<12} {subject.identity.name:<{width}}  {judged}  {causes}"
        yield line.rstrip(), _COLOUR[subject.verdict] | {"bold": False}
    if len(worst_first) > MAX_SUBJECTS:
        yield f"and {len(worst_first) - MAX_SUBJECTS} more subjects", {}


def _reason(report: AuditReport) -> str:
    """Say on what the verdict rests, where the findings above do not say it."""
    subjects = report.subjects.summaries
    if unmet := [name for subject in subjects for name in subject.unmet]:
        return f": not judged, but the policy wants it: {', '.join(dict.fromkeys(unmet))}"
    if unjudged := _unjudged(report):
        return unjudged
    judged = sum(subject.num_judged for subject in subjects)
    total = sum(subject.num_checks for subject in subjects)
    if not total and not report.breakdowns:
        return (
            ": no checks were collected; name their folder or use `colintern audit`, and see "
            "whether --select, --skip-rules, -k or -m leave any"
        )
    if report.verdict == "inconclusive":
        return f": {inconclusive_text(report)}"
    if report.verdict == "pass" and judged < total * _MOST:
        return f", but only {judged} of {total} checks could be judged{_help(report, 'pass')}"
    of = f" of {len(subjects)} subjects" if len(subjects) > 1 else ""
    narrowed = report.verdict == "pass" and any(subject.narrowed for subject in subjects)
    left = "; the selection leaves out some of what a pass rests on" if narrowed else ""
    return f" ({judged} of {total} checks{of} judged{left})"


def _unjudged(report: AuditReport) -> str:
    """Count the rules that gate for want of evidence, and say which do not."""
    demanded = sum(subject.num_demanded for subject in report.subjects.summaries)
    if not demanded:
        return ""
    others = report.counts.no_evidence - demanded
    left = f"; {others} more need an option that was not given" if others else ""
    return f": {demanded} without evidence (--strict-evidence){left}"


def _help(report: AuditReport, verdict: str) -> str:
    missing = [
        name
        for subject in report.subjects.summaries
        if subject.verdict == verdict
        for name in subject.missing
    ]
    wanted = list(dict.fromkeys(missing))[:_SHOWN_MISSING]
    return f"; what would help: {'; '.join(wanted)}" if wanted else ""
