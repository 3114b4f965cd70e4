"""Places where a run was stopped and resumed, and what the loss did there."""

import math
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.noise import Floats

JUMP_RATIO: Final = 1.5
"""Loss after over loss before a boundary (sources H05)."""

_ROWS_BEFORE: Final = 20
"""Rows before a boundary that are looked at, at most (sources H05)."""

_ROWS_AFTER: Final = 5
"""Rows after it: lost weights are learned anew within few rows. At least as many come before."""

_ERRORS: Final = 4
"""Standard errors by which the means must differ."""

_ANEW_RATIO: Final = 1.2
"""A loss that is learned anew ends lower than right after the jump by this factor."""

_AT_SAVE: Final = "it starts at a save point"

_RATE_JUMP: Final = 3.0
"""A learning rate that grows by this factor after it had begun to fall shows a resumption."""


class LossJump(Struct, frozen=True):
    """A lasting rise of the loss from one row to the next."""

    step: int
    """Step of the first row after the boundary, or the row's number where steps are unknown."""
    before: float
    """Mean loss of the rows before."""
    after: float
    """Mean loss of the rows after."""
    mark: str
    """What shows that the run was resumed there."""

    @property
    def ratio(self) -> float:
        """How many times higher the loss is."""
        return self.after / self.before

    def __str__(self) -> str:
        return (
            f"loss {self.before:.3g} before and {self.after:.3g} after step {self.step:,} "
            f"({self.ratio:.1f}x); {self.mark}"
        )


def resume_boundaries(log: TrainerState) -> dict[int, str]:
    """Find the first training row after each boundary, and what shows that it is one.

    The log itself has no mark of a resumption. It shows as a closing row in the middle, as a step
    that was there before, or as a learning rate that leaps up. A save point is where a resumption
    starts from, so a lasting jump exactly there counts too (`jumps_after_resume` checks it).
    """
    table = log.training
    boundaries: dict[int, str] = {}
    for row in _save_points(log).tolist():
        boundaries[row] = _AT_SAVE
    rates = table.learning_rate
    before, after = rates[:-1], rates[1:]
    with np.errstate(invalid="ignore"):
        fallen = before < np.fmax.accumulate(np.nan_to_num(before, nan=0.0))
        leaps = fallen & (after > _RATE_JUMP * before)
    for row in (np.flatnonzero(leaps) + 1).tolist():
        boundaries[row] = "the learning rate leaps up there"
    for row in (np.flatnonzero((np.diff(table.step) <= 0) & (table.step[1:] >= 0)) + 1).tolist():
        boundaries[row] = "the steps start again there"
    for closing in log.summary_rows:
        row = int(np.searchsorted(table.row, closing))
        if 0 < row < len(table):
            boundaries[row] = "an earlier run ends there"
    return boundaries


class Resumptions(Struct, frozen=True):
    """The boundaries of a log and the jumps of the loss at them."""

    num_marked: int
    """Boundaries that the log shows; save points left out."""
    jumps: tuple[LossJump, ...]

    def __str__(self) -> str:
        if self.jumps:
            return str(max(self.jumps, key=lambda jump: jump.ratio))
        return f"{self.num_marked} marks of a resumption, no leap of the loss there or at a save"


def jumps_after_resume(log: TrainerState) -> Resumptions:
    """Look at the loss at every boundary.

    A jump at a mere save point counts only when every row after it stands above every row before
    and the loss falls again later, as it does when weights were lost and are learned anew. Logs of
    single examples have hundreds of save points, and a divergence may happen to start at one.
    """
    boundaries = resume_boundaries(log)
    loss = log.training.loss
    jumps = []
    for row, mark in sorted(boundaries.items()):
        before, after = loss[max(0, row - _ROWS_BEFORE) : row], loss[row : row + _ROWS_AFTER]
        if not _jumped(before, after):
            continue
        if mark == _AT_SAVE and not (after.min() > before.max() and _learned_anew(loss[row:])):
            continue
        step = int(log.training.step[row]) if log.training.steps_known() else row
        jumps.append(LossJump(step, float(before.mean()), float(after.mean()), mark))
    marked = sum(mark != _AT_SAVE for mark in boundaries.values())
    return Resumptions(marked, tuple(jumps))


def _jumped(before: Floats, after: Floats) -> bool:
    if len(before) < _ROWS_AFTER or len(after) < _ROWS_AFTER:
        return False
    with np.errstate(invalid="ignore"):
        low, high = float(before.mean()), float(after.mean())
    # The quick test first: a long log has thousands of boundaries. NaN does not pass it.
    if not (low > 0 and high > JUMP_RATIO * low) or math.isinf(high):
        return False
    error = float(np.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after)))
    return high - low > _ERRORS * error


def _learned_anew(rest: Floats) -> bool:
    """Whether the loss ends well below where the jump left it."""
    finite = rest[np.isfinite(rest)]
    if len(finite) < 2 * _ROWS_AFTER:
        return False
    return float(finite[-_ROWS_AFTER:].mean()) < float(finite[:_ROWS_AFTER].mean()) / _ANEW_RATIO


def _save_points(log: TrainerState) -> np.ndarray:
    """Return the rows that are the first after a multiple of `save_steps`."""
    interval = log.save_steps
    if interval is None or not np.isfinite(interval) or interval < 1:
        return np.empty(0, dtype=np.int64)
    if not log.training.steps_known():
        return np.empty(0, dtype=np.int64)
    saved = (log.training.step - 1) // int(interval)
    crossed = np.diff(saved) > 0
    spacing = np.diff(log.training.step)
    # Where rows are as far apart as save points, every row would be one.
    return np.flatnonzero(crossed & (spacing * 3 < interval)) + 1
