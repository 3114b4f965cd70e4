"""The loss after each epoch, beside the evaluation loss and the guide's healthy course."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.logs.log_table import NO_STEP, LogTable
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.loss_trajectory import chance_level
from colintern.diagnostics.log.noise import Floats
from colintern.guide import Guide

_TAIL: Final = 0.2
"""Share of an epoch at its end whose rows stand for it."""
_REMAINDER: Final = 0.1
"""A last epoch shorter than this is the remainder that the Trainer dropped, or a rounding."""


class EpochLoss(Struct, frozen=True):
    """Where the losses stand at one moment."""

    epoch: float
    """Epochs done."""
    step: int | None
    """Optimiser steps done, where the log has them."""
    training: float | None
    """Mean over the end of the epoch; at the start that of the first rows."""
    evaluation: float | None
    """The last one within the epoch."""


def epoch_losses(log: TrainerState, *, most: int) -> tuple[EpochLoss, ...]:
    """Return the losses at the start and after each epoch; of many epochs at most `most`.

    Empty where the rows have no epochs, or none has a loss that is a number.
    """
    rows = log.training
    known = np.isfinite(rows.loss) & np.isfinite(rows.epoch)
    if not known.any():
        return ()
    last = float(rows.epoch[known].max())
    return tuple(_at(log, known, end) for end in _shown(_ends(last), most))


def healthy_losses(guide: Guide, candidates: int) -> Floats:
    """Return the guide's loss at the start and after each epoch, scaled to another chance level.

    >>> from colintern.guide import GUIDE
    >>> healthy_losses(GUIDE, 16).tolist()
    [2.4, 1.5, 1.2, 1.0, 0.85, 0.75]
    """
    share = chance_level(candidates) / chance_level(guide.final_loss_batch_size)
    return np.array(guide.healthy_loss_corridor) * share


def _ends(last: float) -> list[float]:
    """Whole epochs, and the end of the run where it lies between two."""
    whole = min(math.floor(last + _REMAINDER), 1_000_000)
    ends = [float(epoch) for epoch in range(whole + 1)]
    return [*ends, last] if last - whole > _REMAINDER else ends


def _shown(ends: Sequence[float], most: int) -> list[float]:
    if len(ends) <= most:
        return list(ends)
    places = np.unique(np.linspace(0, len(ends) - 1, most).round().astype(np.int64))
    return [ends[place] for place in places.tolist()]


def _at(log: TrainerState, known: NDArray[np.bool_], end: float) -> EpochLoss:
    rows = log.training
    if end == 0:
        chosen = known & (rows.epoch <= max(_TAIL / 2, float(rows.epoch[known].min())))
        return EpochLoss(0.0, None, _mean(rows.loss[chosen]), None)
    chosen = known & (rows.epoch > end - _TAIL) & (rows.epoch <= end)
    if not chosen.any():
        # Rows further apart than that: the last of the epoch.
        within = np.flatnonzero(known & (rows.epoch > math.ceil(end) - 1) & (rows.epoch <= end))
        chosen[within[-1:]] = True
    step = int(rows.step[chosen][-1]) if chosen.any() else NO_STEP
    return EpochLoss(
        end,
        step if step != NO_STEP else None,
        _mean(rows.loss[chosen]),
        _last_within(log.evaluations, end),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _last_within(evaluations: LogTable, end: float) -> float | None:
    """Return the evaluation closest to `end` among those of the epoch that ends there."""
    within = (
        np.isfinite(evaluations.loss)
        & (evaluations.epoch > math.ceil(end) - 1)
        & (evaluations.epoch <= end + _TAIL / 2)
    )
    values = evaluations.loss[within]
    return float(values[-1]) if len(values) else None
