"""Questions about a page, made from some of its facts."""

import random
from collections.abc import Collection, Iterable
from typing import Final

from colintern.pages.facts import WORDS, Facts

QUERY_FACTS: Final = 3
"""Facts that a query names: 3 of 5 leave one page of some hundred."""

_QUESTION_WORDS: Final = "about by for from in of signed since the to which with"
"""Words around a value that the tiny base knows; the queries of the task have none."""


def draw_query(facts: Facts, generator: random.Random) -> tuple[str, frozenset[str]]:
    """Ask for a page with `facts`: the query and the values that it names."""
    slots = generator.sample(list(WORDS), k=QUERY_FACTS)
    values = [getattr(facts, slot) for slot in slots]
    return " ".join(values), frozenset(values)


def draw_unambiguous_query(
    facts: Facts, corpus: Collection[Facts], generator: random.Random, *, tries: int = 20
) -> str | None:
    """Ask for the page with `facts` so that no other page of `corpus` is an answer.

    Returns:
        The query, or None when none of `tries` was unambiguous.
    """
    for _ in range(tries):
        query, named = draw_query(facts, generator)
        if number_of_answers(named, corpus) == 1:
            return query
    return None


def number_of_answers(named: frozenset[str], corpus: Iterable[Facts]) -> int:
    """Count the pages that hold all `named` values: what makes a page relevant to a query."""
    return sum(named.issubset(facts.values()) for facts in corpus)


def query_words() -> frozenset[str]:
    """Every word that a query may have beside the values."""
    return frozenset(_QUESTION_WORDS.split())
