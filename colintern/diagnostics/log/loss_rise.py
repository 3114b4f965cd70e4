"""Rises of the loss that bins hide: out of the first rows for good, and in the last tenth."""

import math
from typing import Final

import numpy as np

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.noise import Floats, cautious_noise, median

SHORT_END: Final = 3
"""Rows that the end of a short log averages at least."""

MIN_FINAL_ROWS: Final = 4
"""Rows that the final loss averages at least."""

DIVERGED_ERRORS: Final = 4
"""Least rise in standard errors of a bin."""

_BLOWN_UP: Final = 2.0
"""A loss no row of which comes back to this many times its first rows has blown up ..."""

_BLOWN_UP_END: Final = 3.0
"""... where it also ends this many times above them (public runs: 6 to 57 times)."""

_BLOWN_UP_NOISE: Final = 6
"""... and by this many standard deviations of a row."""

_LATE_RISE_OF_START: Final = 0.03
"""Least late rise as a share of the start: of a loss near 0 nothing is lost by tripling it."""


def blew_up(values: Floats, first: float) -> bool:
    """Whether the loss leaves its first rows upward and no later row comes near them again.

    The noise is that of the later half: it has none of the climb in it.

    Args:
        values: finite, without a first row that averages less than the others.
        first: the lowest of the first rows.
    """
    climb = max(1, min(20, len(values) // 10))
    later = values[climb + 1 :]
    half = values[len(values) // 2 :]
    if first <= 0 or len(later) < SHORT_END:
        return False
    end = median(values[-max(SHORT_END, len(values) // 5) :])
    noise = _about_a_line(half)
    far = end - first > _BLOWN_UP_NOISE * noise
    return bool(later.min() > _BLOWN_UP * first and end > _BLOWN_UP_END * first and far)


def _about_a_line(values: Floats) -> float:
    """Return the scatter about a straight line: a blown-up loss may well come down again."""
    if len(values) < 4:  # noqa: PLR2004 - a line takes two of them
        return cautious_noise(values)
    place = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float((place * values).sum() / (place * place).sum())
    residual = values - values.mean() - slope * place
    return float(np.sqrt((residual * residual).sum() / (len(values) - 2)))


def first_row_is_of_fewer_steps(training: LogTable) -> bool:
    """Whether the first row averages less than the others, as that of `logging_first_step`."""
    if len(training) < 3 or not training.steps_known():  # noqa: PLR2004 - two distances
        return False
    return bool(training.step[0] * 2 <= median(np.diff(training.step).astype(np.float64)))


def late_rise(values: Floats, start: float, noise: float) -> float:
    """Return how many times the last tenth stands above the fifth before it; 1 within noise."""
    tenth = max(MIN_FINAL_ROWS, len(values) // 10)
    late, before = values[-tenth:], values[-3 * tenth : -tenth]
    low, high = float(before.mean()), float(late.mean())
    spread = float(np.sqrt(late.var(ddof=1) / len(late) + before.var(ddof=1) / len(before)))
    error = max(spread, noise / math.sqrt(tenth))
    least = max(DIVERGED_ERRORS * error, _LATE_RISE_OF_START * abs(start))
    return high / low if low > 0 and high - low > least else 1.0
