"""One run as a report sees it: its audit, its evidence, and a letter among the others."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.part import LeftOut, part
from colintern.engine.resolver import Resolver
from colintern.engine.rule_fields import Setting
from colintern.engine.subject_report import SubjectReport
from colintern.report.document import Cell, Mark

T = TypeVar("T")

_HEAD: Final = 36
"""Characters of a run's name over a column."""

_GRAVEST_FIRST: Final = (
    Outcome.FAILED,
    Outcome.ERROR,
    Outcome.WARNED,
    Outcome.NOTED,
    Outcome.WAIVED,
    Outcome.PASSED,
    Outcome.NO_EVIDENCE,
    Outcome.BLOCKED,
)
_MARKS: Final[dict[Outcome, Mark]] = {
    Outcome.FAILED: "failed",
    Outcome.ERROR: "error",
    Outcome.WARNED: "warned",
    Outcome.NOTED: "noted",
    Outcome.WAIVED: "waived",
    Outcome.PASSED: "passed",
    Outcome.NO_EVIDENCE: "no_evidence",
    Outcome.BLOCKED: "blocked",
}
_UNREMARKABLE: Final = (Outcome.PASSED, Outcome.NO_EVIDENCE, Outcome.BLOCKED)


class ReportedRun(Struct, frozen=True):
    """One run of a report."""

    letter: str
    """Empty for a run that is alone."""
    audit: SubjectReport
    evidence: Resolver

    @property
    def name(self) -> str:
        """As the audit calls it."""
        return self.audit.identity.name

    @property
    def heading(self) -> str:
        """Letter and name."""
        return f"{self.letter}: {self.name}" if self.letter else self.name

    def part(self, title: str, make: Callable[..., T]) -> T | LeftOut:
        """Make one part of the report from this run's evidence; nothing is raised."""
        return part(f"{self.letter}: {title}" if self.letter else title, make, self.evidence)

    def evidence_of(self, make: Callable[..., T]) -> T | None:
        """Return what `make` makes of this run's evidence, or None where it is not there."""
        made = part("", make, self.evidence)
        return None if isinstance(made, LeftOut) else made

    def result(self, rule: str) -> CheckResult | None:
        """Return the result of a rule, if it was in the audit."""
        return next((each for each in self.audit.results if each.rule == rule), None)

    def gravest(self, setting: Setting) -> CheckResult | None:
        """Return the gravest result of the rules that judge a setting, if any was in the audit."""
        results = [result for result in self.audit.results if result.setting == setting]
        return min(results, key=lambda result: _GRAVEST_FIRST.index(result.outcome), default=None)

    def judged_cell(self, text: str, setting: Setting) -> Cell:
        """Return `text` with the outcome of the setting's rules; a finding says what it expects."""
        result = self.gravest(setting)
        if result is None or result.outcome in (Outcome.NO_EVIDENCE, Outcome.BLOCKED):
            return Cell(text)
        note = ""
        if result.outcome not in _UNREMARKABLE:
            note = f"{result.rule}: {result.expected}" if result.expected else result.rule
        return Cell(text, mark_of(result.outcome), note)


def mark_of(outcome: Outcome) -> Mark:
    """Return the sign of an outcome."""
    return _MARKS[outcome]


def head(
    runs: Sequence[ReportedRun], first: str, *more: str, alone: str = "This run"
) -> tuple[str, ...]:
    """Return the head of a table with a column a run."""
    names = [printable(run.heading, limit=_HEAD) if run.letter else alone for run in runs]
    return (first, *names, *more)


def short_head(columns: Sequence[str], runs: Sequence[ReportedRun]) -> tuple[str, ...]:
    """Return the same head with the runs by their letters, for a narrow screen."""
    first, *rest = columns
    letters = [run.letter or name for run, name in zip(runs, rest, strict=False)]
    return (first, *letters, *rest[len(runs) :])
