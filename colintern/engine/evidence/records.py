"""Evidence of records: the facts that several files state, side by side."""

from contextlib import suppress
from typing import Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.model.model_card import ModelCard
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    ADAPTER_PICKLE,
    ADAPTER_WEIGHTS,
    MODEL_CARD,
    RUN_MANIFEST,
    TRAINING_ARGS,
    RunLayout,
)
from colintern.artifacts.run.manifest import RunManifest, read_run_manifest
from colintern.artifacts.run.training_args import TrainingArguments
from colintern.artifacts.running.record import LiveRecord
from colintern.artifacts.tensors.store import TensorStore
from colintern.artifacts.tensors.weights_hash import weights_files, weights_sha256
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.diagnostics.live_findings import LiveFindings
from colintern.diagnostics.log.training_progress import TrainingProgress, log_is_older
from colintern.diagnostics.weights.base_identity import layers_sha256
from colintern.engine.catalogue import shipped_rules
from colintern.engine.evidence import sources
from colintern.engine.missing import Source
from colintern.engine.resolver import Resolver, evidence
from colintern.engine.verdict import NoEvidence, Verdict
from colintern.facts.adapter_records import adapter_facts
from colintern.facts.base_records import base_records as compare_bases
from colintern.facts.batch_records import asked_facts, effective_batch_fact, epoch_steps_fact
from colintern.facts.batch_size import BatchSize, shares_batches
from colintern.facts.completion import completion
from colintern.facts.config_sources import stated_configs as configs_by_file
from colintern.facts.fact import Fact, Records, records_of
from colintern.facts.optimiser_records import optimiser_facts
from colintern.facts.peak_rate import logged_peak
from colintern.facts.run_config import RunConfig
from colintern.facts.version_records import version_facts
from colintern.facts.weights_records import weights_fact
from colintern.guide import Guide

_RECORDS: Final = "REC"
BASE_LAYER: Final = ".base_layer."
"""In the name of a tensor of the base that was saved along."""
_MOST_TENSORS: Final = 50_000
ADAPTER_FILES: Final = (ADAPTER_WEIGHTS, ADAPTER_PICKLE)


@evidence
def completion_records(
    progress: TrainingProgress,
    layout: RunLayout,
    manifest: RunManifest | None,
    live_record: LiveRecord | None,
    guide: Guide,
) -> Records:
    """How far the run came, by everybody who says so.

    A checkpoint's own log, beside final weights, is older than what else the folder says.
    """
    if layout.is_checkpoint or log_is_older(layout):
        raise NoEvidence(
            sources.LOG, what="the log of the whole run", needed_for="comparing the records"
        )
    found = completion(
        step=progress.global_step,
        max_steps=progress.max_steps,
        enough=guide.min_completed_ratio * progress.max_steps,
        is_complete=progress.complete(guide.min_completed_ratio),
        status=manifest.status if manifest is not None else None,
        newest_checkpoint=layout.checkpoints[-1].step if layout.checkpoints else None,
        live_step=live_record.step if live_record is not None else None,
    )
    return _compared(found, source=sources.MANIFEST, what="the end of the run")


@evidence
def weights_hash(layout: RunLayout) -> str:
    """The hash of the judged weights' file."""
    found = weights_sha256(layout.weights_folder, layout.enclosure)
    if found is None:
        raise NoEvidence(sources.WEIGHTS, needed_for="the hash of the weights")
    return found


