"""How far the run came, why it stopped, and whether its log agrees with itself."""

from dataclasses import dataclass

import numpy as np

from colintern.artifacts.trainer_state import Integers, LogTable, TrainerState


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Completion in optimiser steps; epochs are rounded and drop remainders."""

    global_step: int
    """Steps done."""
    max_steps: int
    """Steps planned."""
    last_save_point: int | None
    """The last step at or before `max_steps` at which a checkpoint is due, or None if unknown."""
    stopped_early: bool
    """Early stopping used up its patience."""
    closed: bool
    """The log has the closing row that the Trainer writes when training ends."""

    @property
    def ratio(self) -> float:
        """Share of the planned steps that were done."""
        return self.global_step / self.max_steps

    def complete(self, min_ratio: float) -> bool:
        """Whether the run reached its end, or the last step at which it saves."""
        at_last_save = self.last_save_point is not None and self.global_step >= self.last_save_point
        return self.ratio >= min_ratio or at_last_save or self.stopped_early


@dataclass(frozen=True, slots=True)
class LogConsistency:
    """Contradictions within the log."""

    num_backward: int
    """Training rows whose step is lower than that of the row before."""
    num_repeated: int
    """Training rows whose step is that of the row before."""
    num_beyond: int
    """Rows whose step lies beyond `global_step`."""
    first_step: int | None
    """Step of the first such row."""

    @property
    def consistent(self) -> bool:
        """Whether there is none."""
        return not (self.num_backward or self.num_repeated or self.num_beyond)


def training_progress(log: TrainerState) -> TrainingProgress | None:
    """Measure completion, or return None when the state has no steps."""
    if not log.global_step or not log.max_steps or log.global_step < 0 or log.max_steps < 0:
        return None
    return TrainingProgress(
        global_step=log.global_step,
        max_steps=log.max_steps,
        last_save_point=_last_save_point(log.save_steps, log.max_steps),
        stopped_early=log.early_stopping is not None and log.early_stopping.used_up,
        closed=log.has_training_loss_summary,
    )


def log_consistency(log: TrainerState) -> LogConsistency:
    """Look for steps out of order. Evaluations may share a step, so only training rows count."""
    steps = _known_steps(log.training)
    change = np.diff(steps)
    evaluation_steps = _known_steps(log.evaluations)
    limit = log.global_step if log.global_step is not None else np.inf
    beyond = np.concatenate((steps[steps > limit], evaluation_steps[evaluation_steps > limit]))
    first = [int(steps[place + 1]) for place in np.flatnonzero(change <= 0)[:1]]
    return LogConsistency(
        num_backward=int((change < 0).sum()),
        num_repeated=int((change == 0).sum()),
        num_beyond=len(beyond),
        first_step=next(iter([*first, *beyond[:1].tolist()]), None),
    )


def _known_steps(table: LogTable) -> Integers:
    return table.step[table.step >= 0]


def _last_save_point(save_steps: float | None, max_steps: int) -> int | None:
    """Compute it; the Trainer takes `save_steps` below 1 as a share of the run."""
    if save_steps is None or not np.isfinite(save_steps) or save_steps <= 0:
        return None
    interval = np.ceil(save_steps * max_steps) if save_steps < 1 else np.floor(save_steps)
    return int(max_steps // interval * interval) or None
