"""The one judge: every entrance (pytest, `colintern audit`, a running training) asks it."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import Any

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable
from colintern.engine.missing import Missing
from colintern.engine.outcome import CheckResult, Outcome, check_result
from colintern.engine.policy import Policy
from colintern.engine.resolver import Resolver
from colintern.engine.root_causes import reachable
from colintern.engine.rule import Rule
from colintern.engine.rule_fields import Role
from colintern.engine.verdict import INFO, NoEvidence, Severity, Verdict


class Judge:
    """Rule to result for one subject; each rule is judged once."""

    def __init__(
        self, subject: str, resolver: Resolver, catalogue: Mapping[str, Rule], policy: Policy
    ) -> None:
        """Judge `subject` by the rules of `catalogue`, which must hold every required rule."""
        self.subject = subject
        self.resolver = resolver
        self._catalogue = catalogue
        self._policy = policy
        self._results: dict[str, CheckResult] = {}

    def result(
        self,
        rule: Rule,
        *,
        given: Mapping[str, Any] | None = None,
        obstacle: Exception | None = None,
    ) -> CheckResult:
        """Judge `rule`.

        Args:
            rule: what to judge.
            given: values of parameters that are no evidence (pytest fixtures of the rule's author).
            obstacle: what was raised while those were made; it becomes the rule's result.
        """
        known = self._results.get(rule.id)
        if known is None:
            known = self._results[rule.id] = self._held_up(rule) or self._checked(
                rule, partial(self._call, rule, given or {}, obstacle)
            )
        return known

    def _call(self, rule: Rule, given: Mapping[str, Any], obstacle: Exception | None) -> Verdict:
        if obstacle is not None:
            raise obstacle
        verdict = self.resolver.call(rule.check, **given)
        if not isinstance(verdict, Verdict):
            raise TypeError(
                f"a check returns a Verdict, {rule.id} returned {type(verdict).__name__}"
            )
        return verdict

    def _held_up(self, rule: Rule) -> CheckResult | None:
        """Return the result of a rule whose requirement does not hold, else None."""
        for required in sorted(rule.requires):
            result = self.result(self._catalogue[required])
            if result.outcome is Outcome.NO_EVIDENCE and result.missing is not None:
                return self._no_evidence(rule, result.missing)
            if result.is_finding or result.outcome in (Outcome.ERROR, Outcome.BLOCKED):
                blocker = result.blocked_by or required
                return check_result(
                    rule,
                    self.subject,
                    Outcome.BLOCKED,
                    observed=f"not judged: {blocker} has failed",
                    blocked_by=blocker,
                )
        return None

    def _checked(self, rule: Rule, check: Callable[[], Verdict]) -> CheckResult:
        start = time.perf_counter()
        try:
            verdict = check()
            return self._judged(rule, verdict, time.perf_counter() - start)
        except NoEvidence as absence:
            return self._no_evidence(rule, absence.missing)
        except ArtifactError as error:
            return check_result(
                rule,
                self.subject,
                Outcome.BLOCKED,
                observed=f"not judged: {error}",
                where=error.path,
                blocked_by=self._in_role("escaping-files" if error.escapes else "malformed-files"),
            )
        # Not to be taken for an end of the audit, either: that would be an exit without a verdict.
        except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - one broken rule
            return check_result(
                rule,
                self.subject,
                Outcome.ERROR,
                gates=True,
                observed=f"the rule raised {type(error).__name__}: {printable(error)}",
                expected="a verdict",
                where=_raised_at(error),
            )

    def _in_role(self, role: Role) -> str | None:
        """The rule that reports such files, once; whatever needed one is blocked by it."""
        return next((rule.id for rule in self._catalogue.values() if rule.role == role), None)

    def _no_evidence(self, rule: Rule, missing: Missing) -> CheckResult:
        strict = self._policy.strict_evidence and not missing.is_option
        waiver = self._waiver(rule) if strict else None
        return check_result(
            rule,
            self.subject,
            Outcome.WAIVED if waiver else Outcome.NO_EVIDENCE,
            gates=strict and not waiver,
            missing=missing,
            waiver=waiver,
        )

    def _judged(self, rule: Rule, verdict: Verdict, seconds: float) -> CheckResult:
        severity = verdict.severity or rule.severity
        if severity.rank < rule.up_to.rank:
            raise ValueError(
                f"{rule.id} set {severity.value}, but declares up to {rule.up_to.value}"
            )
        waiver = None if verdict.ok else self._waiver(rule)
        outcome = self._outcome(severity, ok=verdict.ok, waived=waiver is not None)
        known = outcome is Outcome.FAILED and self._is_known(rule, severity)
        if known:
            outcome = Outcome.WARNED
        return check_result(
            rule,
            self.subject,
            outcome,
            gates=outcome is Outcome.FAILED,
            severity=rule.severity if verdict.ok else severity,
            observed=verdict.observed,
            expected=verdict.expected,
            where=verdict.where,
            fix=verdict.fix,
            explains=None if verdict.ok else self._explains(rule, verdict),
            independent=verdict.independent,
            waiver=waiver,
            known=known,
            duration_seconds=seconds,
        )

    def _explains(self, rule: Rule, verdict: Verdict) -> frozenset[str]:
        """What a finding causes: also what a run shows that this very rule ended on purpose."""
        declared = rule.explains
        explains = declared if verdict.explains is None else declared & {*verdict.explains}
        return explains | (self._symptoms_of_end if rule.id == self._ended_by else frozenset())

    @cached_property
    def _ended_by(self) -> str | None:
        """The rule by which a live audit ended the run, if one did."""
        if "live_end" not in self.resolver.providers:
            return None
        with suppress(NoEvidence, ArtifactError, OSError):
            return str(self.resolver.get("live_end"))
        return None

    @property
    def _symptoms_of_end(self) -> frozenset[str]:
        """Those of a run that did not go on, without what may itself have led to its end."""
        table = {name: rule.explains for name, rule in self._catalogue.items()}
        symptoms = {name for name, rule in self._catalogue.items() if rule.fails_if_stopped}
        causes = {name for name in symptoms if self._ended_by in reachable(name, table, refuted=())}
        return frozenset(symptoms - causes)

    def _outcome(self, severity: Severity, *, ok: bool, waived: bool) -> Outcome:
        if ok:
            return Outcome.PASSED
        if waived:
            return Outcome.WAIVED
        if severity is INFO:
            return Outcome.NOTED
        return Outcome.FAILED if severity.rank <= self._policy.fail_on.rank else Outcome.WARNED

    def _is_known(self, rule: Rule, severity: Severity) -> bool:
        known = self._policy.known
        return known is not None and known.knows(self.subject, rule.id, severity)

    def _waiver(self, rule: Rule) -> str | None:
        waiver = self._policy.waivers.get(rule.id)
        return waiver.shown() if waiver and waiver.counts_on(self._policy.today) else None


def _raised_at(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
