import datetime as dt

import pytest

from colintern.artifacts.errors import ArtifactError
from colintern.engine.judge import Judge
from colintern.engine.missing import Source
from colintern.engine.outcome import Outcome
from colintern.engine.policy import Policy, Waiver
from colintern.engine.resolver import Resolver
from colintern.engine.rule import rule_of
from pytest_colintern import ERROR, INFO, WARNING, NoEvidence, Verdict, rule

TODAY = dt.date(2026, 6, 1)


def declared(rule_id, behaviour, *, severity=ERROR, up_to=None, requires=(), role=None):
    @rule(rule_id, "some-fault", severity=severity, up_to=up_to, requires=requires, role=role)
    def check():
        """A fault.

        Why: it hurts.
        Evidence: a file.
        Fix: mend it.
        Source: definition.
        """
        if isinstance(behaviour, Exception):
            raise behaviour
        return behaviour

    return rule_of(check)


def verdict(ok, severity=None):
    return Verdict(ok, observed="o", expected="e", where="w", severity=severity)


def judge(*rules, policy=None):
    catalogue = {each.id: each for each in rules}
    return Judge("run", Resolver({}, {}), catalogue, policy or Policy(today=TODAY))


MALFORMED = ArtifactError("f.json", expected="JSON", found="text")
ESCAPING = ArtifactError("f.json", expected="inside", found="outside", escapes=True)


@pytest.mark.parametrize(
    ("behaviour", "severity", "outcome", "gates"),
    [
        (verdict(ok=True), ERROR, Outcome.PASSED, False),
        (verdict(ok=False), ERROR, Outcome.FAILED, True),
        (verdict(ok=False), WARNING, Outcome.WARNED, False),
        (verdict(ok=False), INFO, Outcome.NOTED, False),
        (NoEvidence("f", needed_for="g"), ERROR, Outcome.NO_EVIDENCE, False),
        (MALFORMED, ERROR, Outcome.BLOCKED, False),
        (ZeroDivisionError("x"), INFO, Outcome.ERROR, True),
        (None, INFO, Outcome.ERROR, True),
        (verdict(ok=False, severity=ERROR), WARNING, Outcome.ERROR, True),
    ],
)
def test_each_behaviour_has_its_outcome(behaviour, severity, outcome, gates):
    result = judge().result(declared("TEAM001", behaviour, severity=severity))
    assert (result.outcome, result.gates) == (outcome, gates)


def test_a_rule_of_two_severities_sets_the_worse():
    result = judge().result(
        declared("TEAM001", verdict(ok=False, severity=ERROR), severity=WARNING, up_to=ERROR)
    )
    assert (result.outcome, result.severity) == (Outcome.FAILED, ERROR)


def test_fail_on_warning_gates_warnings_but_not_info():
    policy = Policy(fail_on=WARNING, today=TODAY)
    warning = judge(policy=policy).result(declared("TEAM001", verdict(ok=False), severity=WARNING))
    info = judge(policy=policy).result(declared("TEAM001", verdict(ok=False), severity=INFO))
    assert (warning.outcome, info.outcome) == (Outcome.FAILED, Outcome.NOTED)


@pytest.mark.parametrize(("error", "blocker"), [(MALFORMED, "TEAM003"), (ESCAPING, "TEAM004")])
def test_a_bad_file_blocks_by_the_rule_that_reports_it(error, blocker):
    reporting = (
        declared("TEAM003", verdict(ok=False), role="malformed-files"),
        declared("TEAM004", verdict(ok=False), role="escaping-files"),
    )
    assert judge(*reporting).result(declared("TEAM001", error)).blocked_by == blocker
    assert judge().result(declared("TEAM001", error)).blocked_by is None


@pytest.mark.parametrize(
    ("required", "outcome"),
    [
        (verdict(ok=True), Outcome.PASSED),
        (verdict(ok=False), Outcome.BLOCKED),
        (NoEvidence("f", needed_for="g"), Outcome.NO_EVIDENCE),
        (RuntimeError("x"), Outcome.BLOCKED),
        (MALFORMED, Outcome.BLOCKED),
    ],
)
def test_a_requirement_decides_whether_a_rule_is_judged(required, outcome):
    first = declared("TEAM001", required)
    second = declared("TEAM002", verdict(ok=True), requires={"TEAM001"})
    assert judge(first, second).result(second).outcome is outcome


