"""What gates, and what a team has decided to live with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from msgspec import Struct

from colintern.engine.floor import FLOOR_PARTS
from colintern.engine.verdict import ERROR, Severity


class Waiver(Struct, frozen=True):
    """A finding that does not gate, for a written reason."""

    reason: str
    until: date | None = None
    """The last day on which it counts; None for no end."""

    def counts_on(self, day: date) -> bool:
        """Whether it has not expired."""
        return self.until is None or day <= self.until

    def shown(self) -> str:
        """Give the reason and the end."""
        return f"{self.reason} (until {self.until})" if self.until else self.reason


class KnownFindings(Protocol):
    """Findings that an earlier audit has recorded."""

    def knows(self, subject: str, rule: str, severity: Severity) -> bool:
        """Whether the finding was there, and was no milder then."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How verdicts become outcomes."""

    fail_on: Severity = ERROR
    """The least severity that gates; info never does."""
    strict_evidence: bool = False
    """Missing evidence gates."""
    waivers: Mapping[str, Waiver] = field(default_factory=dict)
    """By rule id."""
    known: KnownFindings | None = None
    """A recorded audit: what was found then no longer gates."""
    min_evidence: tuple[str, ...] = ()
    """Rules that must be judged, and families of which at least one rule must be."""
    pass_floor: tuple[str, ...] = FLOOR_PARTS
    """What must have been judged for a pass; else the verdict is inconclusive."""
    today: date = field(default_factory=date.today)
