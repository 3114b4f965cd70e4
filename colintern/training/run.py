"""Trains one recipe with colpali-engine's losses, and leaves its evidence."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from colpali_engine.collators import VisualRetrieverCollator
from colpali_engine.loss import ColbertLoss, ColbertNegativeCELoss
from peft import PeftModel
from transformers import ProgressCallback, TrainerCallback, TrainingArguments, set_seed

from colintern.artifacts.model.base_model import resolve_base
from colintern.artifacts.run.layout import STAGING
from colintern.artifacts.run.manifest import DatasetRecord
from colintern.model.loading import choose_attention, load_base
from colintern.model.lora import apply_lora
from colintern.model.processing import ColIntern3_5Processor
from colintern.pages.world import held_out_pairs, training_pairs
from colintern.recipes.recipe import Recipe
from colintern.recipes.targets import PROJECTION
from colintern.training.audit_callback import AuditCallback
from colintern.training.callbacks import TrainingProgress, add_callbacks
from colintern.training.checkpoints import discard_staging, disk_faults_as_such, publish
from colintern.training.data import PagePairRows, load_data
from colintern.training.estimates import check_memory
from colintern.training.faults import DataError, ended_by_row
from colintern.training.manifest import ManifestWriter, described, run_manifest
from colintern.training.model_card import model_card
from colintern.training.pairs import RetrievalCollator, pair_dataset
from colintern.training.preflight import (
    PreflightError,
    check_base,
    check_loggers,
    check_plan,
    check_projection,
    resume_point,
)
from colintern.training.resumption import check_resumed
from colintern.training.termination import SaveOnTermination
from colintern.training.trainer import ColInternTrainer

_SCORE_TOLERANCE: Final = 1.0
"""Mean cosines lie in [-1, 1]; colpali-engine prints a line a step for those below 0 without it."""

logger = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    output_dir: Path,
    *,
    resume: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
    audit: AuditCallback | None = None,
) -> bool:
    """Train `recipe` into `output_dir`: adapter, processor, log, manifest and model card.

    Args:
        recipe: decides everything.
        output_dir: empty, or that of the run to go on with.
        resume: go on from the newest whole checkpoint; from the start if there is none.
        callbacks: more of them, told after those that keep the run's own records.
        audit: judges the run as it goes; by default one that never stops it.

    Returns:
        Whether the run came to its end; False when a signal ended it, with a checkpoint.

    Raises:
        PreflightError: the run would be wasted.
        AuditStopError: `audit` ended it, with a checkpoint unless no step was taken.
        BadRowError: bad rows are fatal, and it met one.
    """
    checkpoint = resume_point(output_dir, resume=resume)
    check_base(resolve_base(recipe.base))
    set_seed(recipe.seed)
    arguments = training_arguments(recipe, output_dir)
    check_loggers(arguments)
    train_rows, evaluation_rows, records = open_data(recipe, arguments)
    check_plan(arguments, train_rows, evaluation_rows, chunk_size=recipe.chunk_size)
    recipe = replace(recipe, train_pairs=len(train_rows))
    if arguments.device.type == "cuda":
        check_memory(recipe, torch.cuda.get_device_properties(arguments.device).total_memory)
    attention = choose_attention(arguments.device)
    base, missing = load_base(recipe.base, dtype=base_dtype(recipe, arguments), attention=attention)
    processor = _processor(recipe)
    model, coverage = apply_lora(base, recipe.lora, base_name=recipe.base)
    saved = PROJECTION in coverage.matched or recipe.lora.projection == "full"
    check_projection(missing, saved)
    trainer = build_trainer(recipe, arguments, model, processor, train_rows, evaluation_rows)
    manifest = run_manifest(recipe, arguments, model, processor, coverage, attention=attention)
    manifest = described(manifest, trainer.loss_func, records)
    if checkpoint is not None:
        check_resumed(checkpoint, manifest, recipe.lora)
    writer = ManifestWriter(output_dir, manifest)
    audit = audit or AuditCallback()
    audit.folder, audit.manifest = output_dir, manifest
    stop = SaveOnTermination()
    add_callbacks(trainer, writer, audit, (stop, *callbacks))
    return _run(trainer, writer, recipe, checkpoint, audit, stop)


def _run(  # noqa: PLR0917 - the parts of a run
    trainer: ColInternTrainer,
    writer: ManifestWriter,
    recipe: Recipe,
    checkpoint: Path | None,
    audit: AuditCallback,
    stop: SaveOnTermination,
) -> bool:
    folder, is_main = writer.folder, trainer.args.should_save
    if is_main:
        discard_staging(folder)
    try:
        try:
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        except DataError as error:
            raise ended_by_row(trainer, error) from error
        if stop.received is None and audit.stopped_by is None:
            _write_final(trainer, writer, recipe)
    except BaseException:
        if is_main:
            discard_staging(folder)
            with contextlib.suppress(OSError):  # a full disk: the error that is raised says so
                writer.finish("interrupted")
        raise
    finally:
        stop.stop_listening()
    if (stop.received is not None or audit.stopped_by is not None) and is_main:
        trainer.save_state()
        writer.finish("interrupted")
    audit.raise_if_stopped(trainer.state.global_step)
    return stop.received is None


def _write_final(trainer: ColInternTrainer, writer: ManifestWriter, recipe: Recipe) -> None:
    """Write the finished model beside its place, and move it there when it is whole."""
    staging = writer.folder / STAGING
    with disk_faults_as_such("the final model"):
        trainer.save_model(str(staging))
    if trainer.args.should_save:
        trainer.state.save_to_json(str(staging / "trainer_state.json"))
        (staging / "README.md").write_text(model_card(recipe, writer.manifest))
        publish(staging, writer.folder)
        writer.finish("completed")


def base_dtype(recipe: Recipe, arguments: TrainingArguments) -> torch.dtype:
    """Return the type of the frozen weights: bfloat16 where the run computes in it.

    Adapters stay in float32. A projection that is trained whole would lose its small steps to the
    rounding of bfloat16.
    """
    half = arguments.bf16 and recipe.lora.projection == "lora"
    return torch.bfloat16 if half else torch.float32


def open_data(
    recipe: Recipe, arguments: TrainingArguments
) -> tuple[Any, Any, tuple[DatasetRecord, ...] | None]:
    """Return the rows to train on, those for the evaluation loss or None, and their records."""
    evaluated = str(arguments.eval_strategy.value) != "no"
    if recipe.data is not None:
        data = load_data(recipe.data)
        return data.train, data.evaluation if evaluated else None, data.records
    held_out = pair_dataset(held_out_pairs(recipe.eval_pairs)) if evaluated else None
    return pair_dataset(training_pairs(recipe.train_pairs, seed=recipe.seed)), held_out, None


def training_arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """Return the recipe as Trainer's arguments.

    Raises:
        PreflightError: they contradict each other, or this machine cannot do what they ask for.
    """
    values: dict[str, Any] = {
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": recipe.num_train_epochs,
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "per_device_eval_batch_size": max(recipe.per_device_train_batch_size, 2),
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "warmup_steps": recipe.warmup_steps,
        "lr_scheduler_type": recipe.lr_scheduler_type,
        "max_grad_norm": recipe.max_grad_norm,
        "weight_decay": recipe.weight_decay,
        "bf16": torch.cuda.is_available(),
        "eval_strategy": "no" if recipe.eval_steps is None else "steps",
        "eval_steps": recipe.eval_steps,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": recipe.save_total_limit,
        "logging_steps": recipe.logging_steps,
        # A NaN must end the run, not be logged as the mean of the steps before it.
        "logging_nan_inf_filter": False,
        "ddp_find_unused_parameters": False,
        "dataloader_drop_last": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "remove_unused_columns": False,
        "label_names": [],
        "report_to": [],
        "seed": recipe.seed,
    }
    try:
        return TrainingArguments(str(output_dir), **{**values, **recipe.arguments})
    except (ValueError, ImportError) as error:
        raise PreflightError(f"the training arguments do not fit together: {error}") from error


def build_trainer(  # noqa: PLR0917 - the parts of a trainer
    recipe: Recipe,
    arguments: TrainingArguments,
    model: PeftModel,
    processor: ColIntern3_5Processor,
    train_rows: Any,
    evaluation_rows: Any,
) -> ColInternTrainer:
    """Assemble the trainer; rows with hard negatives get the loss that compares with them."""
    negatives = isinstance(train_rows, PagePairRows) and train_rows.num_negatives > 0
    loss = (ColbertNegativeCELoss if negatives else ColbertLoss)(
        temperature=recipe.temperature,
        normalize_scores=recipe.normalize_scores,
        norm_tol=_SCORE_TOLERANCE,
    )
    collator = RetrievalCollator if negatives else VisualRetrieverCollator
    trainer = ColInternTrainer(
        loss_func=loss,
        model=model,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=evaluation_rows,
        data_collator=collator(processor=processor),
        processing_class=processor,
        chunk_size=recipe.chunk_size,
    )
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(TrainingProgress)
    return trainer


def _processor(recipe: Recipe) -> ColIntern3_5Processor:
    more: dict[str, Any] = {}
    if recipe.max_num_visual_tokens is not None:
        more["max_num_visual_tokens"] = recipe.max_num_visual_tokens
    return ColIntern3_5Processor.from_pretrained(resolve_base(recipe.base), **more)
