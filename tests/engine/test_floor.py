"""A pass rests on the weights and on what was learned, or it is no pass."""

import shutil

import pytest
from support.audit_reports import identity, report_of
from support.auditing import audit

from colintern.engine.catalogue import shipped_rules
from colintern.engine.floor import FLOOR_PARTS, gaps_in
from colintern.engine.outcome import Outcome, check_result
from colintern.engine.policy_in_force import PolicyInForce
from colintern.engine.reports.terminal import verdict_lines
from colintern.engine.subject_report import subject_report

RULES = shipped_rules()
FINITE, TRAINED, HEAD, LEARNED = "ADP010", "ADP011", "PRJ003", "LOG002"
WHOLE = (FINITE, TRAINED, HEAD, LEARNED)


def results(*judged, among=WHOLE, otherwise=Outcome.NO_EVIDENCE):
    return [
        check_result(RULES[rule], "run", Outcome.PASSED if rule in judged else otherwise)
        for rule in among
    ]


def verdict_of(found, kind="adapter", floor=FLOOR_PARTS):
    return subject_report(identity(kind=kind), found, pass_floor=floor).verdict


@pytest.mark.parametrize(
    ("judged", "kind", "verdict"),
    [
        (WHOLE, "adapter", "pass"),
        ((FINITE, TRAINED, LEARNED), "adapter", "pass"),
        ((FINITE, HEAD, LEARNED), "adapter", "inconclusive"),
        ((TRAINED, LEARNED), "run", "inconclusive"),
        ((FINITE, TRAINED), "run", "inconclusive"),
        ((LEARNED,), None, "inconclusive"),
        ((FINITE, HEAD, LEARNED), "merged", "pass"),
        ((FINITE, LEARNED), "merged", "inconclusive"),
        ((), "merged", "inconclusive"),
    ],
)
def test_a_pass_rests_on_weights_and_learning(judged, kind, verdict):
    assert verdict_of(results(*judged), kind) == verdict


@pytest.mark.parametrize(("floor", "verdict"), [(("weights",), "pass"), ((), "pass")])
def test_the_policy_lowers_the_floor(floor, verdict):
    assert verdict_of(results(FINITE, TRAINED), floor=floor) == verdict


def test_a_selection_narrows_the_floor():
    found = results(FINITE, TRAINED, among=(FINITE, TRAINED))
    report = subject_report(identity(kind="run"), found, pass_floor=FLOOR_PARTS)
    assert (report.verdict, report.floor, report.narrowed) == ("pass", (), True)
    whole = subject_report(identity(kind="run"), results(*WHOLE), pass_floor=FLOOR_PARTS)
    assert not whole.narrowed


def test_a_failure_stays_a_failure():
    (bad,) = results(among=(FINITE,), otherwise=Outcome.FAILED)
    gating = check_result(RULES[bad.rule], "run", Outcome.FAILED, gates=True)
    assert verdict_of([gating, *results(among=(LEARNED,))]) == "fail"


def test_a_waived_or_warned_rule_was_judged():
    for outcome in (Outcome.WARNED, Outcome.WAIVED, Outcome.NOTED):
        assert gaps_in(results(otherwise=outcome), FLOOR_PARTS, "run") == ()
    for outcome in (Outcome.NO_EVIDENCE, Outcome.BLOCKED):
        gaps = gaps_in(results(otherwise=outcome), FLOOR_PARTS, "run")
        assert [gap.part for gap in gaps] == list(FLOOR_PARTS)


def test_every_part_of_the_floor_has_a_rule():
    assert {rule.floor for rule in RULES.values()} == {"finite", "trained", "head", "learned", None}


def test_log_validity_alone_is_no_learning():
    assert {RULES[rule].floor for rule in ("LOG001", "LOG013", "LOG017")} == {None}


@pytest.mark.parametrize(
    ("gone", "parts"),
    [
        (["trainer_state.json", "results"], ["learning"]),
        (["trainer_state.json"], []),
        (["results"], []),
    ],
)
def test_files_settle_it(pytester, healthy_run, gone, parts):
    for name in gone:
        path = healthy_run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in healthy_run.glob("checkpoint-*"):
        shutil.rmtree(folder)
    result = audit(pytester, "--checkpoint", healthy_run)
    (subject,) = result.document["subjects"]
    assert subject["floor"] == parts
    assert result.exit_code == (5 if parts else 0), result.output
    if parts:
        last = result.output.strip().split("\n")[-1]
        assert last.startswith("verdict: INCONCLUSIVE: nothing judged the learning (needs ")
        assert "trainer_state.json" in last


def test_a_folder_of_results_without_one_is_no_pass(pytester, healthy_run, tmp_path):
    # An explicit folder stands for the run's own results, whatever is in it.
    empty = tmp_path / "empty"
    empty.mkdir()
    (healthy_run / "trainer_state.json").unlink()
    for folder in healthy_run.glob("checkpoint-*"):
        shutil.rmtree(folder)
    result = audit(pytester, "--checkpoint", healthy_run, "--results", empty)
    assert result.exit_code == 5, result.output


def test_the_settings_name_the_floor(pytester, healthy_run):
    (healthy_run / "trainer_state.json").unlink()
    shutil.rmtree(healthy_run / "results")
    for folder in healthy_run.glob("checkpoint-*"):
        shutil.rmtree(folder)
    settings = pytester.path / "pyproject.toml"
    settings.write_text("[tool.colintern]\npass-floor = []\n")
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.exit_code == 0, result.output
    assert result.document["policy"]["pass_floor"] == []
    assert "a pass rests on: anything that was judged" in result.output
    settings.write_text('[tool.colintern]\npass-floor = ["weigths"]\n')
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.exit_code == 4
    assert "pass-floor: expected a list of 'weights' and 'learning'" in result.output


def test_the_verdict_line_says_what_was_sound():
    policy = PolicyInForce()
    report = report_of([identity(kind="run")], results(FINITE, TRAINED), policy=policy)
    assert report.verdict == "inconclusive"
    *_, (text, _) = verdict_lines(report)
    assert text == (
        "verdict: INCONCLUSIVE: nothing judged the learning; "
        "the other 2 checks that could be judged passed"
    )
