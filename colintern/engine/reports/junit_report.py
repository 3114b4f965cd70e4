"""The audit as JUnit XML, in the form that pytest writes it (`xunit2`)."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from platform import node
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from colintern.engine.audit_report import AuditReport
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.finding_text import finding_text
from colintern.engine.subject_report import SubjectReport

SKIPPED: Final = frozenset({Outcome.NO_EVIDENCE, Outcome.BLOCKED, Outcome.WAIVED})
"""Outcomes that a test runner calls skipped."""
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_report(report: AuditReport) -> Iterator[str]:
    """Render the report in pieces, a subject at a time: a test case a check.

    A finding that gates is a failure, a rule that broke an error, what was not judged skipped;
    what is below the gate passes, with its outcome as a property.
    """
    counts = _Counts()
    for subject in report.subjects:
        counts.add(subject)
    attributes = {
        "name": "colintern",
        "errors": counts.errors + len(report.breakdowns),
        "failures": counts.failures,
        "skipped": counts.skipped,
        "tests": counts.tests + len(report.breakdowns),
        "time": f"{report.duration_seconds:.3f}",
        "timestamp": datetime.now().astimezone().isoformat(),
        "hostname": node(),
    }
    yield '<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="colintern audit">'
    yield f"<testsuite{_attributes(attributes)}>\n"
    for text in report.breakdowns:
        yield f'<testcase classname="colintern" name="audit"><error message={_quoted(text)} />'
        yield "</testcase>\n"
    for subject in report.subjects:
        yield "".join(_case(result) for result in subject.results)
    yield "</testsuite></testsuites>\n"


class _Counts:
    """How many test cases there are of each kind."""

    def __init__(self) -> None:
        self.tests = self.errors = self.failures = self.skipped = 0

    def add(self, subject: SubjectReport) -> None:
        self.tests += len(subject.results)
        for result in subject.results:
            self.errors += _is_error(result)
            self.failures += result.gates and not _is_error(result)
            self.skipped += not result.gates and result.outcome in SKIPPED


def _is_error(result: CheckResult) -> bool:
    return result.gates and result.outcome is Outcome.ERROR


def _case(result: CheckResult) -> str:
    attributes = {
        "classname": f"checks.{result.family}",
        "name": f"{result.rule} {result.name}[{result.subject}]",
        "time": f"{result.duration_seconds:.3f}",
    }
    return f"<testcase{_attributes(attributes)}>{_properties(result)}{_fault(result)}</testcase>\n"


def _fault(result: CheckResult) -> str:
    if result.gates:
        kind = "error" if _is_error(result) else "failure"
        message = _quoted(f"{result.rule} {result.name}: {result.observed}")
        return f"<{kind} message={message}>{_escaped(finding_text(result))}</{kind}>"
    if result.outcome in SKIPPED:
        return f'<skipped type="colintern" message={_quoted(skip_reason(result))} />'
    return ""


def skip_reason(result: CheckResult) -> str:
    """Return why a check counts as skipped, its outcome first."""
    return f"{result.outcome.label}: {result.waiver or result.observed}"


def properties_of(result: CheckResult) -> list[tuple[str, str]]:
    """Return what a JUnit file says beside pass, failure and skipped."""
    names = ("rule", "name", "family", "subject", "observed", "expected")
    properties = [(name, str(getattr(result, name))) for name in names]
    return [*properties, ("severity", result.severity.value), ("outcome", result.outcome.value)]


def _properties(result: CheckResult) -> str:
    entries = (
        f"<property name={_quoted(name)} value={_quoted(value)} />"
        for name, value in properties_of(result)
    )
    return f"<properties>{''.join(entries)}</properties>"


def _attributes(values: Mapping[str, object]) -> str:
    return "".join(f" {name}={_quoted(str(value))}" for name, value in values.items())


def _quoted(text: str) -> str:
    return quoteattr(_NOT_IN_XML.sub("�", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _escaped(text: str) -> str:
    return escape(_NOT_IN_XML.sub("�", text))
