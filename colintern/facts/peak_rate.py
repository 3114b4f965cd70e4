"""The peak learning rate as the log shows it, with what its rows leave open."""

import math
from typing import Final

import numpy as np

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import TRAINER_STATE
from colintern.facts.fact import Witness

LOGGED_RATE: Final = "largest learning_rate"
"""Key of a rate that was logged and not asked for."""


def logged_peak(log: TrainerState) -> Witness[float] | None:
    """Return the largest logged rate; None where no row has one above zero.

    The peak of a schedule lies between rows. How far above the largest row it may be follows from
    the steps of the rows beside it, for a rate that falls no faster than linearly to the end of the
    plan; a rate that still rises in the last row leaves it open (an infinite margin).
    """
    chosen = np.isfinite(log.training.learning_rate) & (log.training.step >= 0)
    rates, steps = log.training.learning_rate[chosen], log.training.step[chosen]
    if not len(rates) or rates.max() <= 0:
        return None
    top = int(np.argmax(rates))
    largest, step = float(rates[top]), int(steps[top])
    before = int(steps[top - 1]) if top else 0
    after = (float(rates[top + 1]), int(steps[top + 1])) if top + 1 < len(rates) else None
    end = max(log.max_steps or 0, int(steps.max()))
    margin = largest * (_factor(largest, step, before, after, end) - 1)
    return Witness(value=largest, source=TRAINER_STATE, key=LOGGED_RATE, margin=margin)


def _factor(
    largest: float, step: int, before: int, after: tuple[float, int] | None, end: int
) -> float:
    """How many times the largest row the peak may be."""
    if after is None:
        return math.inf
    rate_after, step_after = after
    if rate_after == largest:
        return 1.0
    fallen = (end - before) / (end - step) if end > step else math.inf
    risen = step_after / step if step else math.inf
    if end > step_after:
        risen = min(risen, rate_after / largest * (end - step) / (end - step_after))
    return max(1.0, fallen, risen)
