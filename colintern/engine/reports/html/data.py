"""The checks as data for the HTML report's table: each rule's text and each string stored once."""

import json
from collections.abc import Iterable
from typing import Any, Final

from colintern.engine.audit_report import AuditReport
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.finding_text import BROKEN_WHY
from colintern.engine.rule_families import RULE_FAMILIES
from colintern.engine.subject_report import SubjectReport
from colintern.engine.verdict import Severity

OUTCOME_ORDER: Final = (
    Outcome.FAILED,
    Outcome.ERROR,
    Outcome.WARNED,
    Outcome.NOTED,
    Outcome.WAIVED,
    Outcome.NO_EVIDENCE,
    Outcome.BLOCKED,
    Outcome.PASSED,
)
"""What a reader must act on first."""
SEVERITY_ORDER: Final = tuple(Severity)
_BROKEN_FIX: Final = "Report it to the rule's author, with the text under Observed."
_KNOWN: Final = "In the recorded audit too, so it does not gate."

# A `<` could end the script block that holds the data, whatever the text around it says.
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def audit_data(report: AuditReport) -> str:
    """Return the data as JSON that can stand in a script block of HTML."""
    strings = _Strings()
    rules = _rules(report)
    places = {rule["id"]: index for index, rule in enumerate(rules)}
    rows = [
        _row(result, places[result.rule], index, strings, _symptoms(result, subject))
        for index, subject in enumerate(report.worst_first)
        for result in subject.results
    ]
    rows.sort(key=lambda row: (row[2], row[3], rules[row[0]]["stage"], row[0], row[1]))
    document = {
        "outcomes": [[outcome.value, outcome.label] for outcome in OUTCOME_ORDER],
        "severities": [severity.value for severity in SEVERITY_ORDER],
        "families": {each.prefix: each.title for each in RULE_FAMILIES},
        "broken": {"why": BROKEN_WHY, "fix": _BROKEN_FIX},
        "known": _KNOWN,
        "subjects": [subject.identity.name for subject in report.summaries],
        "rules": rules,
        "strings": strings.values,
        "rows": rows,
    }
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


class _Strings:
    """Numbers for texts; ten subjects say much the same of a rule."""

    def __init__(self) -> None:
        self.values: list[str] = [""]
        self._numbers = {"": 0}

    def number(self, text: str | None) -> int:
        known = self._numbers.setdefault(text or "", len(self.values))
        if known == len(self.values):
            self.values.append(text or "")
        return known


def _rules(report: AuditReport) -> list[dict[str, Any]]:
    found: dict[str, CheckResult] = {}
    for subject in report.subjects:
        for result in subject.results:
            found[result.rule] = result
    return [_rule(result) for result in sorted(found.values(), key=_rule_order)]


def _rule_order(result: CheckResult) -> tuple[int, str]:
    return result.stage, result.rule


def _rule(result: CheckResult) -> dict[str, Any]:
    names: Iterable[str] = ("name", "family", "summary", "why", "evidence", "source")
    return {
        "id": result.rule,
        "stage": result.stage,
        "requires": list(result.requires),
        "explains": list(result.may_explain),
        "fix": result.usual_fix,
        **{name: getattr(result, name) for name in names},
    }


def _symptoms(result: CheckResult, subject: SubjectReport) -> str:
    """What a finding may have caused on its subject, by id."""
    caused = {each.rule for each in subject.results if each.is_finding and not each.independent}
    return " ".join(sorted(caused.intersection(result.explains))) if result.is_finding else ""


def _row(
    result: CheckResult, rule: int, subject: int, strings: _Strings, symptoms: str
) -> list[int]:
    texts = (
        result.observed,
        result.expected,
        result.where,
        result.blocked_by,
        result.waiver,
        _KNOWN if result.known else "",
        # A rule may tell a fix for this very case; missing evidence has a hint instead.
        result.remedy if result.remedy != result.usual_fix else "",
        symptoms,
    )
    return [
        rule,
        subject,
        OUTCOME_ORDER.index(result.outcome),
        SEVERITY_ORDER.index(result.severity),
        *map(strings.number, texts),
    ]
