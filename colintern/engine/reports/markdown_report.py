"""The audit as Markdown for a pull request or a CI summary; every artefact's text is escaped."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from colintern.engine.audit_report import AuditReport
from colintern.engine.floor import gaps_text
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.subject_report import SubjectReport

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&@:$])")
_ENTITIES: Final = {
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    ":": "&#58;",
    "$": "&#36;",
    # GitHub looks for names and numbers in the text as shown: a space of no width parts them.
    "@": "&#64;&#8203;",
    "#": "&#35;&#8203;",
}
_UNREMARKABLE: Final = (Outcome.PASSED, Outcome.NO_EVIDENCE, Outcome.BLOCKED)


def markdown_report(report: AuditReport, *, findings_only: bool = False) -> Iterator[str]:
    """Render verdict and root causes first, then every finding, then what was not judged.

    The text comes in pieces, a subject at a time.

    Args:
        report: the audit.
        findings_only: leave out what was not judged, for a reader with a limit of size.
    """
    yield _text(_head(report))
    for subject in report.subjects:
        lines = list(_subject_lines(subject))
        if not findings_only:
            lines.extend(_unjudged(subject))
        yield "\n" + _text(lines)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _head(report: AuditReport) -> Iterator[str]:
    yield f"## ColIntern audit: {report.verdict.upper()}"
    yield ""
    yield f"{report.counts.shown()} · {report.duration_seconds:.1f} s"
    yield ""
    yield from (f"- {escaped(line)}" for line in report.policy.lines())
    yield ""
    yield from (f"- **broke down**: {escaped(text)}" for text in report.breakdowns)
    if len(report.subjects) > 1:
        yield from _subject_table(report)


def escaped(text: str) -> str:
    r"""Escape everything that Markdown, a table or a mention could act on.

    >>> escaped("a|b <script> @you")
    'a\\|b &lt;script&gt; &#64;&#8203;you'
    """
    return _SPECIAL.sub(lambda match: _ENTITIES.get(match[1], f"\\{match[1]}"), text)


def _subject_table(report: AuditReport) -> Iterator[str]:
    yield "| subject | verdict | judged | root causes |"
    yield "|---|---|---|---|"
    for subject in report.summaries:
        causes = ", ".join(f"{root.rule} {name}" for root, name in subject.roots)
        judged = f"{subject.num_judged} of {subject.num_checks}"
        yield f"| {escaped(subject.identity.name)} | {subject.verdict} | {judged} | {causes} |"
    yield ""


def _subject_lines(subject: SubjectReport) -> Iterator[str]:
    identity = subject.identity
    facts = [fact for fact in (identity.kind_text, identity.family, identity.base_model) if fact]
    yield f"### {escaped(identity.name)}: {subject.verdict}"
    yield ""
    if facts:
        yield " · ".join(escaped(fact) for fact in facts)
        yield ""
    yield from (f"- **not judged, but the policy wants it**: {name}" for name in subject.unmet)
    if subject.floor:
        yield f"- **too little for a pass**: {escaped(gaps_text(subject.floor))}"
    for number, root in enumerate(subject.roots, start=1):
        result = subject.result(root.rule)
        yield f"{number}. **{root.rule} {result.name}**: {escaped(result.observed)}"
        yield f"   - Fix: {escaped(result.fix)}"
        if root.explains:
            yield f"   - Explains {', '.join(root.explains)}"
        if root.follows_from:
            yield f"   - Follows from waived {', '.join(root.follows_from)}"
    if subject.roots:
        yield ""
    findings = [result for result in subject.results if result.outcome not in _UNREMARKABLE]
    if findings:
        yield from _table(findings)


def _table(findings: list[CheckResult]) -> Iterator[str]:
    yield "| rule | outcome | observed | expected | where |"
    yield "|---|---|---|---|---|"
    for result in findings:
        outcome = result.outcome.label
        if result.waiver or result.known:
            outcome += f" ({escaped(result.waiver or 'known since the recorded audit')})"
        cells = (result.observed, result.expected, result.where)
        yield f"| {result.rule} {result.name} | {outcome} | {' | '.join(map(escaped, cells))} |"
    yield ""


def _unjudged(subject: SubjectReport) -> Iterator[str]:
    if subject.identity.ignored:
        yield f"Not judged by any rule: {escaped(subject.identity.ignored_text())}"
        yield ""
    for outcome in (Outcome.BLOCKED, Outcome.NO_EVIDENCE):
        results = [result for result in subject.results if result.outcome is outcome]
        if results:
            yield f"<details><summary>{outcome.label}: {len(results)}</summary>"
            yield ""
            yield from (
                f"- {result.rule} {result.name}: {escaped(result.observed)}" for result in results
            )
            yield ""
            yield "</details>"
            yield ""
