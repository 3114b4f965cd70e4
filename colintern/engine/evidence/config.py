"""Evidence of how the run was configured."""

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.model_card import ModelCard, read_model_card
from colintern.artifacts.run.layout import (
    MODEL_CARD,
    RUN_MANIFEST,
    TRAINING_ARGS,
    RunLayout,
)
from colintern.artifacts.run.manifest import RunManifest, read_run_manifest
from colintern.artifacts.run.training_args import TrainingArguments, read_training_args
from colintern.diagnostics.log.learning_rate import (
    LearningRateTarget,
    learning_rates_of,
    rate_bound,
    size_in_name,
)
from colintern.diagnostics.log.noise import finite_part
from colintern.engine.evidence import sources
from colintern.engine.resolver import artifact, evidence
from colintern.engine.subjects import AuditOptions
from colintern.engine.verdict import NoEvidence
from colintern.facts.batch_size import BatchSize, batch_size
from colintern.facts.config_sources import recorded_config
from colintern.facts.loss_kind import LossKind, told_loss_kind
from colintern.facts.run_config import RunConfig
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline
from colintern.guide import GUIDE, Guide


@artifact
def training_args(layout: RunLayout) -> TrainingArguments:
    """What the Trainer was told."""
    path = layout.find(TRAINING_ARGS)
    if path is None:
        raise NoEvidence(sources.ARGUMENTS, needed_for="the Trainer's arguments")
    return read_training_args(path, layout.enclosure)


@artifact
def manifest(layout: RunLayout) -> RunManifest:
    """What the training run wrote about itself."""
    path = layout.find(RUN_MANIFEST)
    if path is None:
        raise NoEvidence(sources.MANIFEST, needed_for="the run's own record")
    return read_run_manifest(path, layout.enclosure)


@artifact
def model_card(layout: RunLayout) -> ModelCard:
    """What README.md says about the training."""
    path = layout.find(MODEL_CARD)
    if path is None:
        raise NoEvidence(sources.MODEL_CARD, needed_for="the hyperparameters of the model card")
    return read_model_card(path, layout.enclosure)


@evidence
def run_config(
    manifest: RunManifest | None,
    training_args: TrainingArguments | None,
    training_log: TrainerState | None,
    model_card: ModelCard | None,
) -> RunConfig:
    """How the run was configured, from all files that say so."""
    arguments = training_args.values if training_args is not None else None
    config = recorded_config(manifest, arguments, training_log, model_card)
    if config == RunConfig():
        raise NoEvidence(sources.CONFIGURATION, needed_for="the run's configuration")
    return config


@evidence
def batch(run_config: RunConfig) -> BatchSize:
    """How many queries the run compared at once."""
    size = batch_size(run_config)
    if size.effective_low is None:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="`per_device_train_batch_size`",
            needed_for="the batch size",
        )
    return size


@evidence
def loss_kind(
    manifest: RunManifest | None,
    model_card: ModelCard | None,
    batch: BatchSize | None,
    family: Family | None,
) -> LossKind:
    """What kind of loss the run minimised; `unknown` where nothing tells."""
    return told_loss_kind(
        manifest, model_card, batch, family=family.name if family is not None else None
    )


@evidence
def retrieval_loss(loss_kind: LossKind) -> LossKind:
    """A loss known to compare a query with pages: without it the guide's figures do not apply."""
    needed_for = "choosing the thresholds"
    if loss_kind.kind == "unknown":
        raise NoEvidence(sources.FAMILY, needed_for=needed_for)
    if loss_kind.kind == "other":
        raise NoEvidence(
            sources.MANIFEST_OR_CARD,
            what="a contrastive loss",
            detail=f"found {loss_kind.class_name}" if loss_kind.class_name else "",
            needed_for=needed_for,
            hint="",
        )
    return loss_kind


@evidence
def retriever_config(run_config: RunConfig, retrieval_loss: LossKind) -> RunConfig:  # noqa: ARG001 - its absence is the point
    """The configuration of a run that is known to have trained a retriever."""
    return run_config


@evidence
def learning_rate_target(
    family: Family,
    outline: ModuleOutline | None,
    adapter: AdapterConfig | None,
    manifest: RunManifest | None,
) -> LearningRateTarget:
    """The learning rates that work for this family, by size where the guide has figures."""
    recorded = manifest.base.id if manifest is not None and manifest.base is not None else None
    named = recorded or (adapter.base_model_name_or_path if adapter is not None else None)
    counted = outline.num_parameters if outline is not None else size_in_name(named or "")
    return learning_rates_of(family, counted)


@evidence
def rate_limit(
    training_log: TrainerState,
    training_args: TrainingArguments | None,
    manifest: RunManifest | None,
) -> LearningRateTarget:
    """What no learning rate may exceed, where the loss shows that this one is too high."""
    losses = finite_part(training_log.training.loss)
    arguments = (manifest.arguments if manifest else None) or (
        training_args.values if training_args else {}
    )
    named = arguments.get("optim")
    found = rate_bound(str(named) if named else None, *losses[[0, -1]]) if len(losses) else None
    if found is None:
        raise NoEvidence(sources.LOG, what="a loss that rises", needed_for="a limit of any rate")
    return found


@evidence
def guide(options: AuditOptions) -> Guide:
    """The guide's thresholds, with the user's overrides."""
    return options.guide or GUIDE
