"""What GitHub Actions shows of an audit: annotations, and the summary of the job."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pytest_colintern.audit_report import AuditReport, SubjectReport
from pytest_colintern.markdown_report import markdown_report
from pytest_colintern.outcome import CheckResult, Outcome

_MAX_ANNOTATIONS: Final = 10
"""GitHub shows no more than ten of each kind a step."""
_MAX_SUMMARY_BYTES: Final = 1_000_000
"""GitHub takes 1 MiB a step; a longer summary is refused whole."""


def annotations(report: AuditReport) -> Iterator[str]:
    """Yield workflow commands: an error for each gating root cause, a warning for each other.

    Texts of artefacts cannot end the line or start a command of their own: `%`, line ends, and in
    properties `:` and `,` are escaped as the runner unescapes them.
    """
    commands = [
        _annotation(subject, result) for subject in report.subjects for result in _told(subject)
    ]
    yield from commands[:_MAX_ANNOTATIONS]


def append_summary(report: AuditReport, environment: Mapping[str, str]) -> None:
    """Append the Markdown report to the file that `GITHUB_STEP_SUMMARY` names.

    Raises:
        OSError: the file cannot be written.
    """
    text = markdown_report(report)
    if len(text.encode()) > _MAX_SUMMARY_BYTES:
        text = (
            markdown_report(report, findings_only=True)
            .encode()[:_MAX_SUMMARY_BYTES]
            .decode(errors="ignore")
        )
    with Path(environment["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as summary:
        summary.write(f"\n{text}")


def _told(subject: SubjectReport) -> Iterator[CheckResult]:
    yield from (subject.result(root.rule) for root in subject.roots)
    yield from (result for result in subject.results if result.outcome is Outcome.ERROR)


def _annotation(subject: SubjectReport, result: CheckResult) -> str:
    kind = "error" if result.gates else "warning"
    title = _escaped(f"{result.rule} {result.name}: {subject.identity.name}")
    title = title.replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{_escaped(f'{result.observed}. {result.fix}')}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
