"""What the first log rows of a run already tell, while the measures of a whole run need more."""

from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import LogTable
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.contrastive_loss import COLD_START_LIMIT, COLLAPSED_RATIO, Chance
from colintern.diagnostics.log.loss_trajectory import chance_level
from colintern.diagnostics.log.noise import Floats, finite_part, median, step_noise

MIN_EARLY_ROWS: Final = 6
"""Rows of loss: with fewer the last third is a single row."""

LEFT_CHANCE_BY: Final = 0.09
"""Share of the steps by which a healthy run is below chance. The bundled recipe, whose warm-up is a
fifth of the run, is 2 % to 4 % below it after a tenth on 20 seeds, by 2.8 standard errors or more.
"""

MIN_EARLY_STEPS: Final = 45
"""Steps that a healthy run may take to leave chance, however short it is: the bundled recipe takes
20 to 30 with a warm-up of 12 steps, 40 to 45 with one of 100."""

_WARMED_UP: Final = 0.4
"""Share of the peak learning rate from which a run had its chance to learn; that recipe has reached
0.49 of it by then."""

_MOST_RECENT: Final = 10
"""Rows that count as where the loss is now."""


class EarlyGradients(Struct, frozen=True):
    """Gradient norms of the first rows, before clipping."""

    recent: float
    """Median of the last third of the rows."""
    growth: float | None
    """The same over the lower of the first two rows."""


def early_chance(log: TrainerState, candidates: int, *, peak: float | None) -> Chance | None:
    """Tell whether a contrastive loss is still at chance or above, when it should have left it.

    No scores that know nothing of the labels have an expected loss below ln(candidates), so a run
    that is not below it has learned nothing yet that holds for pages it has not seen. A loss that
    is far above chance is on another scale, of which this says nothing.

    Args:
        log: the log so far.
        candidates: pages that each query is compared with.
        peak: the planned learning rate at its peak, or None.

    Returns:
        None while it is too early to say.
    """
    if not log.max_steps or (log.global_step or 0) < MIN_EARLY_STEPS:
        return None
    if (log.global_step or 0) / log.max_steps < LEFT_CHANCE_BY or not _is_warm(log.training, peak):
        return None
    values = finite_part(log.training.loss)
    if len(values) < MIN_EARLY_ROWS:
        return None
    recent = values[-min(_MOST_RECENT, len(values) // 3) :]
    level, end = chance_level(candidates), float(recent.mean())
    # The fall from a high start is no noise, nor is a single leap: the smaller of both counts.
    noise = min(step_noise(values), step_noise(values[len(values) // 2 :]))
    not_below = end + noise / len(recent) ** 0.5 >= level
    stuck = not_below and end <= COLD_START_LIMIT * level
    return Chance(level, f"ln({candidates})", COLLAPSED_RATIO, end, stuck, so_far=True)


def early_gradients(training: LogTable) -> EarlyGradients | None:
    """Measure the gradient norms of the first rows; None for fewer than `MIN_EARLY_ROWS`."""
    norms = finite_part(training.grad_norm[training.has_grad_norm])
    if len(norms) < MIN_EARLY_ROWS:
        return None
    recent, first = median(norms[-(len(norms) // 3) :]), float(norms[:2].min())
    return EarlyGradients(recent, recent / first if first > 0 else None)


def _is_warm(training: LogTable, peak: float | None) -> bool:
    rates: Floats = training.learning_rate[np.isfinite(training.learning_rate)]
    if not len(rates):
        return False
    if rates[-1] < rates.max():
        return True
    return peak is not None and float(rates.max()) >= _WARMED_UP * peak
