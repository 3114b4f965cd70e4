"""The audit of a run that trains: the same rules and measurements, on what is in memory."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from colintern.artifacts.logs.resource_log import ResourceLog
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.run.training_args import TrainingArguments
from colintern.diagnostics.adapter.trained_parts import TrainedParts
from colintern.engine.catalogue import shipped_rules
from colintern.engine.judge import Judge
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.policy import Policy
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Provider, Resolver, providers_of
from colintern.engine.rule import Rule
from colintern.engine.running import evidence as live_evidence
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import WARNING

AT_START: Final = (
    *("CFG001", "CFG002", "CFG003", "CFG004", "CFG005", "CFG006", "CFG007", "CFG008"),
    *("CFG010", "CFG012", "CFG013", "CFG014", "CFG015", "ADP002", "ADP006", "ADP007", "PRJ002"),
)
"""What configuration, manifest and model show before the first step."""

ON_COURSE: Final = (
    *("LOG001", "LOG002", "LOG003", "LOG006", "LOG007", "LOG009", "LOG010", "LOG011", "PRJ002"),
    *("HWU001", "HWU002", "HWU003", "HWU004"),
)
"""What a part of the log can show. The other LOG rules judge the shape or the end of a whole run:
its schedule, its final loss, whether it is complete."""

_MAY_RETURN: Final = frozenset({"LOG007"})
"""Rules that warn at most while the run goes on: one of 18 healthy public logs, replayed row by
row, had an evaluation loss that rose beyond doubt, and came back."""

_LIVE_CHECKS: Final = {"PRJ002": live_evidence.projection_is_trained}
"""Checks that ask the model where the audit asks its file."""


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


_LIVE_EXPLAINS: Final = {"PRJ002": frozenset({"LOG002", "LOG003"})}
"""Symptoms that a run shows before its cause is saved: with a frozen projection the bundled recipe
reaches chance after a tenth of the run, where it should be 3 % below."""


@cache
def live_rules() -> dict[str, Rule]:
    """Return the rules that are judged live, by id.

    None requires another: what a rule requires of files is not there, and rules that lack evidence
    say nothing.
    """
    shipped = shipped_rules()
    return {
        name: replace(
            shipped[name],
            requires=frozenset(),
            explains=shipped[name].explains | _LIVE_EXPLAINS.get(name, frozenset()),
            check=_LIVE_CHECKS.get(name, shipped[name].check),
        )
        for name in dict.fromkeys((*AT_START, *ON_COURSE))
    }


def judge_live(
    rules: Collection[str],
    subject: LiveSubject,
    log: TrainerState,
    resources: ResourceLog | None = None,
    policy: Policy | None = None,
) -> list[CheckResult]:
    """Judge a run as it is now.

    Args:
        rules: ids out of `live_rules`.
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
    judge = Judge(
        subject.path.name, Resolver(_providers(), given), live_rules(), policy or Policy()
    )
    return [_softened(judge.result(live_rules()[name])) for name in rules]


def _softened(result: CheckResult) -> CheckResult:
    if result.rule not in _MAY_RETURN or result.outcome is not Outcome.FAILED:
        return result
    return structs.replace(result, severity=WARNING, outcome=Outcome.WARNED, gates=False)


@cache
def _providers() -> dict[str, Provider]:
    return shipped_providers() | providers_of(live_evidence)
