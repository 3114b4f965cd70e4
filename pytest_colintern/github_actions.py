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

from pytest_colintern.audit_report import AuditReport, SubjectReport
from pytest_colintern.markdown_report import markdown_report
from pytest_colintern.outcome import CheckResult, Outcome

_MAX_ANNOTATIONS: Final = 10
"""GitHub shows no more than ten of each kind a step."""
_MAX_SUMMARY_BYTES: Final = 1_000_000
"""GitHub takes 1 MiB a step; a longer summary is refused whole."""


class WorkflowCommands:
    """Stops the runner's commands from the first line of the audit to its last."""

    def __init__(self, config: pytest.Config) -> None:
        """Look up where this runs."""
        is_worker = hasattr(config, "workerinput")
        self.active = os.environ.get("GITHUB_ACTIONS") == "true" and not is_worker
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
