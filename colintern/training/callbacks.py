"""The callbacks of a run, in the order in which they are told."""

from collections.abc import Sequence

from transformers import TrainerCallback

from colintern.training.audit_callback import AuditCallback
from colintern.training.manifest import ManifestWriter
from colintern.training.progress import TrainingProgress
from colintern.training.trainer import ColInternTrainer


def add_callbacks(
    trainer: ColInternTrainer,
    writer: ManifestWriter,
    audit: AuditCallback,
    more: Sequence[TrainerCallback],
) -> None:
    """Add them; the bar last, so that it shows what the others say.

    Only the first process keeps the manifest; the audit ends all processes at the same step.
    """
    audit.steps = trainer.steps
    progress = trainer.pop_callback(TrainingProgress)
    for callback in (*((writer,) if trainer.args.should_save else ()), audit, *more):
        trainer.add_callback(callback)
    if progress is not None:
        progress.audit = audit
        trainer.add_callback(progress)
