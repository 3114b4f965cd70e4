"""The audit itself: every selected rule on every subject, one subject after the other."""

import time
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from colintern.artifacts.printable import printable
from colintern.engine.audit_report import AuditReport, audit_report
from colintern.engine.catalogue import (
    LIVE_FAMILY,
    load_check_file,
    merged_rules,
    rules_in,
    shipped_rules,
)
from colintern.engine.judge import Judge
from colintern.engine.outcome import CheckResult
from colintern.engine.policy_in_force import PolicyInForce, policy_in_force
from colintern.engine.providers import GIVEN, shipped_providers
from colintern.engine.report_store import ReportStore
from colintern.engine.request import AuditSetup, UsageMistakeError, catalogue_mistakes
from colintern.engine.resolver import Provider, Resolver, parameters_of, providers_of
from colintern.engine.rule import Rule
from colintern.engine.subject_report import SubjectReport, subject_identity, subject_report
from colintern.engine.subjects import Subject


class Audit:
    """What all subjects of an audit have in common: rules, evidence and policy."""

    def __init__(self, setup: AuditSetup, live_evidence: Mapping[str, Provider]) -> None:
        """Start with the rules that ColIntern ships.

        Args:
            setup: what is audited, and how.
            live_evidence: providers of what only a loaded model shows; the engine has none itself.
        """
        self.setup = setup
        self.catalogue = shipped_rules()
        self.providers: dict[str, Provider] = {**shipped_providers(), **live_evidence}
        self.policy: PolicyInForce = policy_in_force(
            setup.policy, setup.settings, setup.audit_baseline
        )
        self.breakdowns: list[str] = []
        """What failed without a result: a check file that cannot be imported."""
        self._latest: tuple[Subject, Judge] | None = None
        self._start = time.perf_counter()

    @property
    def evidence_names(self) -> frozenset[str]:
        """Every name that a parameter of a rule may have."""
        return frozenset({*GIVEN, *self.providers})

    @property
    def rules(self) -> list[Rule]:
        """The rules that are judged: those selected, and the live ones only with `--live`."""
        return [
            rule
            for rule in self.catalogue.values()
            if self.setup.selected(rule.id)
            and (self.setup.options.live or rule.family != LIVE_FAMILY)
        ]

    @property
    def mistakes(self) -> list[str]:
        """What is wrong with the rules, or with how they were named: a typo must not be silent."""
        return catalogue_mistakes(self.setup, self.catalogue)

    def register(self, rules: Iterable[Rule], providers: Mapping[str, Provider]) -> None:
        """Take in a team's own rules and evidence.

        Raises:
            ValueError: a rule of this id is already there.
        """
        self.catalogue = merged_rules([self.catalogue.values(), rules])
        self.providers |= providers

    def load(self, path: Path) -> None:
        """Take in a team's check file; that it cannot be imported is a breakdown of the audit.

        Raises:
            UsageMistakeError: a rule of its id, or evidence of its name, is already there.
        """
        try:
            module = load_check_file(path)
        except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - a team's own code
            reason = printable(f"{type(error).__name__}: {error}")
            self.breakdowns.append(f"{printable(path)}: {reason}")
            return
        try:
            self.register(rules_in(module).values(), providers_of(module))
        except ValueError as error:
            raise UsageMistakeError(str(error)) from error

    def refuse_fixtures(self) -> None:
        """Refuse rules that take what is no evidence: only the pytest door has fixtures.

        Raises:
            UsageMistakeError: a rule has such a parameter.
        """
        names = self.evidence_names
        for rule in self.rules:
            unknown = [name for name, _ in parameters_of(rule.check) if name not in names]
            if unknown:
                raise UsageMistakeError(_needs_pytest(rule, unknown[0], names))

    def judge(self, subject: Subject) -> Judge:
        """Return the judge of `subject`, with all evidence that it has gathered.

        Only the last subject's is kept: memory does not grow with the number of subjects.
        """
        if self._latest is None or self._latest[0] != subject:
            given = {"subject": subject, "options": self.setup.options}
            resolver = Resolver(self.providers, given)
            judge = Judge(subject.name, resolver, self.catalogue, self.setup.policy)
            self._latest = subject, judge
        return self._latest[1]

    def evidence(self, name: str) -> Resolver:
        """Return the evidence of the subject called `name`."""
        subject = next(subject for subject in self.setup.subjects if subject.name == name)
        return self.judge(subject).resolver

    def judged(self, subject: Subject) -> SubjectReport:
        """Judge a subject by every selected rule."""
        judge = self.judge(subject)
        return self.report_of(subject, [judge.result(rule) for rule in self.rules])

    def report_of(self, subject: Subject, results: Iterable[CheckResult]) -> SubjectReport:
        """Decide the verdict of a subject that was judged."""
        identity = subject_identity(subject, self.judge(subject).resolver)
        policy = self.setup.policy
        return subject_report(identity, results, policy.min_evidence, policy.pass_floor)

    def report(self, subjects: ReportStore) -> AuditReport:
        """Decide the verdict of the whole audit."""
        return audit_report(
            subjects,
            duration_seconds=time.perf_counter() - self._start,
            policy=self.policy,
            breakdowns=tuple(self.breakdowns),
        )


def loaded_audit(
    setup: AuditSetup, live_evidence: Mapping[str, Provider], checks: Iterable[Path] = ()
) -> Audit:
    """Return an audit with a team's own rules in it, ready to judge.

    Raises:
        UsageMistakeError: a rule needs pytest, two rules have one id, or no rule has a named one.
    """
    audit = Audit(setup, live_evidence)
    for path in checks:
        audit.load(path)
    if mistakes := audit.mistakes:
        raise UsageMistakeError("\n".join(mistakes))
    audit.refuse_fixtures()
    return audit


def _needs_pytest(rule: Rule, parameter: str, names: Iterable[str]) -> str:
    path = printable(rule.check.__code__.co_filename, limit=1_000)
    close = get_close_matches(parameter, names, n=3)
    hint = f" (close: {', '.join(close)})" if close else ""
    return (
        f"{path}: {rule.id} takes {parameter!r}, and no evidence is called so{hint}; a rule that "
        f"takes pytest fixtures needs pytest: pytest checks/ {path} --checkpoint PATH"
    )
