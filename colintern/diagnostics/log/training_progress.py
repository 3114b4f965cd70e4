"""How far the run came, why it stopped, and whether its log agrees with itself."""

import re
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import Integers, LogTable
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import (
    ADAPTER_PICKLE,
    ADAPTER_WEIGHTS,
    MODEL_INDEX,
    MODEL_PICKLE,
    MODEL_WEIGHTS,
    TRAINER_STATE,
    RunLayout,
)
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.running.log import Row


class TrainingProgress(Struct, frozen=True):
    """Completion in optimiser steps; epochs are rounded and drop remainders."""

    global_step: int
    """Steps done."""
    max_steps: int
    """Steps planned."""
    last_save_point: int | None
    """The last step at or before `max_steps` at which a checkpoint is due, or None if unknown."""
    stopped_early: bool
    """Early stopping used up its patience, by its state or by the evaluations since the best."""
    closed: bool
    """The log has the closing row that the Trainer writes when training ends, wherever it ends."""
    at_save_point: bool
    """The log ends at a step at which a checkpoint is due."""
    at_best: bool = False
    """The log is that of the checkpoint that the run tracked as its best."""

    @property
    def ratio(self) -> float:
        """Share of the planned steps that were done."""
        return self.global_step / self.max_steps

    @property
    def is_at_start(self) -> bool:
        """Whether no step was taken but the first, which a warm-up takes at a rate of zero."""
        return self.global_step <= 1

    def text(self, ended_by: str | None) -> str:
        """Say how far the run came, and which rule of a live audit ended it."""
        done = f"{self.global_step:,} of {self.max_steps:,} steps ({self.ratio:.1%})"
        if self.stopped_early:
            done += ", ended by early stopping"
        return f"{done}; ended by {printable(ended_by, limit=20)} (--stop-on)" if ended_by else done

    def complete(self, min_ratio: float) -> bool:
        """Whether the run reached its end, or the last step at which it saves."""
        nearly = self.ratio >= NEARLY_DONE and self.at_last_save
        return self.ratio >= min_ratio or nearly or self.stopped_early

    @property
    def at_last_save(self) -> bool:
        """Whether no further checkpoint was due: of a run that saves rarely, that is half of it."""
        return self.last_save_point is not None and self.global_step >= self.last_save_point


class LogConsistency(Struct, frozen=True):
    """Contradictions within the log, and between the log and the run's arguments."""

    num_backward: int
    """Training rows whose step is lower than that of the row before."""
    num_repeated: int
    """Training rows whose step is that of the row before."""
    num_beyond: int
    """Rows whose step lies beyond `global_step`."""
    first_step: int | None
    """Step of the first such row."""
    gaps: tuple[tuple[int, int], ...] = ()
    """Stretches without a row where the rhythm of the log has several, as (from, to) in steps."""
    epoch_back: int | None = None
    """Step at which the epochs go back while the steps go on."""
    contradicted: tuple[str, ...] = ()
    """Arguments of the run that the log contradicts."""

    def __str__(self) -> str:
        if self.in_order and not self.consistent:
            return "; ".join((*self._course_texts(), *self.contradicted))
        first = "" if self.first_step is None else f", first at step {self.first_step:,}"
        order = f"{self.num_backward} steps back, {self.num_repeated} repeated"
        order = f"{order}, {self.num_beyond} beyond the end{first}"
        return "; ".join((order, *self._course_texts(), *self.contradicted))

    def _course_texts(self) -> tuple[str, ...]:
        gaps = tuple(f"no rows from step {low:,} to {high:,}" for low, high in self.gaps[:3])
        if self.epoch_back is None:
            return gaps
        return (*gaps, f"the epochs go back at step {self.epoch_back:,} while the steps go on")

    @property
    def in_order(self) -> bool:
        """Whether steps only go up, to the end at most."""
        return not (self.num_backward or self.num_repeated or self.num_beyond)

    @property
    def consistent(self) -> bool:
        """Whether there is none."""
        return self.in_order and not (self.contradicted or self.gaps or self.epoch_back is not None)


