"""What became of one rule on one subject."""

from collections import Counter
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Any, Final, Self

import msgspec

from colintern.artifacts.printable import printable
from colintern.engine.missing import Missing
from colintern.engine.rule import Rule
from colintern.engine.verdict import INFO, Severity

MAX_TEXT_CHARACTERS: Final = 1_200
"""Of one observed or expected text: a screenful; the artefact itself has the rest."""


class Outcome(StrEnum):
    """The eight outcomes, in the order in which they are counted."""

    PASSED = "passed"
    FAILED = "failed"
    """At or above the gate."""
    WARNED = "warned"
    """A failed rule below the gate."""
    NOTED = "noted"
    """A failed info rule: never gates, never a root cause."""
    NO_EVIDENCE = "no_evidence"
    BLOCKED = "blocked"
    """A rule that it requires has failed, or the evidence is malformed."""
    WAIVED = "waived"
    ERROR = "error"
    """The rule itself broke: always gates."""

    @property
    def label(self) -> str:
        """As it is shown: `no evidence`."""
        return self.value.replace("_", " ")


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit; plain values only, so that it travels between processes."""

    rule: str
    name: str
    family: str
    severity: Severity
    """The one that counted: a rule of two severities may have set the worse."""
    subject: str
    outcome: Outcome
    gates: bool
    """Whether it makes the audit fail."""
    summary: str
    observed: str
    """What was found; for no evidence `missing` as a sentence, for an error what was raised."""
    expected: str
    where: str
    why: str
    evidence: str
    fix: str
    source: str
    blocked_by: str | None
    waiver: str | None
    """The reason of the waiver in force, with its end date."""
    known: bool
    """Whether only a recorded audit that already had it keeps the finding from gating."""
    requires: tuple[str, ...]
    explains: tuple[str, ...]
    stage: int
    duration_seconds: float
    independent: bool = False
    """Whether its own evidence shows that no other finding caused it."""
    may_explain: tuple[str, ...] = ()
    """What its rule may explain; `explains` is what this very finding does."""
    usual_fix: str = ""
    """Of its rule; `fix` is that of this very finding."""
    setting: str | None = None
    """The row of the training report that its rule judges."""
    advice: tuple[str, ...] = ()
    """What of the guide's troubleshooting a finding of its rule calls for."""
    satisfies: tuple[str, ...] = ()
    """What of the guide's checklist is done where its rule passes."""
    per_file: bool = False
    """Whether its rule is about single files, of which `where` is one."""
    floor: str | None = None
    """What of the floor of a pass its rule shows, where it comes to a verdict."""
    missing: Missing | None = None
    """What kept the rule from being judged, where it has no evidence."""
    first_known_step: int | None = None
    """The step at which a running training first showed it; None where that is not known."""

    @property
    def is_finding(self) -> bool:
        """Whether something is wrong: failed or warned."""
        return self.outcome in (Outcome.FAILED, Outcome.WARNED)

    @property
    def is_waived_finding(self) -> bool:
        """Whether something is wrong that a waiver covers, and not just unknown."""
        # Missing evidence can be waived too.
        is_verdict = self.missing is None
        return self.outcome is Outcome.WAIVED and is_verdict and self.severity is not INFO

    @property
    def remedy(self) -> str:
        """What a person can do: mend the fault, or bring what is missing; may be empty."""
        return self.fix if self.missing is None else self.missing.hint


def check_result(
    rule: Rule,
    subject: str,
    outcome: Outcome,
    *,
    gates: bool = False,
    severity: Severity | None = None,
    observed: str = "",
    expected: str = "",
    where: object = None,
    fix: str | None = None,
    missing: Missing | None = None,
    explains: Collection[str] | None = None,
    independent: bool = False,
    blocked_by: str | None = None,
    waiver: str | None = None,
    known: bool = False,
    duration_seconds: float = 0.0,
) -> CheckResult:
    """Make a result of a rule; every text that may stem from an artefact is made printable.

    What is `missing` is what was observed, unless that is said in other words.
    """
    if missing is not None:
        missing = missing.shown()
        observed = observed or missing.sentence
    return CheckResult(
        **_catalogued(rule),
        severity=severity or rule.severity,
        subject=subject,
        outcome=outcome,
        gates=gates,
        observed=printable(observed, limit=MAX_TEXT_CHARACTERS),
        expected=printable(expected, limit=MAX_TEXT_CHARACTERS),
        where="" if where is None else printable(where, limit=MAX_TEXT_CHARACTERS),
        fix=printable(fix, limit=MAX_TEXT_CHARACTERS) if fix else rule.fix,
        blocked_by=blocked_by,
        waiver=printable(waiver, limit=MAX_TEXT_CHARACTERS) if waiver else None,
        known=known,
        explains=tuple(sorted(rule.explains if explains is None else explains)),
        duration_seconds=duration_seconds,
        independent=independent,
        missing=missing,
    )


def _catalogued(rule: Rule) -> dict[str, Any]:
    """What a result repeats of its rule, whatever became of it."""
    return {
        "rule": rule.id,
        "name": rule.name,
        "family": rule.family,
        "summary": rule.summary,
        "why": rule.why,
        "evidence": rule.evidence,
        "source": rule.source,
        "requires": tuple(sorted(rule.requires)),
        "stage": rule.stage,
        "may_explain": tuple(sorted(rule.explains)),
        "usual_fix": rule.fix,
        "floor": rule.floor,
        "per_file": rule.per_file,
        "setting": rule.setting,
        "advice": rule.advice,
        "satisfies": rule.satisfies,
    }


class OutcomeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many checks had each outcome."""

    passed: int = 0
    failed: int = 0
    warned: int = 0
    noted: int = 0
    no_evidence: int = 0
    blocked: int = 0
    waived: int = 0
    error: int = 0

    @classmethod
    def of(cls, results: Iterable[CheckResult]) -> Self:
        """Count the outcomes of `results`."""
        return cls(**Counter(result.outcome.value for result in results))

    def plus(self, other: Self) -> Self:
        """Add the counts of other checks."""
        names = self.__struct_fields__
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def shown(self) -> str:
        """Name all eight, as `2 failed, 1 warned, ..., 41 passed`, zeros included."""
        order = ("failed", "error", "warned", "noted", "no_evidence", "blocked", "waived", "passed")
        return ", ".join(f"{getattr(self, name)} {name.replace('_', ' ')}" for name in order)
