"""What our trainer keeps of its steps, and what it does not count twice."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

PROGRESS: Final = "colintern_progress.json"
"""File of a checkpoint: the losses since the last log row."""


class StepOperations:
    """Counts a model's parameters once; transformers counts all of them anew at every step."""

    def __init__(self, model: Any, count: Callable[[Any], int]) -> None:
        """Count by `count`, which is the Trainer's own: in proportion to the main input."""
        self._name: str = getattr(model, "main_input_name", "input_ids")
        self._count = count
        self._of_a_value: int | None = None

    def of(self, inputs: Mapping[str, Any]) -> int:
        """Return the operations of a forward and a backward pass."""
        values = inputs[self._name].numel() if self._name in inputs else 0
        if not values:
            return self._count(inputs)
        if self._of_a_value is None:
            self._of_a_value = self._count(inputs) // values
        return self._of_a_value * values


MOST_STEPS: Final = 1_000
"""Steps that are kept; by then any usual logging interval has made a log of its own."""


class StepRecord:
    """What a trainer computes anyway, a row a step under the names of the Trainer's log."""

    def __init__(self) -> None:
        """Begin with no step."""
        self.rows: list[dict[str, float]] = []
        self._loss = 0.0

    def add_loss(self, loss: float) -> None:
        """Add the loss of a micro-step, already divided by the accumulation steps."""
        self._loss += loss

    def close(self, step: int, *, grad_norm: float, learning_rate: float, epoch: float) -> None:
        """End the step."""
        if len(self.rows) < MOST_STEPS:
            row = {"grad_norm": grad_norm, "learning_rate": learning_rate, "epoch": epoch}
            self.rows.append({"step": float(step), "loss": self._loss, **row})
        self._loss = 0.0


class LossCarry(TrainerCallback):
    """Carries the losses since the last log row over an interruption.

    The Trainer logs the mean loss since the last row, but does not save what it has added up. A run
    that resumes from a checkpoint between two rows would log a different curve.
    """

    def __init__(self, trainer: Any) -> None:
        """Look after the running loss of `trainer`."""
        self.trainer = trainer
        self._resumed: Path | None = None

    def resume(self, checkpoint: Path | None) -> None:
        """Put back what `checkpoint` has when the run begins; None: it begins at its start."""
        self._resumed = checkpoint

    def save(self, checkpoint: Path) -> None:
        """Write the running sum, averaged over processes; every process must call."""
        mean = self.trainer.accelerator.gather(self.trainer._tr_loss).mean().item()  # noqa: SLF001
        if self.trainer.args.should_save:
            last = self.trainer._globalstep_last_logged  # noqa: SLF001 - the Trainer offers no name
            (checkpoint / PROGRESS).write_text(
                json.dumps({"loss_sum": mean, "last_logged_step": last})
            )

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Put the sum back, where a run goes on."""
        if self._resumed is None or not (self._resumed / PROGRESS).exists():
            return
        saved = json.loads((self._resumed / PROGRESS).read_text())
        self.trainer._tr_loss += saved["loss_sum"]  # noqa: SLF001 - as above
        self.trainer._globalstep_last_logged = saved["last_logged_step"]  # noqa: SLF001 - as above
