"""Twenty failures with one cause are one finding: which failed rules does no other explain."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct


class Finding(Struct, frozen=True):
    """A failed or warned rule, as much of it as ranking needs."""

    rule: str
    severity_rank: int
    """0 for the worst."""
    stage: int
    """Position of its family in the order in which things break."""


class RootCause(Struct, frozen=True):
    """A finding that no other explains."""

    rule: str
    explains: tuple[str, ...]
    """The other findings that follow from it, by id."""


def root_causes(
    findings: Collection[Finding], explains: Mapping[str, Iterable[str]], refuted: Collection[str]
) -> tuple[RootCause, ...]:
    """Rank the findings that no other finding explains, the gravest first.

    A cause reaches a symptom also through rules between them that could not be judged, but not
    through one that passed: then the way from cause to symptom is refuted.

    Args:
        findings: the failed and warned rules of one subject.
        explains: rule id to the ids of its direct symptoms; must be acyclic.
        refuted: ids of rules that passed.

    Returns:
        Ordered by the worst severity among the root and what it explains, the number of its
        symptoms, its stage, its id.
    """
    by_rule = {finding.rule: finding for finding in findings}
    reached = {
        rule: _reachable(rule, explains, refuted) & by_rule.keys() - {rule} for rule in by_rule
    }
    explained = frozenset().union(*reached.values()) if reached else frozenset()
    roots = [rule for rule in by_rule if rule not in explained]

    def gravity(rule: str) -> tuple[int, int, int, str]:
        group = (rule, *reached[rule])
        worst = min(by_rule[member].severity_rank for member in group)
        return (worst, -len(reached[rule]), by_rule[rule].stage, rule)

    return tuple(
        RootCause(rule, tuple(sorted(reached[rule]))) for rule in sorted(roots, key=gravity)
    )


def _reachable(
    start: str, explains: Mapping[str, Iterable[str]], refuted: Collection[str]
) -> frozenset[str]:
    seen: set[str] = set()
    pending = list(explains.get(start, ()))
    while pending:
        rule = pending.pop()
        if rule in seen or rule in refuted:
            continue
        seen.add(rule)
        pending.extend(explains.get(rule, ()))
    return frozenset(seen)
