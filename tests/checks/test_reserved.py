import graphlib

import pytest

from checks.reserved import RESERVED, Reserved
from colintern.engine.catalogue import shipped_rules
from colintern.engine.rule_families import STAGES

RULES = shipped_rules()


def mistakes(reserved, rules):
    """What is wrong with a table of reserved ids beside the rules that there are."""
    ids = [each.id for each in reserved]
    found = [f"{name} is in use" for name in ids if name in rules]
    found += [f"{name} is reserved twice" for name in {*ids} if ids.count(name) > 1]
    found += [f"{name} is of no family" for name in ids if name[:3] not in STAGES]
    known = {*ids, *rules}
    explained = {each.id: each.explains for each in reserved}
    found += [f"{a} explains {b}, which is none" for a in ids for b in explained[a] - known]
    graph = {name: rule.explains | rule.live_explains for name, rule in rules.items()} | explained
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"explains itself: {error.args[1]}")
    return found


def test_reserved_ids_are_free_and_explain_what_is_there():
    assert mistakes(RESERVED, RULES) == []
    assert all(each.subject for each in RESERVED)


@pytest.mark.parametrize(
    ("reserved", "mistake"),
    [
        (Reserved("ADP003", "taken"), "ADP003 is in use"),
        (RESERVED[0], f"{RESERVED[0].id} is reserved twice"),
        (Reserved("XYZ001", "nowhere"), "XYZ001 is of no family"),
        (
            Reserved("ADP099", "lost", frozenset({"ADP098"})),
            "ADP099 explains ADP098, which is none",
        ),
        (Reserved("ADP099", "round", frozenset({"ADP099"})), "explains itself: "),
    ],
)
def test_a_wrong_reservation_is_named(reserved, mistake):
    assert any(mistake in each for each in mistakes((*RESERVED, reserved), RULES))


def test_every_id_that_is_promised_is_reserved():
    numbers = {"REC": range(1, 10), "DAT": range(1, 7)}
    promised = {f"{family}{n:03}" for family, ns in numbers.items() for n in ns}
    promised |= {"ADP023", "ADP024", "ADP025", "CFG016", "PRC006", "LOG018", "LOG019", "LOG020"}
    promised |= {"RES013", "RES014", "SEC005"}
    assert promised <= {each.id for each in RESERVED} | RULES.keys()


def test_ids_of_a_family_follow_on_one_another():
    numbers = {}
    for name in (*RULES, *(each.id for each in RESERVED)):
        numbers.setdefault(name[:3], []).append(int(name[3:]))
    assert {family: sorted(found) for family, found in numbers.items()} == {
        family: list(range(1, len(found) + 1)) for family, found in numbers.items()
    }
