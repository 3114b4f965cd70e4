"""Places where a run was stopped and resumed, and what the loss did there."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from colintern.artifacts.trainer_state import TrainerState
from colintern.diagnostics.noise import MAX_MAGNITUDE, Floats, step_noise

JUMP_RATIO: Final = 1.5
"""Loss after over loss before a boundary (failure-modes H05)."""

_ROWS: Final = 5
"""Rows on each side whose medians are compared."""

_ERRORS: Final = 4
"""Standard errors by which the medians must differ."""

_RATE_JUMP: Final = 3.0
"""A learning rate that grows by this factor after it had begun to fall shows a resumption."""


@dataclass(frozen=True, slots=True)
class LossJump:
    """A lasting rise of the loss from one row to the next."""

    step: int
    """Step of the first row after the boundary, or the row's number where steps are unknown."""
    before: float
    """Median loss of the rows before."""
    after: float
    """Median loss of the rows after."""
    mark: str
    """What shows that the run was resumed there."""

    @property
    def ratio(self) -> float:
        """How many times higher the loss is."""
        return self.after / self.before


def resume_boundaries(log: TrainerState) -> dict[int, str]:
    """Find the first training row after each boundary, and what shows that it is one.

    The log itself has no mark of a resumption. It shows as a closing row in the middle, as a step
    that was there before, or as a learning rate that leaps up. A save point is where a resumption
    starts from, so a lasting jump exactly there counts too (`jumps_after_resume` checks it).
    """
    table = log.training
    boundaries: dict[int, str] = {}
    for row in _save_points(log).tolist():
        boundaries[row] = "it starts at a save point"
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


def jumps_after_resume(log: TrainerState) -> tuple[int, tuple[LossJump, ...]]:
    """Return the number of boundaries, save points left out, and the jumps of the loss at any.

    A jump at a mere save point counts only when the loss falls again afterwards, as it does when
    weights were lost and are learned anew; a divergence that happens to start there does not.
    """
    boundaries = resume_boundaries(log)
    loss = np.clip(log.training.loss, -MAX_MAGNITUDE, MAX_MAGNITUDE)
    finite = loss[np.isfinite(loss)]
    error = step_noise(finite) * (2 / _ROWS) ** 0.5
    jumps = []
    for row, mark in sorted(boundaries.items()):
        before, after = loss[max(0, row - _ROWS) : row], loss[row : row + _ROWS]
        if not _jumped(before, after, error):
            continue
        if "save point" in mark and not _learned_anew(loss, row, error):
            continue
        step = int(log.training.step[row]) if log.training.steps_known() else row
        jumps.append(LossJump(step, float(np.median(before)), float(np.median(after)), mark))
    marked = sum("save point" not in mark for mark in boundaries.values())
    return marked, tuple(jumps)


def _jumped(before: Floats, after: Floats, error: float) -> bool:
    if len(before) < _ROWS or len(after) < _ROWS or not np.isfinite([before, after]).all():
        return False
    low, high = float(np.median(before)), float(np.median(after))
    # Abrupt: already the first row after stands above every row before.
    abrupt = bool(after[0] > before.max())
    return low > 0 and abrupt and high > JUMP_RATIO * low and high - low > _ERRORS * error


def _learned_anew(loss: Floats, row: int, error: float) -> bool:
    rest = loss[row:]
    rest = rest[np.isfinite(rest)]
    late = rest[-_ROWS:]
    return len(rest) >= 2 * _ROWS and float(np.median(rest[:_ROWS]) - np.median(late)) > 2 * error


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
