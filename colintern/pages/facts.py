"""What a page says: one word for each of five slots, and the split that keeps evaluation unseen."""

import hashlib
import itertools
import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Split = Literal["train", "eval"]
Slot = Literal["kind", "city", "item", "person", "month"]

WORDS: Final[dict[Slot, tuple[str, ...]]] = {
    "kind": ("invoice", "receipt", "letter", "report", "memo", "order", "permit", "ticket"),
    "city": (
        "oslo", "paris", "lima", "quito", "dakar", "kyoto",
        "berlin", "madrid", "vienna", "zagreb", "havana", "tunis",
    ),
    "item": (
        "lamps", "chairs", "bricks", "pumps", "violins", "tyres",
        "wheat", "cables", "books", "glass", "magnets", "soap",
    ),
    "person": (
        "adams", "baker", "cruz", "dubois", "evans", "fischer",
        "garcia", "haddad", "ivanov", "jensen", "kimura", "novak",
    ),
    "month": (
        "january", "februar", "march", "april", "may", "june",
        "july", "august", "septem", "october", "novem", "decem",
    ),
}  # fmt: skip
"""The closed vocabulary of values. At most 7 letters, so that a key and its value fit on a line."""

EVALUATION_SHARE: Final = 8
"""One combination of facts in eight belongs to the evaluation."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The five values of a page."""

    kind: str
    city: str
    item: str
    person: str
    month: str

    @property
    def split(self) -> Split:
        """The only split in which a page with these facts may occur, whatever is generated.

        It depends on the facts alone: no seed, size or layout can move a page from one split to the
        other, so no page of the evaluation can be trained on.
        """
        digest = hashlib.blake2b(" ".join(self.values()).encode(), digest_size=4).digest()
        return "eval" if int.from_bytes(digest, "big") % EVALUATION_SHARE == 0 else "train"

    def values(self) -> tuple[str, ...]:
        """Return the values in the order of the slots."""
        return (self.kind, self.city, self.item, self.person, self.month)


def draw_facts(split: Split, *, seed: int) -> Iterator[Facts]:
    """Yield distinct facts of `split` without end, until the world has no more of them."""
    generator = random.Random(f"facts/{split}/{seed}")
    seen: set[Facts] = set()
    for _ in itertools.count():
        facts = Facts(*(generator.choice(words) for words in WORDS.values()))
        if facts.split == split and facts not in seen:
            seen.add(facts)
            yield facts


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
