"""What was not recorded, gathered by where it would have been: one entry a source."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from colintern.engine.missing import Missing
from colintern.engine.outcome import Outcome
from colintern.engine.subject_report import SubjectReport


class MissingSource(Struct, frozen=True):
    """A file, folder or option that rules lack, or lack a part of."""

    name: str
    records: tuple[Missing, ...]
    """What each of the rules lacks of it."""
    rules: tuple[str, ...]
    """In the order of their ids."""
    subjects: tuple[str, ...]

    @property
    def whats(self) -> tuple[str, ...]:
        """The parts that are absent; none of them where the whole source is."""
        return self._distinct(lambda missing: missing.what)

    @property
    def parts(self) -> tuple[str, ...]:
        """The same, with what was found instead or where it was looked for."""
        return self._distinct(lambda missing: missing.part)

    @property
    def purposes(self) -> tuple[str, ...]:
        """What it would be used for."""
        return self._distinct(lambda missing: missing.purpose)

    @property
    def hints(self) -> tuple[str, ...]:
        """What a person can do."""
        return self._distinct(lambda missing: missing.hint)

    @property
    def hint(self) -> str:
        """The same in one line."""
        return " ".join(self.hints)

    @property
    def short(self) -> str:
        """The source, and the parts of it that are absent."""
        return f"{self.name} ({'; '.join(self.whats)})" if self.whats else self.name

    def _distinct(self, text: Callable[[Missing], str]) -> tuple[str, ...]:
        return tuple(filter(None, dict.fromkeys(map(text, self.records))))


def missing_evidence(
    subjects: Sequence[SubjectReport], *, options: bool = False
) -> list[MissingSource]:
    """Return what the rules without evidence lack, the most wanted source first.

    Args:
        subjects: whose rules.
        options: whether to list options that were not given, which nobody failed to record.
    """
    found: dict[str, list[tuple[Missing, str, str]]] = {}
    for subject in subjects:
        for result in subject.results:
            missing = result.missing
            if result.outcome is not Outcome.NO_EVIDENCE or missing is None:
                continue
            if options or not missing.is_option:
                entry = (missing, result.rule, subject.identity.name)
                found.setdefault(missing.source, []).append(entry)
    gathered = [_gathered(name, entries) for name, entries in found.items()]
    return sorted(gathered, key=lambda each: (-len(each.rules), each.name))


def _gathered(name: str, entries: Sequence[tuple[Missing, str, str]]) -> MissingSource:
    records, rules, subjects = zip(*entries, strict=True)
    return MissingSource(
        name,
        tuple(dict.fromkeys(records)),
        tuple(sorted(set(rules))),
        tuple(dict.fromkeys(subjects)),
    )