def training_progress(log: TrainerState) -> TrainingProgress | None:
    """Measure completion, or return None when the state has no steps."""
    if not log.global_step or not log.max_steps or log.global_step < 0 or log.max_steps < 0:
        return None
    return TrainingProgress(
        global_step=log.global_step,
        max_steps=log.max_steps,
        last_save_point=_last_save_point(log.save_steps, log.max_steps, log.max_steps),
        stopped_early=_stopped_early(log),
        closed=log.has_training_loss_summary,
        at_save_point=_last_save_point(log.save_steps, log.max_steps, log.global_step)
        == log.global_step,
        at_best=best_step(log) == log.global_step,
    )


_FEWEST_WITHOUT_GAIN: Final = 2
"""Evaluations after the best one that tell an early end from a chance low, where no callback left
its state: transformers before 4.41, or a callback of one's own."""


def _stopped_early(log: TrainerState) -> bool:
    """Whether training ended because the tracked metric no longer improved.

    The state of the callback is that of the last checkpoint, so evaluations after it are counted.
    """
    stopping, without_gain = log.early_stopping, _evaluations_without_gain(log)
    if stopping is not None:
        return stopping.used_up or without_gain >= stopping.patience > 0
    return log.has_training_loss_summary and without_gain >= _FEWEST_WITHOUT_GAIN


def _evaluations_without_gain(log: TrainerState) -> int:
    """Count the evaluations after the best one; 0 where no best one was tracked."""
    best = best_step(log)
    if best is None:
        return 0
    return len({step for step in _known_steps(log.evaluations).tolist() if step > best})


def best_step(log: TrainerState) -> int | None:
    """Return the step of the best checkpoint, where the run tracked it."""
    match = _BEST.search(log.best_model_checkpoint or "")
    return int(match.group(1)) if match else None


_BEST: Final = re.compile(r"checkpoint-(\d{1,12})\W*$")

Interruption = Literal["error", "warning", "info"]

NEARLY_DONE: Final = 0.8
"""Below this share of the steps a person calls a public run incomplete (labelled logs)."""

_DEFAULT_SAVE_STEPS: Final = 500
"""Trainer's own, for logs of transformers before 4.31, which do not hold it."""

_FINAL_WEIGHTS: Final = (ADAPTER_WEIGHTS, ADAPTER_PICKLE, MODEL_WEIGHTS, MODEL_INDEX, MODEL_PICKLE)


def interruption(
    progress: TrainingProgress, layout: RunLayout, manifest: RunManifest | None, min_ratio: float
) -> Interruption | None:
    """Tell how bad it is that the run ended where it did, or None when it ended well.

    `info`: the folder is a snapshot from the middle by design: a `checkpoint-N`, or a copy of one
    under another name, which has no checkpoints of its own. `warning`: the log is that of a
    checkpoint and final weights lie beside it, so only the log may be unfinished, or the run is
    nearly done. `error`: neither. What the Trainer writes last, and what the manifest says, only
    tell that nothing more will come.
    """
    if progress.complete(min_ratio):
        return None
    closed = progress.closed or (manifest is not None and manifest.status == "completed")
    is_copy = progress.at_save_point and not layout.checkpoints and not closed
    if layout.is_checkpoint or is_copy:
        return "info"
    if log_is_older(layout):
        # `save_total_limit=1` with `load_best_model_at_end` keeps the best checkpoint alone.
        ended = closed or progress.at_last_save or progress.at_best
        return None if ended else "warning"
    return "warning" if progress.ratio >= NEARLY_DONE else "error"


def log_is_older(layout: RunLayout) -> bool:
    """Whether final weights lie in the folder and the log is only that of a checkpoint."""
    is_snapshot = layout.folder.get(TRAINER_STATE) is None
    return is_snapshot and layout.folder.has_any(_FINAL_WEIGHTS)


def kept_checkpoints(layout: RunLayout, log: TrainerState) -> frozenset[int]:
    """Return the steps whose weights are here.

    Weights in the root are those of the last step, or of the best one where the run tracked it.
    """
    steps = {checkpoint.step for checkpoint in layout.checkpoints}
    if layout.folder.has_any(_FINAL_WEIGHTS) and log.global_step is not None:
        steps.add(log.global_step)
        if (best := best_step(log)) is not None:
            steps.add(best)
    return frozenset(steps)


