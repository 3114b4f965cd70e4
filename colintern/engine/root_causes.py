"""Twenty failures with one cause are one finding: which failed rules does no other explain."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct


class Finding(Struct, frozen=True):
    """A failed, warned or waived rule, as much of it as ranking needs."""

    rule: str
    severity_rank: int
    """0 for the worst."""
    stage: int
    """Position of its family in the order in which things break."""
    waived: bool = False
    """A fault that the team has decided to live with: it explains others, but is no root itself."""


class RootCause(Struct, frozen=True):
    """A finding that no other explains, unless it is waived."""

    rule: str
    explains: tuple[str, ...]
    """The other findings that follow from it, by id."""
    follows_from: tuple[str, ...] = ()
    """The waived findings that explain it, by id."""


def root_causes(
    findings: Collection[Finding], explains: Mapping[str, Iterable[str]], refuted: Collection[str]
) -> tuple[RootCause, ...]:
    """Rank the findings that no other finding explains, the gravest first.

    A cause reaches a symptom also through rules between them that could not be judged, but not
    through one that passed: then the way from cause to symptom is refuted.

    A waived finding is never a root; a finding that only waived ones explain is, and names them.

    Args:
        findings: the failed, warned and waived rules of one subject.
        explains: rule id to the ids of its direct symptoms; must be acyclic.
        refuted: ids of rules that passed, and of findings that are known to have no cause here.

    Returns:
        Ordered by the worst severity among the root and what it explains, the number of its
        symptoms, its stage, its id.
    """
    live = {finding.rule: finding for finding in findings if not finding.waived}
    reached = {
        finding.rule: reachable(finding.rule, explains, refuted) & live.keys() - {finding.rule}
        for finding in findings
    }
    explained = frozenset[str]().union(*(reached[rule] for rule in live))
    waived = sorted(reached.keys() - live.keys())

    def gravity(rule: str) -> tuple[int, int, int, str]:
        worst = min(live[member].severity_rank for member in (rule, *reached[rule]))
        return (worst, -len(reached[rule]), live[rule].stage, rule)

    return tuple(
        RootCause(
            rule,
            explains=tuple(sorted(reached[rule])),
            follows_from=tuple(cause for cause in waived if rule in reached[cause]),
        )
        for rule in sorted(live.keys() - explained, key=gravity)
    )


def reachable(
    start: str, explains: Mapping[str, Iterable[str]], refuted: Collection[str]
) -> frozenset[str]:
    """Return every rule that `start` leads to, but through none of `refuted`."""
    seen: set[str] = set()
    pending = list(explains.get(start, ()))
    while pending:
        rule = pending.pop()
        if rule in seen or rule in refuted:
            continue
        seen.add(rule)
        pending.extend(explains.get(rule, ()))
    return frozenset(seen)
