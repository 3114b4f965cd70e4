import pytest
from hypothesis import given
from hypothesis import strategies as st

from colintern.engine.catalogue import shipped_rules
from colintern.engine.root_causes import Finding, RootCause, root_causes

EXPLAINS = {"ADP003": ["LOG002"], "LOG002": ["LOG003", "RES001"], "LOG003": ["RES001"]}


def findings(*rules, severity=0):
    return [Finding(rule, severity, stage=0) for rule in rules]


def test_one_fault_explains_its_symptoms_transitively():
    roots = root_causes(findings("RES001", "LOG003", "LOG002", "ADP003"), EXPLAINS, refuted=())
    assert roots == (RootCause("ADP003", ("LOG002", "LOG003", "RES001")),)


def test_a_link_without_evidence_still_explains():
    assert root_causes(findings("ADP003", "RES001"), EXPLAINS, refuted=()) == (
        RootCause("ADP003", ("RES001",)),
    )


def test_a_link_that_passed_explains_nothing():
    roots = root_causes(findings("ADP003", "RES001"), EXPLAINS, refuted={"LOG002"})
    assert [root.rule for root in roots] == ["ADP003", "RES001"]


def test_unrelated_findings_are_each_a_root():
    assert len(root_causes(findings("CFG001", "PRC002"), EXPLAINS, refuted=())) == 2


def test_nothing_found_has_no_root():
    assert root_causes([], EXPLAINS, refuted=()) == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Finding("B", 0, 5), Finding("A", 1, 0)),
        (Finding("B", 0, 0), Finding("A", 0, 5)),
        (Finding("A", 0, 0), Finding("B", 0, 0)),
    ],
    ids=["worse severity first", "earlier stage first", "then by id"],
)
def test_roots_are_ordered_by_gravity(first, second):
    roots = root_causes([second, first], {}, refuted=())
    assert [root.rule for root in roots] == [first.rule, second.rule]


def test_more_symptoms_come_before_an_earlier_stage():
    found = [Finding("A", 0, 0), Finding("B", 0, 5), Finding("C", 0, 9)]
    roots = root_causes(found, {"B": ["C"]}, refuted=())
    assert [root.rule for root in roots] == ["B", "A"]


def test_a_symptom_of_a_waived_rule_names_it():
    found = [Finding("CFG003", 0, 3, waived=True), *findings("LOG006", "LOG004", "PRC002")]
    roots = root_causes(found, {"CFG003": ["LOG006"], "LOG006": ["LOG004"]}, refuted=())
    assert roots == (RootCause("LOG006", ("LOG004",), ("CFG003",)), RootCause("PRC002", ()))


def test_a_live_cause_outweighs_a_waived_one():
    found = [Finding("CFG003", 0, 3, waived=True), *findings("CFG010", "LOG006")]
    roots = root_causes(found, {"CFG003": ["LOG006"], "CFG010": ["LOG006"]}, refuted=())
    assert roots == (RootCause("CFG010", ("LOG006",)),)


def test_a_waived_rule_between_cause_and_symptom_still_explains():
    found = [*findings("ADP003", "RES001"), Finding("LOG002", 0, 5, waived=True)]
    assert root_causes(found, EXPLAINS, refuted=()) == (RootCause("ADP003", ("RES001",)),)


def test_a_waived_cause_of_nothing_is_no_root():
    assert root_causes([Finding("CFG003", 0, 3, waived=True)], {}, refuted=()) == ()


def test_a_warning_that_explains_an_error_is_as_grave_as_it():
    found = [Finding("CFG005", 1, 3), Finding("LOG006", 0, 5), Finding("ADP007", 1, 1)]
    roots = root_causes(found, {"CFG005": ["LOG006"]}, refuted=())
    assert [root.rule for root in roots] == ["CFG005", "ADP007"]


@given(
    st.sets(st.integers(0, 15), min_size=1),
    st.sets(st.tuples(st.integers(0, 15), st.integers(0, 15))),
)
def test_every_finding_is_a_root_or_explained_by_one(numbers, edges):
    explains = {}
    for start, end in edges:
        if start < end:
            explains.setdefault(f"R{start}", []).append(f"R{end}")
    found = [Finding(f"R{number}", 0, 0) for number in numbers]
    roots = root_causes(found, explains, refuted=())
    covered = {root.rule for root in roots} | {rule for root in roots for rule in root.explains}
    assert covered == {finding.rule for finding in found}


def test_the_catalogue_names_only_real_rules():
    catalogue = shipped_rules()
    named = {other for rule in catalogue.values() for other in rule.explains | rule.requires}
    assert named <= catalogue.keys()


def test_the_catalogue_explains_without_circles():
    catalogue = shipped_rules()
    done = set()

    def visit(rule, path):
        assert rule not in path, " -> ".join([*path, rule])
        if rule not in done:
            for other in catalogue[rule].explains:
                visit(other, [*path, rule])
            done.add(rule)

    for rule in catalogue:
        visit(rule, [])
