import re

import pytest
from support.auditing import CHECKS

from colintern.engine.catalogue import matches, shipped_rules, unknown_selector
from colintern.engine.providers import GIVEN, shipped_providers
from colintern.engine.reports.catalogue_pages import catalogue_text, rule_page
from colintern.engine.resolver import parameters_of, providers_of
from colintern.engine.rule import rule_of
from colintern.engine.rule_families import STAGES
from colintern.engine.running import evidence as running_evidence
from colintern.engine.sources import cited_entries
from colintern.live import evidence as live_evidence
from pytest_colintern import ERROR, Verdict, rule

RULES = shipped_rules()
FAMILIES = {
    "CFG": 15,
    "ADP": 24,
    "PRJ": 3,
    "PRC": 5,
    "LOG": 19,
    "RES": 14,
    "CMP": 2,
    "SEC": 4,
    "ENV": 2,
    "HWU": 4,
    "LIV": 10,
}
"""Rules a family in the first edition."""


def test_the_catalogue_is_whole():
    counted = {family: sum(rule.family == family for rule in RULES.values()) for family in FAMILIES}
    assert counted == FAMILIES
    assert {rule.family for rule in RULES.values()} <= set(STAGES)


@pytest.mark.parametrize("rule_id", sorted(RULES))
def test_a_rule_page_is_complete_and_plain(rule_id):
    declared = RULES[rule_id]
    sections = (declared.summary, declared.why, declared.evidence, declared.fix, declared.source)
    assert all(len(section) > 10 for section in sections)
    assert all(
        section.endswith((".", "`", ")", "?", "»")) or "." in section for section in sections
    )
    assert declared.source.lower().strip(".") != "common practice"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", " ".join(sections))


@pytest.mark.parametrize("rule_id", sorted(RULES))
def test_a_rules_parameters_are_evidence_that_exists(rule_id):
    known = {*shipped_providers(), *providers_of(live_evidence), *GIVEN}
    assert {name for name, _ in parameters_of(RULES[rule_id].check)} <= known
    live_check = RULES[rule_id].live_check
    asked = {name for name, _ in parameters_of(live_check)} if live_check else set()
    assert asked <= {*known, *providers_of(running_evidence)}


@pytest.mark.parametrize("rule_id", sorted(RULES))
def test_a_rules_function_is_named_like_a_check(rule_id):
    assert RULES[rule_id].check.__name__.startswith("check_")
    assert RULES[rule_id].check.__annotations__["return"] in (Verdict, "Verdict")


def test_ids_and_names_are_unique():
    assert len({rule.name for rule in RULES.values()}) == len(RULES)


def test_no_check_reads_files_or_imports_pytest():
    for path in CHECKS.rglob("check_*.py"):
        source = path.read_text()
        assert not re.search(r"^\s*(import|from) pytest\b(?!_)", source, re.MULTILINE), path
        assert not re.search(r"\b(open|print)\(|\.read_(text|bytes)\(", source), path


def test_every_provider_is_documented():
    assert [name for name, provider in shipped_providers().items() if not provider.__doc__] == []


@pytest.mark.parametrize(
    ("selector", "covers", "leaves"),
    [("ADP", "ADP003", "PRJ001"), ("ADP003", "ADP003", "ADP004"), ("AD", None, "ADP003")],
)
def test_a_selector_is_an_id_or_a_family(selector, covers, leaves):
    assert covers is None or matches(covers, selector)
    assert not matches(leaves, selector)


def test_a_misspelt_selector_has_close_names():
    assert "ADP003" in unknown_selector("ADP03", RULES)
    assert unknown_selector("target-matches-nothin", RULES).count("ADP003")


def test_the_listing_has_every_rule_and_a_page_has_every_section():
    listing = catalogue_text()
    assert all(rule_id in listing for rule_id in RULES)
    page = catalogue_text("adp003")
    assert page == catalogue_text("target-matches-nothing") == rule_page(RULES["ADP003"], RULES)
    for heading in ("Why", "Evidence", "Fix", "Source"):
        assert f"\n{heading}\n" in page


@pytest.mark.parametrize(
    ("rule_id", "heading", "related"),
    [
        ("ADP003", "Requires", "ADP001 not-an-adapter"),
        ("ADP003", "Explains", "RES001 ndcg-below-good"),
        ("RES001", "Explained by", "ADP003 target-matches-nothing"),
    ],
)
def test_a_page_names_related_rules(rule_id, heading, related):
    _, _, listed = catalogue_text(rule_id).partition(f"\n{heading} (")
    assert f"\n  {related}\n" in listed.partition("\n\n")[0] + "\n"


def test_a_page_without_relations_says_none():
    declared = next(each for each in RULES.values() if not each.requires | each.explains)
    assert "\nRequires" not in rule_page(declared, {})
    assert "\nExplain" not in rule_page(declared, {})


def test_a_family_is_listed_alone():
    listing = catalogue_text("PRJ")
    assert "PRJ001" in listing
    assert "ADP001" not in listing


@pytest.mark.parametrize(
    ("rule_id", "name", "docstring", "message"),
    [
        ("adp1", "a-name", "S.\n\nWhy: w\nEvidence: e\nFix: f\nSource: s", "an id like TEAM001"),
        ("ADP001", "A Name", "S.\n\nWhy: w\nEvidence: e\nFix: f\nSource: s", "a name like"),
        ("ADP001", "a-name", "S.\n\nWhy: w\nEvidence: e\nFix: f", "lacks Source"),
        ("ADP001", "a-name", "Why: w\nEvidence: e\nFix: f\nSource: s", "lacks Summary"),
        ("ADP001", "a-name", None, "lacks Summary, Why"),
    ],
)
def test_a_bad_declaration_is_refused(rule_id, name, docstring, message):
    def check():
        return Verdict(True, observed="", expected="")

    check.__doc__ = docstring
    with pytest.raises(ValueError, match=message):
        rule(rule_id, name, severity=ERROR)(check)


def test_a_declared_function_stays_a_plain_function():
    check = RULES["ADP003"].check
    assert rule_of(check) is RULES["ADP003"]
    assert rule_of(len) is None


def test_a_page_says_how_to_open_what_it_cites():
    page = catalogue_text("LOG001")
    (command,) = re.findall(r"`colintern docs sources (.+)` prints", page)
    assert command.split() == list(cited_entries(RULES["LOG001"].source)) != []
    uncited = next(each for each in RULES.values() if not cited_entries(each.source))
    assert "colintern docs" not in rule_page(uncited, RULES)
