"""What GitHub Actions shows of an audit: annotations, and the summary of the job.

The runner obeys commands wherever a line of the log begins with one, so a text of an artefact must
not get there: while the audit prints, commands are stopped by a token that nobody can guess.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from colintern.engine.audit_report import AuditReport
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.finding_text import one_paragraph
from colintern.engine.reports.markdown_report import markdown_report
from colintern.engine.subject_report import SubjectReport

_MAX_ANNOTATIONS: Final = 10
"""Of each kind: GitHub shows no more a step."""
_MAX_SUMMARY_BYTES: Final = 1_000_000
"""GitHub takes 1 MiB a step; a longer summary is refused whole."""


class WorkflowCommands:
    """Stops the runner's commands from the first line of the audit to its last."""

    def __init__(self) -> None:
        """Look up where this runs."""
        self.active = os.environ.get("GITHUB_ACTIONS") == "true"
        token = secrets.token_hex(16)
        self.stopped = f"::stop-commands::{token}"
        """The line after which the runner obeys nothing."""
        self.resumed = f"::{token}::"
        """The line after which it obeys again."""


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
    text = _text_within(markdown_report(report), _MAX_SUMMARY_BYTES)
    if text is None:
        pieces = markdown_report(report, findings_only=True)
        text = _start_of(pieces, _MAX_SUMMARY_BYTES)
    with Path(environment["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as summary:
        summary.write(f"\n{text}")


def _text_within(pieces: Iterable[str], most_bytes: int) -> str | None:
    """Return the whole text, or None where it is larger."""
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece.encode())
        if size > most_bytes:
            return None
    return "".join(taken)


def _start_of(pieces: Iterable[str], most_bytes: int) -> str:
    taken = b""
    for piece in pieces:
        taken += piece.encode()
        if len(taken) > most_bytes:
            break
    return taken[:most_bytes].decode(errors="ignore")


def _told_of_the_audit(report: AuditReport) -> Iterator[str]:
    yield from (_command("error", "the audit broke down", text) for text in report.breakdowns)
    for subject in report.summaries:
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
