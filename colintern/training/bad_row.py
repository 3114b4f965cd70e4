"""The end of a run that met a bad row: nothing that was trained is lost."""

from pathlib import Path

from colintern.recipes import BadRowError, DataError
from colintern.training.trainer import ColInternTrainer


def ended_by_row(trainer: ColInternTrainer, error: DataError) -> BadRowError:
    """Save a checkpoint where one process trains, and return what to raise.

    The batches of a step are read before it begins, so the run is between two steps here and goes
    on as if nothing had been. Several processes cannot save: only one of them met the row.
    """
    # A worker process hands its whole traceback over, with the message at the end.
    fault = str(error).rpartition(f"{DataError.__name__}: ")[2].strip()
    step = trainer.state.global_step
    if trainer.args.world_size == 1 and step > 0:
        if not (Path(trainer.args.output_dir) / f"checkpoint-{step}").is_dir():
            # As the Trainer saves behind a step; it has no other name for it.
            trainer._save_checkpoint(trainer.model, None)  # noqa: SLF001 - as said
            trainer.callback_handler.on_save(trainer.args, trainer.state, trainer.control)
        return BadRowError(f"{fault}; checkpoint-{step} is saved, --resume goes on from it")
    return BadRowError(f"{fault}; --resume goes on from the newest checkpoint, if there is one")
