"""What a rule says about its evidence."""

from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Self

from colintern.engine.missing import Missing, Source


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
        source: the file, folder or option that would hold it, as `training_args.bin`.
        needed_for: what it would be used for, as it reads after "for".
        what: the part of the source that is absent, where the source itself may be there.
        detail: what is there instead, or where it was looked for.
        hint: what a person can do; None for what the source says.

    >>> str(NoEvidence("training_args.bin", needed_for="effective batch size"))
    'needs training_args.bin for effective batch size'
    """

    missing: Missing
    """What is absent, with every text made printable."""

    def __init__(
        self,
        source: str | Source,
        *,
        needed_for: str,
        what: str = "",
        detail: str = "",
        hint: str | None = None,
    ) -> None:
        place = Source(source) if isinstance(source, str) else source
        usual = place.part_hint if what else place.hint
        self.missing = Missing(
            source=place.name,
            what=what,
            detail=detail,
            purpose=needed_for,
            hint=usual if hint is None else hint,
            is_option=place.is_option,
        ).shown()
        super().__init__(self.missing)

    @classmethod
    def of(cls, missing: Missing) -> Self:
        """Make one of a whole record."""
        return cls(
            Source(missing.source, is_option=missing.is_option),
            what=missing.what,
            detail=missing.detail,
            needed_for=missing.purpose,
            hint=missing.hint,
        )

    def __str__(self) -> str:
        return self.missing.sentence

    def __reduce__(self) -> tuple[Callable[[Missing], Self], tuple[Missing]]:
        # Exceptions are rebuilt from their positional arguments, and this one needs a keyword.
        return type(self).of, (self.missing,)


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
