"""What a rule says about its evidence."""

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from colintern.artifacts.printable import printable


class Severity(Enum):
    """How bad it is when a rule fails."""

    ERROR = "error"
    """The result is meaningless or worse than it should be by much: gates by default."""
    WARNING = "warning"
    """Costs points or reproducibility: gates with `--fail-on warning`."""
    INFO = "info"
    """Worth knowing: never gates, never a root cause."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _RANKS[self]


ERROR: Final = Severity.ERROR
WARNING: Final = Severity.WARNING
INFO: Final = Severity.INFO
_RANKS: Final = {ERROR: 0, WARNING: 1, INFO: 2}


class NoEvidence(Exception):  # noqa: N818 - a state of the evidence, not an error
    """A rule cannot be judged because something was not recorded.

    Args:
        missing: the file or fact that is absent, as `training_args.bin`.
        needed_for: what would be computed from it.

    >>> str(NoEvidence("training_args.bin", needed_for="effective batch size"))
    'training_args.bin is needed for effective batch size'
    """

    def __init__(self, missing: str, *, needed_for: str) -> None:
        self.missing = missing
        self.needed_for = needed_for
        super().__init__(missing, needed_for)

    def __str__(self) -> str:
        return f"{printable(self.missing)} is needed for {printable(self.needed_for)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one rule on one subject.

    >>> Verdict(1 >= 5, observed="1 epoch", expected="at least 5 epochs").ok
    False
    """

    ok: bool
    _: KW_ONLY
    observed: str
    """What was found, with its figures: a passed check is evidence too."""
    expected: str
    """What a healthy run shows."""
    where: Path | str | None = None
    """The file that holds the evidence, and the place in it."""
    severity: Severity | None = None
    """How far off it is, for a rule of two severities; None for the rule's own."""
    fix: str | None = None
    """What mends this very fault; None for the rule's own."""
    explains: Collection[str] | None = None
    """Which of the symptoms that its rule explains this very fault causes; None for all."""
    independent: bool = False
    """Whether its evidence shows that no other fault caused it: it is then never a symptom."""
