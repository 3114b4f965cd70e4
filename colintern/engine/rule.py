"""The decorator that makes a rule of a function: all that is known of the rule stands in it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from colintern.engine.rule_families import STAGES
from colintern.engine.rule_fields import Advice, Floor, Moment, Role, Setting, refuse_unknown_words
from colintern.engine.rule_page import docstring_sections
from colintern.engine.verdict import Severity, Verdict

_ID: Final = re.compile(r"[A-Z]{2,8}\d{3}")
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Check = Callable[..., Verdict]
F = TypeVar("F", bound=Check)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry of the catalogue."""

    id: str
    """Family prefix and three digits, never reused."""
    name: str
    """The bad pattern, as it reads after "allow"."""
    severity: Severity
    up_to: Severity
    """The worst severity that a verdict may set; equal to `severity` for most rules."""
    requires: frozenset[str]
    """Rules without which this one means nothing; a failed one blocks it."""
    explains: frozenset[str]
    """Rules that fail as a consequence when this one fails."""
    live: frozenset[Moment]
    """When the audit of a running training asks it; never, where this is empty."""
    live_softened: bool
    """Whether it warns at most while the run goes on: what it finds may pass."""
    live_explains: frozenset[str]
    """Symptoms that a run shows before this cause is saved, beside `explains`."""
    live_check: Check | None
    """Asked instead of `check` while the run goes on: it judges the model in memory."""
    setting: Setting | None
    """The row of the training report that shows its outcome."""
    advice: tuple[Advice, ...]
    """Entries of the guide's troubleshooting that a finding calls for."""
    satisfies: tuple[Advice, ...]
    """Entries of the guide's checklist that are done where the rule passes."""
    fails_if_stopped: bool
    """Whether a run that was ended in its first steps fails it, whatever ended the run."""
    per_file: bool
    """Whether it is about single files: it explains another such rule only on the same file."""
    floor: Floor | None
    """What of the floor of a pass it shows, where it comes to a verdict."""
    role: Role | None
    """What the judge itself needs it for; no two rules have the same."""
    summary: str
    why: str
    evidence: str
    fix: str
    source: str
    check: Check

    @property
    def family(self) -> str:
        """The prefix of the id, as `ADP`."""
        return self.id.rstrip("0123456789")

    @property
    def stage(self) -> int:
        """The position of the family in `STAGES`; families of other people come last."""
        return STAGES.index(self.family) if self.family in STAGES else len(STAGES)


def rule(
    rule_id: str,
    name: str,
    *,
    severity: Severity,
    up_to: Severity | None = None,
    requires: Iterable[str] = (),
    explains: Iterable[str] = (),
    live: Iterable[Moment] = (),
    live_softened: bool = False,
    live_explains: Iterable[str] = (),
    live_check: Check | None = None,
    setting: Setting | None = None,
    advice: Iterable[Advice] = (),
    satisfies: Iterable[Advice] = (),
    fails_if_stopped: bool = False,
    per_file: bool = False,
    floor: Floor | None = None,
    role: Role | None = None,
) -> Callable[[F], F]:
    """Declare a function as the check of a rule; the function itself is returned unchanged.

    Its parameters name the evidence that it needs; `X | None` marks evidence it can do without.

    Args:
        rule_id: as `TEAM001`.
        name: the bad pattern in kebab case.
        severity: of a failed verdict that sets none.
        up_to: the worst severity that a verdict may set.
        requires: ids of rules that must not have failed.
        explains: ids of rules whose failure this one's failure causes.
        live: `start`, `course` or both: the audit of a running training asks the rule before the
            first step, or as the log grows. By default it does not.
        live_softened: a finding is a warning at most while the run goes on.
        live_explains: further symptoms, of a run that goes on.
        live_check: a function that is asked instead of this one while the run goes on.
        setting: the row of the training report that the rule judges, as it is labelled.
        advice: what of the guide's troubleshooting a finding calls for.
        satisfies: what of the guide's checklist is done where the rule passes.
        fails_if_stopped: any run that was ended in its first steps fails the rule.
        per_file: the rule is about single files, and explains another such rule only where both
            verdicts name the same file in `where`.
        floor: what of the floor of a pass the rule shows where it comes to a verdict.
        role: what the audit itself needs the rule for.

    Raises:
        ValueError: the id or the name has another form, a field holds a word that it does not
            know, or the docstring lacks a section.
    """
    if not _ID.fullmatch(rule_id) or not _NAME.fullmatch(name):
        raise ValueError(
            f"a rule has an id like TEAM001 and a name like target-matches-nothing, "
            f"got {rule_id!r} and {name!r}"
        )
    moments, advised, done = frozenset(live), tuple(sorted(advice)), tuple(sorted(satisfies))
    live_symptoms = frozenset(live_explains)
    _refuse_idle_fields(rule_id, moments, (live_softened, live_symptoms, live_check))
    refuse_unknown_words(
        rule_id,
        live=moments,
        advice=advised,
        satisfies=done,
        setting=setting,
        floor=floor,
        role=role,
    )

    def attach(check: F) -> F:
        sections = docstring_sections(rule_id, check)
        declared = Rule(
            id=rule_id,
            name=name,
            severity=severity,
            up_to=up_to or severity,
            requires=frozenset(requires),
            explains=frozenset(explains),
            live=moments,
            live_softened=live_softened,
            live_explains=live_symptoms,
            live_check=live_check,
            setting=setting,
            advice=advised,
            satisfies=done,
            fails_if_stopped=fails_if_stopped,
            per_file=per_file,
            floor=floor,
            role=role,
            summary=sections["Summary"],
            why=sections["Why"],
            evidence=sections["Evidence"],
            fix=sections["Fix"],
            source=sections["Source"],
            check=check,
        )
        check.__rule__ = declared  # type: ignore[attr-defined]
        return check

    return attach


def rule_of(function: object) -> Rule | None:
    """Return the rule that `function` was declared with, if any."""
    declared = getattr(function, "__rule__", None)
    return declared if isinstance(declared, Rule) else None


def _refuse_idle_fields(
    rule_id: str, moments: frozenset[Moment], live_fields: tuple[object, ...]
) -> None:
    """Refuse fields of the live audit on a rule that it never asks."""
    if not moments and any(live_fields):
        raise ValueError(f'{rule_id}: live_... without live={{"start"}} or {{"course"}} has no use')
