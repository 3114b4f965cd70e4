"""Carries the losses since the last log row over an interruption.

The Trainer logs the mean loss since the last row, but does not save what it has added up. A run
that goes on from a checkpoint between two rows would log a different curve.
"""

import json
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

FILE: Final = "colintern_progress.json"


class LossCarry(TrainerCallback):
    """Saves the running sum with a checkpoint, and puts it back."""

    def __init__(self, trainer: Any) -> None:
        """Look after the running loss of `trainer`."""
        self.trainer = trainer
        self.resumed_from: Path | None = None

    def save(self, checkpoint: Path) -> None:
        """Write the running sum, averaged over processes; every process must call."""
        mean = self.trainer.accelerator.gather(self.trainer._tr_loss).mean().item()  # noqa: SLF001
        if self.trainer.args.should_save:
            last = self.trainer._globalstep_last_logged  # noqa: SLF001 - the Trainer offers no name
            (checkpoint / FILE).write_text(json.dumps({"loss_sum": mean, "last_logged_step": last}))

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Put the sum back, where a run goes on."""
        if self.resumed_from is None or not (self.resumed_from / FILE).exists():
            return
        saved = json.loads((self.resumed_from / FILE).read_text())
        self.trainer._tr_loss += saved["loss_sum"]  # noqa: SLF001 - as above
        self.trainer._globalstep_last_logged = saved["last_logged_step"]  # noqa: SLF001 - as above
