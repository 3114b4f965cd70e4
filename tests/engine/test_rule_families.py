import re
from pathlib import Path

from colintern.engine.catalogue import shipped_rules
from colintern.engine.rule_families import RULE_FAMILIES, STAGES, families_to

README = Path(__file__).parents[2] / "README.md"
IN_USE = {rule.family for rule in shipped_rules().values()}


def test_every_rule_is_of_a_family_and_every_family_has_all_its_facts():
    assert set(STAGES) >= IN_USE
    assert len(set(STAGES)) == len(STAGES)
    assert all(family.title and family.judges for family in RULE_FAMILIES)


def test_the_readme_lists_the_families_as_they_are():
    table = README.read_text(encoding="utf-8").partition("| family | judges |")[2]
    listed = dict(re.findall(r"^\| ([A-Z]{3}) \| (.+) \|$", table, re.MULTILINE))
    assert listed == {each.prefix: each.judges for each in RULE_FAMILIES if each.prefix in IN_USE}


def test_records_and_data_have_their_places():
    assert STAGES.index("PRC") < STAGES.index("DAT") < STAGES.index("LOG")
    assert STAGES[-2:] == ("REC", "ENV")
    bookkeeping = {family.prefix for family in RULE_FAMILIES if family.bookkeeping}
    assert bookkeeping == {"SEC", "REC", "ENV"}


def test_what_is_repaired_by_training_is_not_repaired_by_evaluating():
    assert families_to("train") >= {"ADP", "CFG", "DAT", "LOG"}
    assert families_to("evaluate") >= {"RES", "CMP"}
    assert families_to("train").isdisjoint(families_to("evaluate"))