@evidence
def weights_records(
    layout: RunLayout,
    evaluation_records: tuple[EvaluationRecord, ...] | None,
    resolver: Resolver,
) -> Records:
    """The judged weights beside what training recorded of them.

    A root manifest speaks of the root's weights once the run is completed, and of the newest
    checkpoint's until then; that one has its own copy. One that was carried along with a merged
    model speaks of its adapter.
    """
    with suppress(NoEvidence):
        # Broken weights are nobody's: a rule of its own reports them.
        resolver.get("tensors")
    manifest = _manifest_of_weights(layout)
    saved = manifest.weights_sha256 if manifest is not None else None
    files = weights_files(layout.weights_folder)
    is_adapter = any(path.name in ADAPTER_FILES for path in files)
    if manifest is None or saved is None or not files or (manifest.lora and not is_adapter):
        raise NoEvidence(
            sources.MANIFEST, what="`weights_sha256`", needed_for="telling these weights"
        )
    evaluated = [each.weights_sha256 for each in evaluation_records or () if each.weights_sha256]
    actual: str = resolver.get("weights_hash")
    return _compared(
        weights_fact(files[0].name, actual, saved, evaluated),
        source=sources.MANIFEST,
        what="`weights_sha256`",
    )


@evidence
def base_records(  # noqa: PLR0917 - the resolver calls it by name
    adapter: AdapterConfig | None,
    base_reference: BaseReference | None,
    manifest: RunManifest | None,
    evaluation_record: EvaluationRecord | None,
    model_card: ModelCard | None,
    resolver: Resolver,
) -> Records:
    """The base of training, of the adapter and of the evaluation."""
    evaluated = evaluation_record.base if evaluation_record is not None else None
    trained = manifest.base if manifest is not None else None
    found = compare_bases(
        trained=trained,
        adapter=base_reference if adapter is not None else None,
        adapter_revision=adapter.revision if adapter is not None else None,
        evaluated=evaluated,
        card=model_card.front_matter.get("base_model", ()) if model_card is not None else (),
        layers_here=_layers_here(resolver) if evaluated and evaluated.layers_sha256 else None,
    )
    if not found.facts:
        raise NoEvidence(
            sources.RECORDS, what="the Hub id or a hash of the base", needed_for="comparing them"
        )
    return found


@evidence
def stated_configs(
    manifest: RunManifest | None,
    training_args: TrainingArguments | None,
    model_card: ModelCard | None,
) -> dict[str, RunConfig]:
    """The configuration as each file states it by itself."""
    arguments = training_args.values if training_args is not None else None
    return configs_by_file(manifest, arguments, model_card)


@evidence
def batch_records(
    stated_configs: dict[str, RunConfig],
    run_config: RunConfig,
    batch: BatchSize,
    manifest: RunManifest | None,
    training_args: TrainingArguments | None,
) -> Records:
    """Batch, epochs and steps, as everybody asked for, counted or logged them."""
    datasets = (manifest.datasets or ()) if manifest is not None else ()
    divides_itself = training_args is not None and shares_batches(training_args.values)
    return _compared(
        *asked_facts(stated_configs),
        None if divides_itself else effective_batch_fact(run_config, batch, stated_configs),
        None if divides_itself else epoch_steps_fact(run_config, batch, datasets),
        source=sources.MANIFEST_OR_ARGUMENTS,
        what="batch, epochs or steps",
    )


@evidence
def optimiser_records(
    stated_configs: dict[str, RunConfig],
    run_config: RunConfig,
    training_log: TrainerState | None,
    manifest: RunManifest | None,
    training_args: TrainingArguments | None,
) -> Records:
    """Rate, schedule and optimiser, as everybody asked for them and as the log shows them."""
    arguments = {
        RUN_MANIFEST: (manifest.arguments or {}) if manifest is not None else {},
        TRAINING_ARGS: training_args.values if training_args is not None else {},
    }
    logged = logged_peak(training_log) if training_log is not None else None
    return _compared(
        *optimiser_facts(stated_configs, run_config, logged, arguments),
        source=sources.MANIFEST_OR_ARGUMENTS,
        what="the settings of the optimiser",
    )


