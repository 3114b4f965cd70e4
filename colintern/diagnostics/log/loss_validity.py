"""Losses that are no number, or exactly zero."""

from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import NO_STEP, LogTable
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.noise import finite_part, median

ZERO_LOSS: Final = 1e-7
"""A loss below this in magnitude is zero: logs are rounded to four decimals (sources E01)."""

_ZERO_ROWS: Final = 5
"""Rows of zero at the end that are no accident, and rows before them that tell the level."""

_NO_ROUNDING: Final = 0.01
"""A loss that stood here before it was zero did not get there by rounding: a hundred times the last
decimal of a log. What is learned by heart comes down to zero by degrees."""

_NEGATIVE: Final = -0.01
"""A cross-entropy below this is none."""

_NEGATIVE_ROWS: Final = 3
"""Rows of it that are no slip; and a twentieth of them at least."""


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
    num_negative: int = 0
    """Training rows whose loss is clearly below zero."""
    zero_from: int | None = None
    """Step (or row) from which the loss, until then well above zero, is zero to the end."""
    before_zero: float = 0.0
    """Median of the rows before that."""

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

    @property
    def negative(self) -> bool:
        """Whether more rows are below zero than a slip explains."""
        return self.num_negative >= max(_NEGATIVE_ROWS, self.num_training // 20)

    def zero_text(self) -> str:
        """Say where the loss is zero, or negative."""
        counts = (
            f"zero in {self.zero_training} of {self.num_training} training rows and "
            f"{self.zero_evaluations} of {self.num_evaluations} evaluations"
        )
        if self.zero_from is not None:
            fell = f"loss {self.before_zero:.3g}, then exactly 0 from step {self.zero_from:,} on"
            return f"{fell}; {counts}"
        below = f"below 0 in {self.num_negative} of {self.num_training} training rows"
        return below if self.negative else counts


def loss_validity(log: TrainerState) -> LossValidity:
    """Count the losses that are no number or zero."""
    training, evaluations = log.training, log.evaluations
    bad = ~np.isfinite(training.loss)
    zero = np.abs(training.loss) < ZERO_LOSS
    hidden = zero & training.has_grad_norm & np.isnan(training.grad_norm)
    bad_evaluations = ~np.isfinite(evaluations.loss)
    summary = log.summary.get("train_loss")
    zero_from, before_zero = _zero_to_the_end(training, zero & ~hidden)
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
        num_negative=int((training.loss < _NEGATIVE).sum()),
        zero_from=zero_from,
        before_zero=before_zero,
    )


def _zero_to_the_end(training: LogTable, zero: np.ndarray) -> tuple[int | None, float]:
    """Return where a stretch of zeros begins that lasts to the end, and the loss just before."""
    others = np.flatnonzero(~zero)
    first = int(others[-1]) + 1 if len(others) else 0
    if len(zero) - first < _ZERO_ROWS:
        return None, 0.0
    before = finite_part(training.loss[:first])[-_ZERO_ROWS:]
    level = median(before) if len(before) else 0.0
    if len(before) and abs(level) < _NO_ROUNDING:
        return None, 0.0
    return int(training.step[first]) if training.steps_known() else first, level


def _first_step(*marked: tuple[LogTable, np.ndarray]) -> int | None:
    steps = [int(table.step[np.flatnonzero(mask)[0]]) for table, mask in marked if mask.any()]
    known = [step for step in steps if step != NO_STEP]
    return min(known) if known else None
