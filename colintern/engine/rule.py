"""The decorator that makes a rule of a function, and the reading of its docstring."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from colintern.artifacts.printable import printable
from colintern.engine.verdict import Severity, Verdict

SECTIONS: Final = ("Why", "Evidence", "Fix", "Source")
"""The headings that follow the summary in every rule's docstring, in this order."""

STAGES: Final = ("SEC", "ADP", "PRJ", "CFG", "PRC", "LOG", "RES", "CMP", "LIV", "HWU", "ENV")
"""Families from the first thing that can break to the last: breaks ties between root causes."""

_ID: Final = re.compile(r"[A-Z]{2,8}\d{3}")
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_SECTION_CHARACTERS: Final = 4_000
"""Of one section of a docstring: a page of text."""
_HEADING: Final = re.compile(rf"^({'|'.join(SECTIONS)}):[ \n]", re.MULTILINE)

Check = Callable[..., Verdict]
F = TypeVar("F", bound=Check)


@dataclass(frozen=True, slots=True)
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
) -> Callable[[F], F]:
    """Declare a function as the check of a rule; the function itself is returned unchanged.

    Its parameters name the evidence that it needs; `X | None` marks evidence it can do without.

    Args:
        rule_id: as `ADP003`.
        name: the bad pattern in kebab case.
        severity: of a failed verdict that sets none.
        up_to: the worst severity that a verdict may set.
        requires: ids of rules that must not have failed.
        explains: ids of rules whose failure this one's failure causes.

    Raises:
        ValueError: the id or the name has another form, or the docstring lacks a section.
    """
    if not _ID.fullmatch(rule_id) or not _NAME.fullmatch(name):
        raise ValueError(
            f"a rule has an id like ADP003 and a name like target-matches-nothing, "
            f"got {rule_id!r} and {name!r}"
        )

    def attach(check: F) -> F:
        sections = _docstring_sections(rule_id, check)
        declared = Rule(
            id=rule_id,
            name=name,
            severity=severity,
            up_to=up_to or severity,
            requires=frozenset(requires),
            explains=frozenset(explains),
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


def _docstring_sections(rule_id: str, check: Check) -> dict[str, str]:
    parts = _HEADING.split(inspect.getdoc(check) or "")
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    sections["Summary"] = parts[0]
    sections = {
        heading: printable(" ".join(text.split()), limit=_MAX_SECTION_CHARACTERS)
        for heading, text in sections.items()
    }
    absent = [heading for heading in ("Summary", *SECTIONS) if not sections.get(heading)]
    if absent:
        raise ValueError(
            f"the docstring of {rule_id} lacks {', '.join(absent)}: it needs a summary, then "
            f"{', '.join(f'{heading}:' for heading in SECTIONS)}"
        )
    return sections
