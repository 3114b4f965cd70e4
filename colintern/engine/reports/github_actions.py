"""What GitHub Actions shows of an audit: annotations, and the summary of the job.

The runner obeys commands wherever a line of the log begins with one, so a text of an artefact must
not get there: while the audit prints, commands are stopped by a token that nobody can guess.
"""

import os
import secrets
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from colintern.engine.audit_report import AuditReport, SubjectReport
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.finding_text import one_paragraph
from colintern.engine.reports.markdown_report import markdown_report

_MAX_ANNOTATIONS: Final = 10
"""Of each kind: GitHub shows no more a step."""
_MAX_SUMMARY_BYTES: Final = 1_000_000
"""GitHub takes 1 MiB a step; a longer summary is refused whole."""


class WorkflowCommands:
    """Stops the runner's commands from the first line of the audit to its last."""

    def __init__(self, config: pytest.Config) -> None:
        """Look up where this runs."""
        self.is_worker = hasattr(config, "workerinput")
        self.active = os.environ.get("GITHUB_ACTIONS") == "true" and not self.is_worker
        token = secrets.token_hex(16)
        self.stopped = f"::stop-commands::{token}"
        """The line after which the runner obeys nothing."""
        self.resumed = f"::{token}::"
        """The line after which it obeys again."""
        self._config = config

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, object, object]:
        """Stop them before anything is printed."""
        self._say(self.stopped)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Let them be obeyed again, after the audit has had its last word."""
        try:
            return (yield)
        finally:
            self._say(self.resumed)

    def _say(self, line: str) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.write_line(line)


def annotations(report: AuditReport) -> Iterator[str]:
    """Yield workflow commands: an error for whatever fails the audit, a warning for other causes.

    Texts of artefacts cannot end the line or start a command of their own: `%`, line ends, and in
    properties `:` and `,` are escaped as the runner unescapes them.
    """
    commands = [*_told_of_the_audit(report), *_told_of_subjects(report)]
    for kind in ("error", "warning"):
        yield from [each for each in commands if each.startswith(f"::{kind} ")][:_MAX_ANNOTATIONS]


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


def _told_of_the_audit(report: AuditReport) -> Iterator[str]:
    yield from (_command("error", "the audit broke down", text) for text in report.breakdowns)
    for subject in report.worst_first:
        if subject.unmet:
            text = f"not judged, but the policy wants it: {', '.join(subject.unmet)}"
            yield _command("error", subject.identity.name, text)


def _told_of_subjects(report: AuditReport) -> Iterator[str]:
    for subject in report.worst_first:
        for root in subject.roots:
            # A cause below the gate fails the audit through what follows from it.
            gates = any(subject.result(rule).gates for rule in (root.rule, *root.explains))
            yield _annotation(subject, subject.result(root.rule), gates=gates)
        for result in subject.results:
            if result.outcome is Outcome.ERROR or _is_demanded(result):
                yield _annotation(subject, result, gates=True)


def _is_demanded(result: CheckResult) -> bool:
    """Whether `--strict-evidence` makes its absence fail."""
    return result.gates and result.outcome is Outcome.NO_EVIDENCE


def _annotation(subject: SubjectReport, result: CheckResult, *, gates: bool) -> str:
    title = f"{result.rule} {result.name}: {subject.identity.name}"
    kind = "error" if gates else "warning"
    return _command(kind, title, one_paragraph(result))


def _command(kind: str, title: str, text: str) -> str:
    name = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={name}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
