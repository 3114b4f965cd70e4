"""The places where a report turns: each figure and each exception, on both sides."""

import pytest
from msgspec.structs import replace
from support.audit_reports import report_of

from colintern.engine.catalogue import shipped_rules
from colintern.engine.evidence import sources
from colintern.engine.missing import Missing
from colintern.engine.outcome import Outcome, OutcomeCounts, check_result
from colintern.engine.report_store import ReportStore
from colintern.engine.reports.markdown_report import escaped
from colintern.engine.reports.missing_evidence import missing_evidence
from colintern.engine.reports.terminal import MAX_ROOTS, verdict_lines
from colintern.engine.root_causes import RootCause
from colintern.engine.subject_report import SubjectIdentity, SubjectReport
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence

RULES = shipped_rules()


def result(rule, outcome, **changes):
    return check_result(RULES[rule], "run", outcome, observed="seen", **changes)


def report(*results):
    identity = SubjectIdentity(name="run", path="run")
    return report_of([identity], results)


@pytest.mark.parametrize(
    ("outcome", "severity", "missing", "counts"),
    [
        (Outcome.WAIVED, ERROR, None, True),
        (Outcome.WAIVED, WARNING, None, True),
        (Outcome.WAIVED, INFO, None, False),
        (Outcome.WAIVED, ERROR, Missing(source="some.json"), False),
        (Outcome.FAILED, ERROR, None, False),
    ],
)
def test_waived_finding_is_a_verdict_that_matters(outcome, severity, missing, counts):
    found = result("CFG001", outcome, severity=severity, missing=missing)
    assert found.is_waived_finding is counts


@pytest.mark.parametrize(("severity", "follows"), [(WARNING, ("LOG012",)), (INFO, ())])
def test_waived_note_takes_no_part_in_roots(severity, follows):
    waived = result("LOG012", Outcome.WAIVED, severity=severity, expected="wanted")
    symptom = result("LOG004", Outcome.FAILED, expected="wanted")
    assert report(waived, symptom).subjects[0].roots == (
        RootCause("LOG004", explains=(), follows_from=follows),
    )


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        (("SEC001",), "pass"),
        (("ENV001",), "pass"),
        (("SEC001", "CFG001"), "inconclusive"),
        (("ENV001", "CFG001"), "inconclusive"),
        (("HWU001", "CFG001"), "pass"),
    ],
)
def test_bookkeeping_alone_says_nothing_of_the_model(rules, verdict):
    judged = (result(rule, Outcome.PASSED) for rule in rules if rule != "CFG001")
    unknown = (result(rule, Outcome.NO_EVIDENCE) for rule in rules if rule == "CFG001")
    assert report(*judged, *unknown).verdict == verdict


@pytest.mark.parametrize(("num_roots", "others"), [(4, ""), (5, "1 more root causes: RES004")])
def test_four_roots_are_shown_in_full(num_roots, others):
    assert MAX_ROOTS == 4
    rules = ("ADP001", "CFG008", "LOG016", "PRC001", "RES004")[:num_roots]
    results = tuple(result(rule, Outcome.FAILED, expected="wanted") for rule in rules)
    subject = SubjectReport(
        identity=SubjectIdentity(name="run", path="run"),
        verdict="fail",
        counts=OutcomeCounts.of(list(results)),
        roots=tuple(RootCause(rule, explains=()) for rule in rules),
        results=results,
    )
    whole = report(*results)
    store = ReportStore()
    store.append(subject)
    lines = [text for text, _ in verdict_lines(replace(whole, subjects=store))]
    assert sum(line.startswith("root cause") for line in lines) == 4
    assert [line for line in lines if "more root" in line] == ([others] if others else [])
    assert len(lines) <= 24


@pytest.mark.parametrize("text", ["@you", "a@b.c", "@org/team"])
def test_markdown_mentions_nobody(text):
    assert "@" not in escaped(text)
    assert "&#64;" in escaped(text)


def test_option_that_was_not_given_is_not_missing():
    absent = (
        NoEvidence(sources.MERGED, needed_for="verifying a merge"),
        NoEvidence("config.json", needed_for="its modules"),
    )
    results = [
        check_result(RULES[rule], "run", Outcome.NO_EVIDENCE, missing=each.missing)
        for rule, each in zip(("ADP020", "PRJ003"), absent, strict=True)
    ]
    told = missing_evidence(report(*results).subjects)
    assert [(each.name, each.rules) for each in told] == [("config.json", ("PRJ003",))]
