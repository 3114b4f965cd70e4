"""A training run: built whole, then trained to its end, leaving its evidence."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import TrainerCallback, set_seed

from colintern.recipes.recipe import Recipe
from colintern.training.adapted_model import AdaptedModel, load_adapted_model
from colintern.training.arguments import training_arguments
from colintern.training.audit_callback import AuditCallback
from colintern.training.callbacks import SaveOnTermination, add_callbacks
from colintern.training.checkpoints import discard_staging
from colintern.training.data import TrainingData, open_data
from colintern.training.faults import DataError, ended_by_row
from colintern.training.final_model import write_final_model
from colintern.training.manifest import ManifestWriter, run_manifest
from colintern.training.preflight import check_base, check_plan, resume_point
from colintern.training.resumption import check_resumed
from colintern.training.trainer import ColInternTrainer, build_trainer


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run that is ready for its first step; nothing is set on it afterwards."""

    recipe: Recipe
    """As it is trained: with as many pairs as its data has."""
    data: TrainingData
    model: AdaptedModel
    trainer: ColInternTrainer
    """Has the arguments, the loss and every callback."""
    checkpoint: Path | None
    """What it resumes from; None for a run that begins."""
    writer: ManifestWriter
    """Keeps the manifest in the run's folder."""
    audit: AuditCallback
    termination: SaveOnTermination

    @property
    def was_cut_short(self) -> bool:
        """Whether a signal or a finding ended its training."""
        return self.termination.received is not None or self.audit.stopped_by is not None

    def train(self) -> bool:
        """Take the steps and write the finished model.

        Returns:
            Whether the run came to its end; False when a signal ended it, with a checkpoint.

        Raises:
            AuditStopError: the audit ended it, with a checkpoint unless no step was taken.
            BadRowError: bad rows are fatal, and it met one.
        """
        folder, is_main = self.writer.folder, self.trainer.args.should_save
        if is_main:
            discard_staging(folder)
        try:
            self._take_steps()
            if not self.was_cut_short:
                write_final_model(self.trainer, self.writer, self.recipe)
        except BaseException:
            if is_main:
                discard_staging(folder)
                with contextlib.suppress(OSError):  # a full disk: the error that is raised says so
                    self.writer.finish("interrupted")
            raise
        finally:
            self.termination.stop_listening()
        if self.was_cut_short and is_main:
            self.trainer.save_state()
            self.writer.finish("interrupted")
        self.audit.raise_if_stopped(self.trainer.state.global_step)
        return self.termination.received is None

    def _take_steps(self) -> None:
        resumed = None if self.checkpoint is None else str(self.checkpoint)
        try:
            self.trainer.train(resume_from_checkpoint=resumed)
        except DataError as error:
            raise ended_by_row(self.trainer, error) from error


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
    audit = audit or AuditCallback()
    return prepare(recipe, output_dir, resume=resume, callbacks=callbacks, audit=audit).train()


def prepare(
    recipe: Recipe,
    output_dir: Path,
    *,
    resume: bool,
    callbacks: Sequence[TrainerCallback],
    audit: AuditCallback,
) -> Run:
    """Build the run that `train` trains; what is cheap to check is checked first.

    Raises:
        PreflightError: the run would be wasted.
    """
    checkpoint = resume_point(output_dir, resume=resume)
    check_base(recipe.base)
    set_seed(recipe.seed)
    arguments = training_arguments(recipe, output_dir)
    data = open_data(recipe, arguments)
    check_plan(arguments, data.train, data.evaluation, chunk_size=recipe.chunk_size)
    recipe = replace(recipe, train_pairs=len(data.train))
    model = load_adapted_model(recipe, arguments)
    trainer = build_trainer(recipe, arguments, model, data)
    manifest = run_manifest(recipe, arguments, model, trainer.loss_func, data.records)
    if checkpoint is not None:
        check_resumed(checkpoint, manifest, recipe.lora)
    audit.attach(output_dir, manifest, trainer.steps.rows)
    run = Run(
        recipe=recipe,
        data=data,
        model=model,
        trainer=trainer,
        checkpoint=checkpoint,
        writer=ManifestWriter(output_dir, manifest),
        audit=audit,
        termination=SaveOnTermination(),
    )
    add_callbacks(trainer, run.writer, audit, (run.termination, *callbacks))
    return run
