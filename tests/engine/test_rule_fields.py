from typing import get_args

import pytest
from support.own_checks import HEAD, check, verdict
from support.running_runs import log_of, manifest, rows_of, subject

from colintern.engine.catalogue import merged_rules, shipped_rules
from colintern.engine.rule import rule, rule_of
from colintern.engine.rule_fields import Advice, Role, Setting
from colintern.engine.running.judge import asked_at, judge_live, live_rules
from colintern.engine.verdict import ERROR, WARNING, Verdict
from colintern.report.recipe_section import SETTINGS
from colintern.report.resources_section import COMPONENTS
from colintern.report.troubleshooting import TROUBLESHOOTING, WHOLE_CHECKLIST

RULES = shipped_rules().values()


def declared(rule_id="TEAM001", **fields):
    @rule(rule_id, "some-fault", severity=ERROR, **fields)
    def check():
        """A fault.

        Why: it hurts.
        Evidence: a file.
        Fix: fix it.
        Source: definition.
        """
        return Verdict(False, observed="o", expected="e")

    return rule_of(check)


def test_every_setting_is_a_row_and_every_row_a_setting():
    rows = [*(row.label for row in SETTINGS), *(each.name for each in COMPONENTS), "Mean NDCG@5"]
    assert sorted(rows) == sorted(get_args(Setting))


def test_every_advice_is_an_entry_that_a_rule_calls_for():
    names = {*(entry.name for entry in TROUBLESHOOTING), WHOLE_CHECKLIST}
    assert names == set(get_args(Advice))
    assert names == {name for each in RULES for name in each.advice}


def test_what_is_on_the_checklist_can_be_seen_to_be_done():
    checked = {entry.name for entry in TROUBLESHOOTING if entry.is_checked}
    assert {name for each in RULES for name in each.satisfies} == checked


def test_each_role_has_one_rule():
    roles = [each.role for each in RULES if each.role]
    assert sorted(roles) == sorted(get_args(Role))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"live": "start"}, "TEAM001: live has no 'a'; did you mean start or course"),
        ({"live": {"begin"}}, "live has no 'begin'; did you mean"),
        ({"setting": "Learning rte"}, "did you mean Learning rate"),
        ({"advice": {"more-epoch"}}, "advice has no 'more-epoch'; did you mean more-epochs"),
        ({"satisfies": {"bf-16"}}, "satisfies has no 'bf-16'; did you mean bf16"),
        ({"role": "judge"}, "role has no 'judge'"),
        ({"live_softened": True}, "has no use"),
        ({"live_explains": {"LOG002"}}, "has no use"),
        ({"live_check": print}, "has no use"),
    ],
)
def test_a_word_that_nothing_looks_for_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        declared(**fields)


def test_a_role_is_not_shared():
    first, second = declared(role="malformed-files"), declared("TEAM002", role="malformed-files")
    assert merged_rules([[first]]) == {"TEAM001": first}
    with pytest.raises(ValueError, match="TEAM002 has the role of TEAM001: malformed-files"):
        merged_rules([[first, second]])


def test_fields_given_once_are_kept():
    fields = {"live": iter(["course", "start"]), "advice": iter(["bf16", "more-epochs"])}
    found = declared(**fields, satisfies=iter(["bf16"]), live_explains=iter(["LOG002"]))
    assert (found.live, found.advice) == ({"start", "course"}, ("bf16", "more-epochs"))
    assert (found.satisfies, found.live_explains) == (("bf16",), {"LOG002"})


TEAM = HEAD + "".join(
    [
        check(1, verdict(ok=False), live=("start",), live_explains=("TEAM002",)),
        check(2, verdict(ok=False), live=("course",), live_softened=True, requires=("TEAM001",)),
        check(3, verdict(ok=False)),
        check(4, verdict(ok=False), parameters="layout", live=("start",)),
    ]
).replace("check_1(layout)", "check_1()").replace("check_2(layout)", "check_2()")


def test_a_teams_rules_are_asked_live_as_they_say(tmp_path):
    checks = (tmp_path / "check_team.py",)
    checks[0].write_text(TEAM)
    own = {name: each for name, each in live_rules(checks).items() if name.startswith("TEAM")}
    assert list(own) == ["TEAM001", "TEAM002", "TEAM004"]
    assert own["TEAM001"].explains == {"TEAM002"}
    assert "TEAM001" in asked_at("start", checks)
    assert "TEAM001" not in {*asked_at("course", checks), *asked_at("start")}

    watched = subject(manifest(), checks=checks)
    results = judge_live(own, watched, log_of(rows_of([(1.0, 1.0)])))
    found = [(each.rule, each.outcome.value, each.severity) for each in results]
    # The files that TEAM004 asks for are not there while a run goes on.
    assert found == [
        ("TEAM001", "failed", ERROR),
        ("TEAM002", "warned", WARNING),
        ("TEAM004", "no_evidence", ERROR),
    ]