def log_consistency(log: TrainerState, contradicted: tuple[str, ...] = ()) -> LogConsistency:
    """Look for steps out of order. Evaluations may share a step, so only training rows count.

    Args:
        log: the trainer's state.
        contradicted: arguments of the run that the log contradicts.
    """
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
        contradicted=contradicted,
        gaps=_gaps(steps, log.global_step) if not (change <= 0).any() else (),
        epoch_back=_epoch_back(log.training),
    )


_GAP_INTERVALS: Final = 5
"""Intervals of the log that pass without a row ..."""

_GAP_OF_RUN: Final = 0.05
"""... and share of the steps, from which rows are missing."""

_MOST_GAPS: Final = 3
"""More of them are another rhythm, of a log whose `logging_steps` were changed."""

_EPOCH_ROUNDING: Final = 0.015
"""Epochs; older transformers round them to two decimals."""


def _gaps(steps: Integers, end: int | None) -> tuple[tuple[int, int], ...]:
    """Find stretches without a row, at the beginning and the end too."""
    if len(steps) < 2 * _GAP_INTERVALS:
        return ()
    usual = float(np.median(np.diff(steps)))
    marks = np.concatenate(([0], steps, [max(int(steps[-1]), end or 0)]))
    wide = np.flatnonzero(np.diff(marks) > max(_GAP_INTERVALS * usual, _GAP_OF_RUN * marks[-1]))
    found = tuple((int(marks[place]), int(marks[place + 1])) for place in wide)
    return found if len(found) <= _MOST_GAPS else ()


def _epoch_back(table: LogTable) -> int | None:
    steps, epochs = table.step[1:], table.epoch
    with np.errstate(invalid="ignore"):
        back = (np.diff(epochs) < -_EPOCH_ROUNDING) & (np.diff(table.step) > 0) & (steps > 0)
    found = np.flatnonzero(back)
    return int(steps[found[0]]) if len(found) else None


def _known_steps(table: LogTable) -> Integers:
    return table.step[table.step >= 0]


def _last_save_point(save_steps: float | None, max_steps: int, step: int) -> int | None:
    """Compute it up to `step`; the Trainer takes `save_steps` below 1 as a share of the run."""
    if save_steps is None:
        save_steps = _DEFAULT_SAVE_STEPS
    if not np.isfinite(save_steps) or save_steps <= 0:
        return None
    interval = np.ceil(save_steps * max_steps) if save_steps < 1 else np.floor(save_steps)
    return int(step // interval * interval) or None


_RECENT_ROWS: Final = 20
"""Rows that the pace is taken from: it may change, with the other work of a machine."""

_QUIET_ROWS: Final = 5
"""Intervals between rows without a new one, from which a run is quiet: an evaluation or a save
takes a few."""

_LEAST_QUIET_SECONDS: Final = 120.0
"""Less than that says nothing of a run with short intervals."""


class Pace(Struct, frozen=True):
    """Speed of a run, from the times of its newest log rows; evaluation and saving count."""

    seconds_a_step: float
    row_seconds: float
    """Mean time between two rows."""


def pace_of(rows: Sequence[Row]) -> Pace | None:
    """Measure it, or return None where fewer than two rows of different steps have a time."""
    timed = [row for row in rows if "time" in row][-_RECENT_ROWS:]
    if not timed:
        return None
    seconds = timed[-1]["time"] - timed[0]["time"]
    steps = timed[-1]["step"] - timed[0]["step"]
    # Clocks may be set back while a run trains.
    if steps <= 0 or seconds <= 0:
        return None
    return Pace(seconds / steps, seconds / (len(timed) - 1))


def seconds_left(pace: Pace, step: int, max_steps: int, *, since_last_row: float) -> float:
    """Return the expected time to the end."""
    return max(0.0, (max_steps - step) * pace.seconds_a_step - max(0.0, since_last_row))


def is_quiet(pace: Pace | None, silence: float) -> bool:
    """Whether nothing was written for longer than the run's own rhythm explains."""
    usual = _QUIET_ROWS * pace.row_seconds if pace is not None else 0.0
    return silence > max(_LEAST_QUIET_SECONDS, usual)
