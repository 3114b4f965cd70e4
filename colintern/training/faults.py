"""What ends a run early: data that cannot be used, or a loss or gradient that is no number.

Free of torch: the command line names these errors before the training stack is imported.
"""

import math
from pathlib import Path
from typing import Any


class DataError(ValueError):
    """Training data that cannot be used, with what to do about it."""


class BadRowError(RuntimeError):
    """A bad row that a run met while it trained."""


class NotFiniteError(RuntimeError):
    """The loss or the gradient is NaN or infinite."""


def ended_by_row(trainer: Any, error: DataError) -> BadRowError:
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


def refuse_not_finite(trainer: Any, name: str, value: Any) -> float:
    """Return a finite `value` as a number; otherwise log it, save the log, and stop.

    Args:
        trainer: its log gets a last row, so that the audit finds what happened.
        name: `loss` or `grad_norm`.
        value: a scalar.

    Raises:
        NotFiniteError: it is NaN or infinite.
    """
    number = float(value)
    if math.isfinite(number):
        return number
    step = trainer.state.global_step + 1
    trainer.log({"loss": math.nan if name == "loss" else 0.0, "grad_norm": number})
    trainer.save_state()
    raise NotFiniteError(
        f"{name} must be a finite number, but it is {number} at step {step}; the last checkpoint "
        "is from before it. In a new folder, lower the learning rate (the guide: 2e-5), add "
        "warm-up steps, or use bf16 instead of fp16; `colintern docs sources N04` says more"
    )
