"""What a running audit has found: each finding told once, and again when it becomes worse."""

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from colintern.artifacts.running.record import LiveFinding
from colintern.artifacts.running.run import RunningRun
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.root_causes import Finding, root_causes
from colintern.engine.rule import Rule
from colintern.engine.running.judge import LiveSubject, judge_live, live_rules
from colintern.engine.verdict import ERROR, WARNING


class LiveFindings:
    """Findings of one run by rule, in the order in which they came."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        """Begin with none; `rules` say what explains what."""
        self._rules = rules
        self._found: dict[str, LiveFinding] = {}
        self._passed: set[str] = set()
        self._explains: dict[str, Collection[str]] = {}

    @property
    def found(self) -> tuple[LiveFinding, ...]:
        """All of them, also those that no longer hold."""
        return tuple(self._found.values())

    @property
    def judged(self) -> tuple[str, ...]:
        """Rules that there was evidence for."""
        return tuple(sorted(self._passed | self._found.keys()))

    def note(self, results: Iterable[CheckResult], step: int) -> list[LiveFinding]:
        """Take in what was judged after `step` steps.

        Returns:
            Findings that are new or worse than before.
        """
        told = []
        for result in results:
            if result.outcome is Outcome.PASSED:
                self._passed.add(result.rule)
            if result.is_finding:
                self._explains[result.rule] = result.explains
                told.append(result.rule if self._take(result, step) else "")
            elif known := self._found.get(result.rule):
                self._found[result.rule] = replace(known, holds=False)
        self._explain()
        return [self._found[rule] for rule in told if rule]

    def _take(self, result: CheckResult, step: int) -> bool:
        """Keep a finding; return whether it is news."""
        self._passed.discard(result.rule)
        known = self._found.get(result.rule)
        is_error = result.severity is ERROR
        if known is not None and (known.severity == ERROR.value or not is_error):
            self._found[result.rule] = replace(known, last_step=step, holds=True)
            return False
        self._found[result.rule] = LiveFinding(
            rule=result.rule,
            name=result.name,
            severity="error" if is_error else "warning",
            step=step,
            last_step=step,
            holds=True,
            observed=result.observed,
            expected=result.expected,
            fix=result.fix,
        )
        return True

    def _explain(self) -> None:
        """Note which findings follow from which, by the rules' own table."""
        findings = [
            Finding(
                each.rule,
                (ERROR if each.severity == ERROR.value else WARNING).rank,
                self._rules[each.rule].stage,
            )
            for each in self._found.values()
        ]
        explains = {name: rule.explains for name, rule in self._rules.items()} | self._explains
        # What was found once is no proof that a cause lacks its symptom, though it passed later.
        roots = root_causes(findings, explains, self._passed - self._found.keys())
        for name, each in self._found.items():
            causes = tuple(root.rule for root in roots if name in root.explains)
            if causes != each.explained_by:
                self._found[name] = replace(each, explained_by=causes)


def findings_of(run: RunningRun) -> tuple[LiveFinding, ...]:
    """Return the findings of the run's own live audit; without one, judge its newest checkpoint."""
    if run.record is not None:
        return run.record.findings
    if run.state is None:
        return ()
    subject = LiveSubject(path=run.path.absolute(), manifest=run.manifest)
    findings = LiveFindings(live_rules())
    results = judge_live(live_rules(), subject, run.state, run.resources)
    findings.note(results, run.state.global_step or 0)
    return findings.found
