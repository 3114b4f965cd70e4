"""The audit as strict JSON, schema `colintern.audit/2`."""

import json
from collections.abc import Iterator
from textwrap import indent
from typing import Any

import msgspec

from colintern.engine.audit_report import SCHEMA, AuditReport
from colintern.engine.outcome import CheckResult, OutcomeCounts
from colintern.engine.policy_in_force import PolicyInForce
from colintern.engine.subject_report import SubjectSummary


def json_report(report: AuditReport) -> Iterator[str]:
    """Render the report in pieces, a subject's checks at a time.

    The text is valid JSON whatever the evidence held.
    """
    document = {
        "schema": SCHEMA,
        "colintern": report.colintern,
        "verdict": report.verdict,
        "duration_seconds": round(report.duration_seconds, 3),
        "settings": report.policy.settings,
        "policy": _policy(report.policy),
        "counts": _counts(report.counts),
        "breakdowns": list(report.breakdowns),
        "subjects": [_subject(subject) for subject in report.subjects.summaries],
        "root_causes": [
            {
                "rule": root.rule,
                "subject": subject.identity.name,
                "explains": list(root.explains),
                "follows_from_waived": list(root.follows_from),
            }
            for subject in report.subjects.summaries
            for root, _ in subject.roots
        ],
        "checks": [],
    }
    head, mark, tail = _dumped(document).rpartition("[]")
    yield head + mark[0]
    separator = "\n"
    for subject in report.subjects:
        for result in subject.results:
            yield separator + indent(_dumped(_check(result)), "  ")
            separator = ",\n"
    yield ("\n " if separator == ",\n" else "") + mark[1] + tail + "\n"


def _dumped(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)


def _policy(policy: PolicyInForce) -> dict[str, Any]:
    values = msgspec.to_builtins(policy)
    del values["settings"]
    return dict(values)


def _counts(counts: OutcomeCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in OutcomeCounts.__struct_fields__}


def _subject(subject: SubjectSummary) -> dict[str, Any]:
    identity = subject.identity
    return {
        "name": identity.name,
        "path": identity.path,
        "kind": identity.kind,
        "weights_of": identity.weights_of,
        "family": identity.family,
        "base_model": identity.base_model,
        "ignored": list(identity.ignored),
        "num_ignored": identity.num_ignored,
        "verdict": subject.verdict,
        "unmet_evidence": list(subject.unmet),
        "plan": subject.plan,
        "floor": [gap.part for gap in subject.floor],
        "counts": _counts(subject.counts),
    }


def _check(result: CheckResult) -> dict[str, Any]:
    return {
        "rule": result.rule,
        "name": result.name,
        "family": result.family,
        "severity": result.severity.value,
        "subject": result.subject,
        "outcome": result.outcome.value,
        "gates": result.gates,
        "summary": result.summary,
        "observed": result.observed,
        "missing": msgspec.to_builtins(result.missing),
        "expected": result.expected,
        "where": result.where,
        "why": result.why,
        "fix": result.fix,
        "source": result.source,
        "blocked_by": result.blocked_by,
        "waiver": result.waiver,
        "known": result.known,
        "first_known_step": result.first_known_step,
        "duration_seconds": round(result.duration_seconds, 6),
    }
