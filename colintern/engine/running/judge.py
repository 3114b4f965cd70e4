"""The audit of a run that trains: the same rules and measurements, on what is in memory."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from colintern.artifacts.logs.resource_log import ResourceLog
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.run.training_args import TrainingArguments
from colintern.diagnostics.adapter.trained_parts import TrainedParts
from colintern.engine.catalogue import load_check_file, merged_rules, rules_in, shipped_rules
from colintern.engine.judge import Judge
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.policy import Policy
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Provider, Resolver, parameters_of, providers_of
from colintern.engine.rule import Rule
from colintern.engine.rule_fields import Moment
from colintern.engine.running import evidence as live_evidence
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import WARNING


class LiveSubject(Struct, frozen=True, kw_only=True):
    """What is known of a run beside its log; None where nothing is."""

    path: Path
    """Folder of the run, absolute."""
    arguments: Mapping[str, Any] | None = None
    """Every field of TrainingArguments."""
    manifest: RunManifest | None = None
    adapter: AdapterConfig | None = None
    model_config: ModelConfig | None = None
    processor_class: str | None = None
    trained_parts: TrainedParts | None = None
    options: AuditOptions = AuditOptions()
    """Family and thresholds, where the user said them."""
    checks: tuple[Path, ...] = ()
    """A team's own check files, whose live rules are asked too."""

    def given(self) -> dict[str, Any]:
        """Return the evidence that is there, by its name."""
        known = {
            "manifest": self.manifest,
            "adapter": self.adapter,
            "model_config": self.model_config,
            "processor_class": self.processor_class,
            "trained_parts": self.trained_parts,
            "training_args": (
                TrainingArguments(values=self.arguments) if self.arguments is not None else None
            ),
        }
        return {
            "subject": Subject(self.path, self.path.name),
            "options": self.options,
            **{name: value for name, value in known.items() if value is not None},
        }


def asked_at(moment: Moment, checks: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """Return the rules that are asked at a moment of a run, by id, in the order of their stages."""
    return tuple(name for name, rule in live_rules(checks).items() if moment in rule.live)


def asked_about(evidence: str, checks: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """Return the live rules that judge a piece of evidence, by id."""
    return tuple(
        name
        for name, rule in live_rules(checks).items()
        if any(evidence == parameter for parameter, _ in parameters_of(rule.check))
    )


@cache
def live_rules(checks: tuple[Path, ...] = ()) -> dict[str, Rule]:
    """Return the rules that are judged live, by id, in the order of their stages.

    None requires another: what a rule requires of files is not there, and rules that lack evidence
    say nothing.

    Args:
        checks: a team's own check files.

    Raises:
        ValueError: a rule of theirs has the id of another.
    """
    asked = [rule for rule in _catalogue(checks).values() if rule.live]
    return {rule.id: _as_asked_live(rule) for rule in sorted(asked, key=lambda r: (r.stage, r.id))}


@cache
def _catalogue(checks: tuple[Path, ...]) -> dict[str, Rule]:
    own = (rules_in(load_check_file(path)).values() for path in checks)
    return merged_rules([shipped_rules().values(), *own])


def _as_asked_live(rule: Rule) -> Rule:
    return replace(
        rule,
        requires=frozenset(),
        explains=rule.explains | rule.live_explains,
        check=rule.live_check or rule.check,
    )


def judge_live(
    rules: Collection[str],
    subject: LiveSubject,
    log: TrainerState,
    resources: ResourceLog | None = None,
    policy: Policy | None = None,
) -> list[CheckResult]:
    """Judge a run as it is now.

    Args:
        rules: ids out of `live_rules(subject.checks)`.
        subject: the run.
        log: what the Trainer has logged.
        resources: what the machine used, where it was measured.
        policy: waivers; severities are what they are.

    Returns:
        A result a rule, in their order.
    """
    given = {**subject.given(), "training_log": log}
    if resources is not None and resources.rows:
        given["resource_log"] = resources
    asked = live_rules(subject.checks)
    catalogue = _catalogue(subject.checks) | asked
    judge = Judge(subject.path.name, Resolver(_providers(), given), catalogue, policy or Policy())
    return [_softened(asked[name], judge.result(asked[name])) for name in rules]


def _softened(rule: Rule, result: CheckResult) -> CheckResult:
    if not rule.live_softened or result.outcome is not Outcome.FAILED:
        return result
    return structs.replace(result, severity=WARNING, outcome=Outcome.WARNED, gates=False)


@cache
def _providers() -> dict[str, Provider]:
    return shipped_providers() | providers_of(live_evidence)
