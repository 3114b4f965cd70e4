"""A fact of a run: what every place that states it says, which is believed, and who disagrees.

A place is believed the more, the closer it is to the thing itself: a file before a record of its
hash, the steps that were logged before those that were asked for. Nobody is believed for being a
manifest.
"""

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from msgspec import Struct

from colintern.artifacts.printable import printable

T = TypeVar("T")

_SHOWN: Final = 60


class Witness(Struct, Generic[T], frozen=True, kw_only=True):
    """A place that states a fact."""

    value: T
    source: str
    """Name of the file, or what was measured."""
    key: str = ""
    """The key in it."""
    margin: float = 0.0
    """What the place rounds away: the true number lies this far off at most."""
    shown: str = ""
    """The value as a person reads it; empty for the value itself."""

    @property
    def where(self) -> str:
        """The place, for a person: `training_args.bin (learning_rate)`."""
        return f"{self.source} ({self.key})" if self.key else self.source

    @property
    def text(self) -> str:
        """What it says, safe to show."""
        value = f"{self.value:.6g}" if isinstance(self.value, float) else self.value
        return printable(self.shown or value, limit=_SHOWN)

    def __str__(self) -> str:
        return f"{self.text} in {self.where}"


class Fact(Struct, Generic[T], frozen=True, kw_only=True):
    """One thing that some places state."""

    name: str
    """As `peak learning rate`."""
    witnesses: tuple[Witness[T], ...]
    """One at least, the most direct one first."""
    disagreeing: tuple[Witness[T], ...] = ()
    """Those that contradict the first one."""

    @property
    def value(self) -> T:
        """What the most direct witness says."""
        return self.witnesses[0].value

    @property
    def source(self) -> str:
        """Where that is stated."""
        return self.witnesses[0].where

    @property
    def margin(self) -> float:
        """How far the value may be off."""
        return self.witnesses[0].margin

    @property
    def is_compared(self) -> bool:
        """Whether there is more than one witness, so that they can agree."""
        return len(self.witnesses) > 1

    @property
    def agreed(self) -> bool:
        """Whether nobody contradicts the most direct witness."""
        return not self.disagreeing

    def __str__(self) -> str:
        """Every distinct value once, with all that state it."""
        places: dict[str, list[str]] = {}
        for witness in self.witnesses:
            places.setdefault(witness.text, []).append(witness.where)
        said = ", ".join(f"{value} in {' and '.join(named)}" for value, named in places.items())
        return f"{self.name}: {said}"


Agreement = Callable[[Witness[T], Witness[T]], bool]


def equal(first: Witness[T], second: Witness[T]) -> bool:
    """Whether two witnesses say the very same."""
    return first.value == second.value


def within_margins(first: Witness[float], second: Witness[float]) -> bool:
    """Whether two numbers may be one, for all that their places round away."""
    slack = first.margin + second.margin + 1e-9 * max(abs(first.value), abs(second.value))
    return abs(first.value - second.value) <= slack


def fact_of(
    name: str, witnesses: Iterable[Witness[T] | None], agree: Agreement[T] = equal
) -> Fact[T] | None:
    """Make a fact of what `witnesses` say, the most direct first; None where nobody says anything.

    Args:
        name: of the fact, for a person.
        witnesses: a place that says nothing is None.
        agree: whether two of them can both be right.
    """
    known = tuple(witness for witness in witnesses if witness is not None)
    if not known:
        return None
    disagreeing = tuple(witness for witness in known[1:] if not agree(known[0], witness))
    return Fact(name=name, witnesses=known, disagreeing=disagreeing)


class Records(Struct, frozen=True):
    """The facts of one subject, as far as two places state them."""

    facts: tuple[Fact, ...]  # type: ignore[type-arg]  # of any type, side by side

    @property
    def contradicted(self) -> tuple[Fact, ...]:  # type: ignore[type-arg]
        """Those that the places do not agree on."""
        return tuple(fact for fact in self.facts if not fact.agreed)

    @property
    def agreed(self) -> bool:
        """Whether all places agree on all of them."""
        return not self.contradicted

    def contradicts(self, source: str) -> bool:
        """Whether `source` is on one side and the most direct of the others on the other."""
        return any(
            source in {fact.witnesses[0].source, *(each.source for each in fact.disagreeing)}
            for fact in self.contradicted
        )

    def __str__(self) -> str:
        if self.agreed:
            return f"{', '.join(fact.name for fact in self.facts)}: every record says the same"
        return "; ".join(map(str, self.contradicted))


def records_of(*facts: Fact | None) -> Records:  # type: ignore[type-arg]
    """Return the facts that more than one place states."""
    return Records(tuple(fact for fact in facts if fact is not None and fact.is_compared))