@evidence
def adapter_records(
    manifest: RunManifest, adapter: AdapterConfig | None, adapter_tensors: TensorStore
) -> Records:
    """What LoRA was put on, as the manifest, the settings and the tensors have it."""
    if manifest.lora is None:
        raise NoEvidence(
            sources.MANIFEST, what="`lora`", needed_for="comparing it with the adapter"
        )
    if len(adapter_tensors.entries) > _MOST_TENSORS:
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS,
            what=f"at most {_MOST_TENSORS:,} tensors",
            needed_for="comparing them with the manifest",
        )
    found = sort_adapter_tensors(adapter_tensors.entries)
    trained = [e for name, e in adapter_tensors.entries.items() if BASE_LAYER not in name]
    return _compared(
        *adapter_facts(
            manifest.lora,
            adapter,
            frozenset(name for name, module in found.modules.items() if module.a is not None),
            sum(entry.num_values for entry in trained),
        ),
        source=sources.MANIFEST,
        what="`lora`",
    )


@evidence
def version_records(
    layout: RunLayout, adapter: AdapterConfig | None, model_card: ModelCard | None
) -> Records:
    """The versions that trained, as manifest, adapter and card have them."""
    path = layout.beside_weights(RUN_MANIFEST)
    manifest = read_run_manifest(path, layout.enclosure) if path is not None else None
    recorded = {
        RUN_MANIFEST: (manifest.versions or {}) if manifest is not None else {},
        ADAPTER_CONFIG: {"peft": adapter.peft_version} if adapter is not None else {},
        MODEL_CARD: model_card.versions if model_card is not None else {},
    }
    return _compared(
        *version_facts(recorded), source=sources.MANIFEST_OR_CARD, what="versions of the packages"
    )


@evidence
def live_findings(live_record: LiveRecord, resolver: Resolver) -> LiveFindings:
    """What the live audit found, still held at its end, and this audit does not judge better.

    A rule that fails here too is reported by itself. Of one that passes here, what was found in the
    course of the run is a contradiction if this audit sees no more of the run than that one saw.
    """
    held = [finding for finding in live_record.findings if finding.holds]
    log = _log_of(resolver)
    same_end = log is None or (log.global_step or 0) <= live_record.step
    outcomes = {finding.rule: _passes(finding.rule, resolver) for finding in held}
    return LiveFindings(
        num_judged=len(live_record.judged),
        open=tuple(each for each in held if outcomes[each.rule] is None),
        contradicted=tuple(
            each for each in held if outcomes[each.rule] and each.last_step and same_end
        ),
    )


def _log_of(resolver: Resolver) -> TrainerState | None:
    with suppress(NoEvidence, ArtifactError):
        log: TrainerState = resolver.get("training_log")
        return log
    return None


def _passes(rule_id: str, resolver: Resolver) -> bool | None:
    """Judge a shipped rule on the whole evidence; None where it cannot be, or is a team's own."""
    found = shipped_rules().get(rule_id)
    # The record is a stranger's text: it may name the very rule that reads it.
    if found is None or found.family == _RECORDS:
        return None
    try:
        verdict: Verdict = resolver.call(found.check)
    except (NoEvidence, ArtifactError, LookupError):
        return None
    return verdict.ok


def _layers_here(resolver: Resolver) -> str | None:
    with suppress(NoEvidence, ArtifactError):
        return layers_sha256(resolver.get("base_tensors"))
    return None


def _manifest_of_weights(layout: RunLayout) -> RunManifest | None:
    """Return the manifest that speaks of the judged weights."""
    folder = layout.weights_folder
    path = folder.get(RUN_MANIFEST)
    if path is None:
        return None
    found = read_run_manifest(path, layout.enclosure)
    is_of_root = folder is layout.folder and not layout.is_checkpoint
    return found if found.status == "completed" or not is_of_root else None


def _compared(*facts: Fact | None, source: Source, what: str) -> Records:  # type: ignore[type-arg]
    """Return the facts with two witnesses at least."""
    found = records_of(*facts)
    if not found.facts:
        raise NoEvidence(source, what=what, needed_for="comparing it with what other files say")
    return found
