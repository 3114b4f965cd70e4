import pytest

from colintern.facts.fact import Witness, equal, fact_of, records_of, within_margins


def number(value, margin=0.0, source="file"):
    return Witness(value=value, source=source, margin=margin)


@pytest.mark.parametrize(
    ("first", "other", "agree"),
    [
        (number(64.0), number(63.92, margin=0.1), True),
        (number(64.0), number(63.92, margin=0.05), False),
        (number(63.9, margin=0.05), number(64.0, margin=0.05), True),
        (number(0.1 + 0.2), number(0.3), True),
        (number(64.0), number(32.0, margin=1.0), False),
    ],
)
def test_numbers_agree_within_what_is_rounded_away(first, other, agree):
    assert within_margins(first, other) is within_margins(other, first) is agree


def test_the_most_direct_witness_is_believed():
    fact = fact_of("rank", [None, number(16, source="tensor"), None, number(32, source="setting")])
    assert (fact.value, fact.source) == (16, "tensor")
    assert [witness.source for witness in fact.disagreeing] == ["setting"]
    assert not fact.agreed


def test_nobody_is_no_fact_and_one_witness_is_not_compared():
    assert fact_of("rank", [None]) is None
    alone = fact_of("rank", [number(16)])
    assert not alone.is_compared
    assert records_of(None, alone).facts == ()


def test_every_value_is_named_once_with_its_places():
    said = [number(64, source=name) for name in ("a", "b")]
    fact = fact_of("batch", [*said, Witness(value=32, source="c", key="k")], equal)
    assert str(fact) == "batch: 64 in a and b, 32 in c (k)"


def test_text_of_a_stranger_is_made_printable():
    evil = Witness(value="a\x1b[2J\n" + "b" * 500, source="file")
    assert "\x1b" not in str(evil)
    assert "\n" not in str(evil)
    assert len(str(evil)) < 100


def test_only_contradicted_facts_are_named():
    agreed = fact_of("rank", [number(16), number(16)])
    broken = fact_of("batch", [number(64), number(32)])
    assert str(records_of(agreed, broken)).startswith("batch: ")
    assert records_of(agreed, broken).agreed is False
    assert str(records_of(agreed)) == "rank: every record says the same"
