"""The findings as SARIF 2.1.0, which code-scanning viewers read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import quote

import msgspec

from colintern.engine.audit_report import AuditReport
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.finding_text import one_paragraph
from colintern.engine.verdict import Severity

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_REPORTED: Final = (Outcome.FAILED, Outcome.WARNED, Outcome.NOTED, Outcome.WAIVED, Outcome.ERROR)

# Viewers make a link of `[text](destination)`, with a scheme or the number of a location.
_LINK: Final = re.compile(r"\]\((?=\s*(?:\d|[A-Za-z][\w+.-]*:))")


def sarif_report(report: AuditReport) -> Iterator[str]:
    """Render every finding; waived ones are suppressed with their reason."""
    rules: dict[str, dict[str, Any]] = {}
    results = []
    for subject in report.subjects:
        for result in subject.results:
            if result.outcome in _REPORTED:
                rules.setdefault(result.rule, _rule(result))
                entry = _result(subject.identity.path, result, list(rules).index(result.rule))
                if report.policy.audit_baseline:
                    entry["baselineState"] = "unchanged" if result.known else "new"
                results.append(entry)
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "ColIntern",
                "version": report.colintern,
                "rules": list(rules.values()),
            }
        },
        "results": results,
        "invocations": [_invocation(report)],
        "properties": {"verdict": report.verdict, "counts": msgspec.to_builtins(report.counts)},
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    yield json.dumps(document, indent=1, allow_nan=False) + "\n"


def _invocation(report: AuditReport) -> dict[str, Any]:
    """What has no rule of its own: where the audit broke down, and what it had to judge."""
    texts = [f"broke down: {text}" for text in report.breakdowns]
    texts += [
        f"{subject.identity.name}: not judged, but the policy wants it: {', '.join(subject.unmet)}"
        for subject in report.subjects.summaries
        if subject.unmet
    ]
    return {
        "executionSuccessful": not report.breakdowns,
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": _plain(text)}} for text in texts
        ],
    }


def _rule(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.rule,
        "name": result.name,
        "shortDescription": {"text": result.summary},
        "fullDescription": {"text": result.why},
        "help": {"text": f"{result.usual_fix}\n\nSource: {result.source}"},
    }


def _result(path: str, result: CheckResult, position: int) -> dict[str, Any]:
    level = "error" if result.outcome is Outcome.ERROR else _LEVELS[result.severity]
    entry: dict[str, Any] = {
        "ruleId": result.rule,
        "ruleIndex": position,
        "level": level,
        "message": {"text": _plain(one_paragraph(result))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _reference(result.where or path)},
                    # The file as a whole: viewers show nothing without a line.
                    "region": {"startLine": 1, "endLine": 1},
                }
            }
        ],
        "partialFingerprints": {"ruleAndSubject/v1": f"{result.rule}:{result.subject}"},
    }
    if result.waiver:
        entry["suppressions"] = [{"kind": "external", "justification": result.waiver}]
    return entry


def _plain(text: str) -> str:
    """Keep a text of an artefact from becoming a link."""
    return _LINK.sub("] (", text)


def _reference(place: str) -> str:
    """Return a URI: relative inside the working directory, taken for the repository."""
    if not place.startswith("/"):
        return quote(place, safe="/")
    path = PurePath(place)
    here = Path.cwd()
    if path.is_relative_to(here) and path != here:
        return quote(str(path.relative_to(here)), safe="/")
    return "file://" + quote(place, safe="/")