def test_blocked_names_the_rule_that_failed_first():
    first = declared("TEAM001", verdict(ok=False))
    second = declared("TEAM002", verdict(ok=True), requires={"TEAM001"})
    third = declared("TEAM003", verdict(ok=True), requires={"TEAM002"})
    assert judge(first, second, third).result(third).blocked_by == "TEAM001"


def test_a_waived_requirement_does_not_block():
    first = declared("TEAM001", verdict(ok=False))
    second = declared("TEAM002", verdict(ok=True), requires={"TEAM001"})
    policy = Policy(waivers={"TEAM001": Waiver("known")}, today=TODAY)
    waiting = judge(first, second, policy=policy)
    assert waiting.result(first).outcome is Outcome.WAIVED
    assert waiting.result(second).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("until", "outcome"),
    [
        (None, Outcome.WAIVED),
        (TODAY, Outcome.WAIVED),
        (TODAY - dt.timedelta(days=1), Outcome.FAILED),
    ],
)
def test_an_expired_waiver_no_longer_counts(until, outcome):
    policy = Policy(waivers={"TEAM001": Waiver("known", until)}, today=TODAY)
    assert judge(policy=policy).result(declared("TEAM001", verdict(ok=False))).outcome is outcome


def test_a_waiver_of_a_passing_rule_changes_nothing():
    policy = Policy(waivers={"TEAM001": Waiver("known")}, today=TODAY)
    assert (
        judge(policy=policy).result(declared("TEAM001", verdict(ok=True))).outcome is Outcome.PASSED
    )


def test_strict_evidence_gates_what_could_not_be_judged():
    missing = declared("TEAM001", NoEvidence("f", needed_for="g"))
    assert judge(policy=Policy(strict_evidence=True, today=TODAY)).result(missing).gates
    assert not judge().result(missing).gates


def test_a_rule_is_judged_once():
    calls = []

    @rule("TEAM001", "some-fault", severity=ERROR)
    def check():
        """A fault.

        Why: it hurts.
        Evidence: a file.
        Fix: mend it.
        Source: definition.
        """
        calls.append(1)
        return verdict(ok=True)

    one = judge()
    assert one.result(rule_of(check)) is one.result(rule_of(check))
    assert len(calls) == 1


def test_texts_of_artefacts_are_shown_escaped():
    hostile = Verdict(False, observed="\x1b[2J", expected="e", where="a\u202eb")
    result = judge().result(declared("TEAM001", hostile))
    assert (result.observed, result.where) == ("\\x1b[2J", "a\\u202eb")


@pytest.mark.parametrize(
    ("absence", "gates"),
    [
        (NoEvidence(Source("--baseline DIR", is_option=True), needed_for="a comparison"), False),
        (NoEvidence("--baseline DIR", needed_for="a comparison"), True),
        (NoEvidence("a log", needed_for="a comparison"), True),
    ],
)
def test_only_an_option_not_given_never_gates(absence, gates):
    absent = declared("TEAM001", absence)
    assert judge(policy=Policy(strict_evidence=True, today=TODAY)).result(absent).gates == gates


@pytest.mark.parametrize("policy", [Policy(today=TODAY), Policy(strict_evidence=True, today=TODAY)])
def test_requirement_without_evidence_hands_its_record_on(policy):
    absence = NoEvidence("a log", what="rows", detail="found 2", needed_for="it", hint="log more")
    first = declared("TEAM001", absence)
    second = declared("TEAM002", verdict(ok=True), requires={"TEAM001"})
    result = judge(first, second, policy=policy).result(second)
    assert result.missing == absence.missing
    assert result.observed == "needs rows in a log for it (found 2)"
    assert result.remedy == "log more"


def test_judged_rule_misses_nothing():
    assert judge().result(declared("TEAM001", verdict(ok=False))).missing is None
