"""Losses that are no number, or exactly zero."""

from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import NO_STEP, LogTable
from colintern.artifacts.logs.trainer_state import TrainerState

ZERO_LOSS: Final = 1e-7
"""A loss below this in magnitude is zero: logs are rounded to four decimals (sources E01)."""


class LossValidity(Struct, frozen=True):
    """Counts of broken values in the log."""

    num_training: int
    """Training rows."""
    num_evaluations: int
    """Evaluation rows."""
    bad_training: int
    """Training rows whose loss is NaN or infinite."""
    bad_evaluations: int
    """Evaluation rows whose loss is NaN or infinite."""
    hidden: int
    """Training rows with loss 0.0 and a NaN gradient norm: `logging_nan_inf_filter` wrote them."""
    bad_summary: bool
    """The closing `train_loss` is NaN or infinite."""
    zero_training: int
    """Training rows whose loss is zero, without those of `hidden`."""
    zero_evaluations: int
    """Evaluation rows whose loss is zero."""
    first_bad_step: int | None
    """Step of the first broken row."""

    @property
    def broken(self) -> int:
        """All rows that are no number, the closing one included."""
        return self.bad_training + self.bad_evaluations + self.hidden + self.bad_summary

    def __str__(self) -> str:
        if not self.broken:
            counts = f"{self.num_training} losses and {self.num_evaluations} evaluations"
            return f"{counts} are finite"
        found = {
            f"{self.bad_training} of {self.num_training} losses NaN or infinite": self.bad_training,
            f"{self.hidden} losses of 0.0 with a NaN grad_norm": self.hidden,
            f"{self.bad_evaluations} of {self.num_evaluations} evaluations NaN or infinite": (
                self.bad_evaluations
            ),
            "the closing train_loss is NaN or infinite": self.bad_summary,
        }
        first = [] if self.first_bad_step is None else [f"first at step {self.first_bad_step:,}"]
        return ", ".join([text for text, is_there in found.items() if is_there] + first)

    @property
    def always_zero(self) -> bool:
        """Zero in five training rows or half of them, in two evaluations or in all of them."""
        enough = min(5, max(1, self.num_training // 2))
        some = min(2, max(1, self.num_evaluations))
        return self.zero_training >= enough or self.zero_evaluations >= some


def loss_validity(log: TrainerState) -> LossValidity:
    """Count the losses that are no number or zero."""
    training, evaluations = log.training, log.evaluations
    bad = ~np.isfinite(training.loss)
    zero = np.abs(training.loss) < ZERO_LOSS
    hidden = zero & training.has_grad_norm & np.isnan(training.grad_norm)
    bad_evaluations = ~np.isfinite(evaluations.loss)
    summary = log.summary.get("train_loss")
    return LossValidity(
        num_training=len(training),
        num_evaluations=len(evaluations),
        bad_training=int(bad.sum()),
        bad_evaluations=int(bad_evaluations.sum()),
        hidden=int(hidden.sum()),
        bad_summary=summary is not None and not np.isfinite(summary),
        zero_training=int((zero & ~hidden).sum()),
        zero_evaluations=int((np.abs(evaluations.loss) < ZERO_LOSS).sum()),
        first_bad_step=_first_step((training, bad | hidden), (evaluations, bad_evaluations)),
    )


def _first_step(*marked: tuple[LogTable, np.ndarray]) -> int | None:
    steps = [int(table.step[np.flatnonzero(mask)[0]]) for table, mask in marked if mask.any()]
    known = [step for step in steps if step != NO_STEP]
    return min(known) if known else None
