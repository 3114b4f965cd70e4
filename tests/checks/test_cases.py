import os
from pathlib import Path

import pytest
from cases import all_cases
from support.auditing import CHECKS, audit

from colintern.engine.catalogue import load_check_file, rules_in, shipped_rules

EXPECTED = Path(__file__).parents[1] / "cases" / "expected"
CASES = all_cases()


def check_file_of(rule_id):
    return next(
        path
        for path in CHECKS.rglob("check_*.py")
        if any(rule.id == rule_id for rule in rules_in(load_check_file(path)).values())
    )


def judged(pytester, rule_id, run):
    options = [option.replace("{run}", str(run)) for option in CASES[rule_id].options]
    return audit(
        pytester,
        *("--checkpoint", run, "--select", rule_id, *options),
        checks=check_file_of(rule_id),
    )


def printed_finding(output, rule_id, run):
    """The finding's own lines, with the place of the run taken out."""
    lines = output.split("\n")
    start = next(index for index, line in enumerate(lines) if line.startswith(f"{rule_id} "))
    end = next(index for index in range(start, len(lines)) if not lines[index].strip())
    text = "\n".join(line.rstrip() for line in lines[start:end])
    return text.replace(str(run.parent), "…") + "\n"


def test_every_rule_has_a_case():
    # The live rules need torch: theirs are in test_live.py.
    assert sorted(CASES) == sorted(rule for rule in shipped_rules() if not rule.startswith("LIV"))
    assert sorted(path.stem for path in EXPECTED.glob("*.txt")) == sorted(CASES)


@pytest.mark.parametrize("rule_id", sorted(CASES))
def test_bad_case_is_named(pytester, healthy_run, rule_id):
    case = CASES[rule_id]
    case.bad(healthy_run)
    result = judged(pytester, rule_id, healthy_run)
    assert result.outcomes == {rule_id: case.outcome}
    finding = printed_finding(result.output, rule_id, healthy_run)
    expected = EXPECTED / f"{rule_id}.txt"
    if os.environ.get("COLINTERN_UPDATE_EXPECTED"):
        expected.write_text(finding)
    assert finding == expected.read_text()


@pytest.mark.parametrize("rule_id", sorted(CASES))
def test_good_case_passes(pytester, healthy_run, rule_id):
    CASES[rule_id].good(healthy_run)
    result = judged(pytester, rule_id, healthy_run)
    assert result.outcomes == {rule_id: "passed"}, result.output
