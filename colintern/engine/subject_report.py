"""One subject's part of an audit: who it is, its results, its root causes and its verdict."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.folder.unread_files import UnreadFiles
from colintern.artifacts.printable import printable
from colintern.engine.floor import JUDGED, Gap, gaps_in, is_narrowed
from colintern.engine.outcome import CheckResult, Outcome, OutcomeCounts
from colintern.engine.resolver import Resolver
from colintern.engine.root_causes import Finding, RootCause, root_causes
from colintern.engine.rule_families import RULE_FAMILIES, SAFETY
from colintern.engine.subjects import Subject
from colintern.engine.verdict import NoEvidence

VerdictName = Literal["pass", "fail", "inconclusive"]

_BOOKKEEPING: Final = frozenset(each.prefix for each in RULE_FAMILIES if each.bookkeeping)
_SHOWN_IGNORED: Final = 12
"""In one line; the JSON has more."""
_NAME_CHARACTERS: Final = 160
"""Of the name of one ignored file."""


class SubjectIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What is audited, as far as its files tell; None where they do not."""

    name: str
    path: str
    kind: str | None = None
    """run, checkpoint, adapter or merged."""
    weights_of: str | None = None
    """The checkpoint whose weights are judged, where the run's own folder holds none."""
    family: str | None = None
    base_model: str | None = None
    ignored: tuple[str, ...] = ()
    """Files that no rule judges, by name, the first of them."""
    num_ignored: int = 0
    """All of them."""

    @property
    def kind_text(self) -> str | None:
        """The kind, and whose weights stand for the run's."""
        return f"{self.kind}, weights of {self.weights_of}" if self.weights_of else self.kind

    def ignored_text(self) -> str:
        """Count them, and name the first."""
        shown = ", ".join(self.ignored[:_SHOWN_IGNORED])
        number = f"{self.num_ignored} file{'s' * (self.num_ignored != 1)}"
        return f"{number}: {shown}{', …' * (len(self.ignored) > _SHOWN_IGNORED)}"


class SubjectReport(msgspec.Struct, frozen=True, kw_only=True):
    """One subject's verdict; plain values only, so that it travels between processes."""

    identity: SubjectIdentity
    verdict: VerdictName
    counts: OutcomeCounts
    roots: tuple[RootCause, ...]
    """Ranked, the gravest first."""
    results: tuple[CheckResult, ...]
    """In the order of their ids."""
    unmet: tuple[str, ...] = ()
    """Rules and families that the policy wants judged, and that were not."""
    plan: bool = False
    """Whether it is the plan of a training that has not begun."""
    floor: tuple[Gap, ...] = ()
    """Parts of the floor that nothing was judged of."""
    narrowed: bool = False
    """Whether a selection of rules left some of the floor out."""

    def result(self, rule: str) -> CheckResult:
        """Return the result of the rule `rule`, which must have been judged."""
        return next(result for result in self.results if result.rule == rule)

    @property
    def num_judged(self) -> int:
        """How many rules came to a verdict."""
        return sum(result.outcome in JUDGED for result in self.results)

    @property
    def missing(self) -> tuple[str, ...]:
        """The sources that rules lack, the most wanted first; options are not asked for."""
        wanted = Counter(
            result.missing.source
            for result in self.results
            if result.outcome is Outcome.NO_EVIDENCE
            and result.missing is not None
            and not result.missing.is_option
        )
        return tuple(sorted(wanted, key=lambda name: (-wanted[name], name)))


class SubjectSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a summary of many subjects says of one: small, so that all of them fit in memory."""

    identity: SubjectIdentity
    verdict: VerdictName
    counts: OutcomeCounts
    num_checks: int
    num_judged: int
    roots: tuple[tuple[RootCause, str], ...]
    """Root causes with the names of their rules."""
    unmet: tuple[str, ...]
    plan: bool
    floor: tuple[Gap, ...]
    narrowed: bool
    missing: tuple[str, ...]
    num_demanded: int
    """Rules without evidence that gate for the want of it."""
    badness: tuple[int, bool, int, int]
    """Sorts the worst subject first."""

    @classmethod
    def of(cls, report: SubjectReport) -> "SubjectSummary":
        """Summarise a report."""
        return cls(
            identity=report.identity,
            verdict=report.verdict,
            counts=report.counts,
            num_checks=len(report.results),
            num_judged=report.num_judged,
            roots=tuple((root, report.result(root.rule).name) for root in report.roots),
            unmet=report.unmet,
            plan=report.plan,
            floor=report.floor,
            narrowed=report.narrowed,
            missing=report.missing,
            num_demanded=sum(
                result.gates and result.outcome is Outcome.NO_EVIDENCE for result in report.results
            ),
            badness=_badness(report),
        )


def _badness(report: SubjectReport) -> tuple[int, bool, int, int]:
    """Sort failed before inconclusive before passed, unsafe first, then by what gates."""
    return (
        ("fail", "inconclusive", "pass").index(report.verdict),
        not any(result.gates and result.family == SAFETY for result in report.results),
        -sum(result.gates for result in report.results),
        -len(report.roots),
    )


def subject_report(
    identity: SubjectIdentity,
    results: Iterable[CheckResult],
    min_evidence: Sequence[str] = (),
    pass_floor: Sequence[str] = (),
) -> SubjectReport:
    """Put the results of a subject in order and decide its verdict.

    It fails when anything gates, or when the policy wants something judged that was not; it is
    inconclusive when a pass would rest on too little; else it passes.
    """
    ordered = tuple(sorted(results, key=lambda result: result.rule))
    judged = {name for result in ordered if result.outcome in JUDGED for name in _names(result)}
    unmet = tuple(name for name in min_evidence if name not in judged)
    gaps = gaps_in(ordered, pass_floor, identity.kind)
    verdict = "fail" if unmet else _verdict(ordered)
    return SubjectReport(
        identity=identity,
        verdict="inconclusive" if verdict == "pass" and gaps else verdict,
        counts=OutcomeCounts.of(ordered),
        roots=_roots(ordered),
        results=ordered,
        unmet=unmet,
        floor=gaps,
        narrowed=is_narrowed(ordered, pass_floor, identity.kind),
    )


def _names(result: CheckResult) -> tuple[str, str]:
    return result.rule, result.family


def _verdict(results: Sequence[CheckResult]) -> VerdictName:
    if any(result.gates for result in results):
        return "fail"
    # An audit of nothing but SEC or ENV was asked for as such.
    telling = [result for result in results if result.family not in _BOOKKEEPING] or results
    return "pass" if any(result.outcome in JUDGED for result in telling) else "inconclusive"


def _roots(results: Sequence[CheckResult]) -> tuple[RootCause, ...]:
    explains: Mapping[str, Iterable[str]] = {
        result.rule: _of_this_file(result, results) for result in results
    }
    findings = [
        Finding(result.rule, result.severity.rank, result.stage, waived=not result.is_finding)
        for result in results
        if result.is_finding or result.is_waived_finding
    ]
    # A rule that was never judged is no link in a chain of causes: it may well hold.
    refuted = {
        result.rule
        for result in results
        if result.outcome in (Outcome.PASSED, Outcome.BLOCKED) or result.independent
    }
    return root_causes(findings, explains, refuted)


def _of_this_file(result: CheckResult, results: Sequence[CheckResult]) -> frozenset[str]:
    """What a finding explains; of rules about single files, only what is about the same one."""
    if not result.per_file:
        return frozenset(result.explains)
    other_files = {
        other.rule for other in results if other.per_file and other.where != result.where
    }
    return frozenset(result.explains) - other_files


def subject_identity(subject: Subject, resolver: Resolver) -> SubjectIdentity:
    """Read kind, family, base model and what is not judged; what cannot be read is None."""
    unread = _unread(resolver)
    return SubjectIdentity(
        name=subject.name,
        path=printable(subject.path, limit=1_000),
        kind=_fact(resolver, "layout", "kind"),
        weights_of=_fact(resolver, "layout", "weights_of"),
        family=_fact(resolver, "family", "name"),
        base_model=_fact(resolver, "adapter", "base_model_name_or_path"),
        ignored=tuple(printable(name, limit=_NAME_CHARACTERS) for name in unread.names),
        num_ignored=unread.num_files,
    )


def _unread(resolver: Resolver) -> UnreadFiles:
    try:
        found: UnreadFiles = resolver.get("unread")
    except (NoEvidence, ArtifactError, LookupError):
        return UnreadFiles((), 0)
    return found


def _fact(resolver: Resolver, evidence: str, attribute: str) -> str | None:
    try:
        value: Any = getattr(resolver.get(evidence), attribute)
    except (NoEvidence, ArtifactError, LookupError):
        return None
    return printable(value) if value is not None else None
